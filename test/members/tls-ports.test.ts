/** What each port of a member asks of who connects, and what the member tells of its TLS. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { ADMIN_PATHS, type AdminStatus } from '../../lib/admin-api.ts'
import { makeAuthority, type Authority, type Issued } from '../../node-server/tls/testing/authority.ts'
import { eventually, freePort, Rig, type MemberProcess } from './member-process.ts'

let rig: Rig
let authority: Authority
/** Of the members alone. */
let peers: Authority
let server: Issued
let peer: Issued
let alice: Issued
let member: MemberProcess
let metricsURL: string

before(async () => {
  rig = await Rig.open()
  authority = await makeAuthority(rig.directory)
  peers = await makeAuthority(rig.directory, 'peer-ca')
  server = await authority.issue('server')
  peer = await peers.issue('peer')
  alice = await authority.issue('alice')
  member = await rig.member('a')
  metricsURL = `http://127.0.0.1:${await freePort()}`
  await member.start([
    `--listen-client-urls=${both(member.clientURL)}`,
    `--listen-peer-urls=${both(member.listenPeerURL)}`,
    `--listen-admin-urls=${both(member.adminURL(''))}`,
    `--listen-metrics-urls=${metricsURL}`,
    `--cert-file=${server.certFile}`,
    `--key-file=${server.keyFile}`,
    `--trusted-ca-file=${authority.caFile}`,
    '--client-cert-auth',
    `--peer-cert-file=${peer.certFile}`,
    `--peer-key-file=${peer.keyFile}`,
    `--peer-trusted-ca-file=${peers.caFile}`,
    '--peer-client-cert-auth',
  ])
  await member.isReady()
})
after(() => rig.close())

function both(url: string): string {
  return `${url},${url.replace('http:', 'https:')}`
}

async function digest(file: string): Promise<string> {
  return new X509Certificate(await readFile(file)).fingerprint256.replaceAll(':', '').toLowerCase()
}

/** By TLS, on a connection of its own. */
async function statusBy(files: Issued | undefined): Promise<AdminStatus> {
  const own = files && { cert: await readFile(files.certFile), key: await readFile(files.keyFile) }
  const asked = request({
    host: '127.0.0.1',
    port: member.ports.admin,
    path: ADMIN_PATHS.status,
    ca: await readFile(authority.caFile),
    agent: false,
    ...own,
  })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) text += chunk as string
  return JSON.parse(text) as AdminStatus
}

test('the admin API by TLS asks for a client certificate, and on the same port answers plainly as well', async () => {
  assert.deepEqual((await statusBy(alice)).tls, (await member.status()).tls)
  await assert.rejects(statusBy(undefined))
  const stranger = await (await makeAuthority(rig.directory, 'strange-ca')).issue('stranger')
  await assert.rejects(statusBy(stranger))
  await eventually('both are told', async () => {
    assert.match(member.output, /peer did not return a certificate.*rejected connection on admin endpoint/)
    assert.match(member.output, /UNABLE_TO_VERIFY_LEAF_SIGNATURE.*rejected connection on admin endpoint/)
  })
})

const PORTS = ['client', 'admin', 'peer'] as const
const authorityOf = (port: (typeof PORTS)[number]): Authority => (port === 'peer' ? peers : authority)

/** Who connects, and why it is refused. */
const refused: readonly [string, (port: (typeof PORTS)[number]) => Promise<Issued | undefined>, RegExp][] = [
  ['nobody', async () => undefined, /peer did not return a certificate/],
  ['late', (port) => authorityOf(port).issue('late', { validDays: -1 }), /CERT_HAS_EXPIRED/],
  [
    'foreign',
    async () => (await makeAuthority(rig.directory, 'foreign-ca')).issue('foreign'),
    /UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
  ],
  // A member is no client, and a client no member.
  [
    'outsider',
    (port) => authorityOf(port === 'peer' ? 'client' : 'peer').issue('outsider'),
    /UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
  ],
]
for (const port of PORTS) {
  for (const [name, issue, reason] of refused) {
    test(`the ${port} port refuses ${name}'s certificate, and says so`, async () => {
      const files = await issue(port)
      const own = files && { cert: await readFile(files.certFile), key: await readFile(files.keyFile) }
      const from = member.output.length
      const socket = connect({ host: '127.0.0.1', port: member.ports[port], rejectUnauthorized: false, ...own })
      await new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve))
      const line = await eventually('it is told', async () => {
        const found = member.output
          .slice(from)
          .split('\n')
          .find((text) => text.includes('rejected connection'))
        assert.ok(found !== undefined)
        return found
      })
      assert.match(line, reason)
      assert.ok(line.includes(`rejected connection on ${port} endpoint`), line)
    })
  }
}

test('the status has what is used for the next handshake, as soon as the files have changed, and what is wrong with them', async () => {
  const ca = await digest(authority.caFile)
  const expected = { trusted: [ca], schemes: ['http', 'https'], advertised: 'http' }
  const before = { ...expected, certificate: await digest(server.certFile) }
  const ofPeers = { ...expected, certificate: await digest(peer.certFile), trusted: [await digest(peers.caFile)] }
  const { tls } = await statusBy(alice)
  assert.partialDeepStrictEqual(tls, { client: before, peer: ofPeers })
  assert.equal(new Date(tls?.client?.notAfter ?? '').toISOString(), tls?.client?.notAfter)

  const other = await makeAuthority(rig.directory, 'next-ca')
  const bundle = [await readFile(authority.caFile, 'utf8'), await readFile(other.caFile, 'utf8')]
  await writeFile(authority.caFile, bundle.join('\n'))
  await authority.issue('server')
  const trusted = [ca, await digest(other.caFile)].toSorted()
  const after = { ...expected, trusted, certificate: await digest(server.certFile) }
  assert.notEqual(after.certificate, before.certificate)
  assert.partialDeepStrictEqual((await statusBy(alice)).tls, { client: after, peer: ofPeers })

  const whole = await readFile(server.certFile)
  await writeFile(server.certFile, '')
  const emptied = (await statusBy(alice)).tls
  assert.partialDeepStrictEqual(emptied, { client: after, peer: ofPeers })
  assert.match(emptied?.client?.problem ?? '', /^there is no certificate in .*server\.pem/)
  await writeFile(server.certFile, whole)
  assert.equal((await statusBy(alice)).tls?.client?.problem, undefined)
})

test('the metrics port has metrics and probes, and nothing else', async () => {
  const statusOf = async (path: string): Promise<number> => (await fetch(`${metricsURL}${path}`)).status
  for (const path of ['/metrics', '/health', '/livez', '/readyz', '/version'])
    assert.equal(await statusOf(path), 200, path)
  for (const path of [...Object.values(ADMIN_PATHS), '/debug/vars', '/v3/kv/range']) {
    assert.equal(await statusOf(path), 404, path)
    assert.equal((await fetch(`${metricsURL}${path}`, { method: 'POST', body: '{}' })).status, 404, path)
  }
})

test('a member that waits has its probes there, and its admin API only where that is', async () => {
  const waiting = await rig.member('waiting')
  const url = `http://127.0.0.1:${await freePort()}`
  await waiting.start(['--initial-cluster-state=wait', `--listen-metrics-urls=${url}`])
  const ready = await fetch(`${url}/readyz`)
  assert.deepEqual([ready.status, await ready.text()], [503, 'waiting to be told to bootstrap or to join\n'])
  assert.equal((await fetch(`${url}${ADMIN_PATHS.status}`)).status, 404)
  assert.deepEqual((await waiting.status()).tls, {})
})
