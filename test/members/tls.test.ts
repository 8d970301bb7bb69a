/** Members as processes with TLS for clients and among themselves, by etcd's flags. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { credentials } from '@grpc/grpc-js'
import { makeAuthority, type Authority, type Issued } from '../../node-server/tls/testing/authority.ts'
import { EtcdClient } from './etcd-client.ts'
import { eventually, Rig, type MemberProcess } from './member-process.ts'

let rig: Rig
let authority: Authority
let server: Issued
let peer: Issued
let members: MemberProcess[]
const clients: EtcdClient[] = []

before(async () => {
  rig = await Rig.open()
  authority = await makeAuthority(rig.directory)
  server = await authority.issue('server')
  peer = await authority.issue('peer')
  members = [await rig.member('a'), await rig.member('b'), await rig.member('c')]
  await Promise.all(members.map((member) => member.start(flagsOf(member))))
  await Promise.all(members.map((member) => member.isReady()))
})
after(async () => {
  for (const client of clients) client.close()
  await rig.close()
})

const secure = (url: string): string => url.replace('http:', 'https:')

/** The last of two equal flags counts, as in Go. */
function flagsOf(member: MemberProcess): string[] {
  return [
    `--listen-client-urls=${secure(member.clientURL)}`,
    `--advertise-client-urls=${secure(member.clientURL)}`,
    `--listen-peer-urls=${secure(member.peerURL)}`,
    `--initial-advertise-peer-urls=${secure(member.peerURL)}`,
    `--initial-cluster=${members.map(({ name, peerURL }) => `${name}=${secure(peerURL)}`).join(',')}`,
    `--cert-file=${server.certFile}`,
    `--key-file=${server.keyFile}`,
    `--trusted-ca-file=${authority.caFile}`,
    '--client-cert-auth',
    `--peer-cert-file=${peer.certFile}`,
    `--peer-key-file=${peer.keyFile}`,
    `--peer-trusted-ca-file=${authority.caFile}`,
    '--peer-client-cert-auth',
    '--peer-cert-allowed-cn=peer',
  ]
}

async function clientOf(member: MemberProcess, files?: Issued): Promise<EtcdClient> {
  const ca = await readFile(authority.caFile)
  const channel =
    files === undefined
      ? credentials.createSsl(ca)
      : credentials.createSsl(ca, await readFile(files.keyFile), await readFile(files.certFile))
  const client = new EtcdClient(`localhost:${member.ports.client}`, channel)
  clients.push(client)
  return client
}

function member(index: number): MemberProcess {
  const found = members[index]
  assert.ok(found !== undefined)
  return found
}

async function shownCertificate({ ports }: MemberProcess, files: Issued): Promise<string> {
  const [ca, cert, key] = [
    await readFile(authority.caFile),
    await readFile(files.certFile),
    await readFile(files.keyFile),
  ]
  const socket = connect({ host: '127.0.0.1', port: ports.client, ca, cert, key })
  await once(socket, 'secureConnect')
  const name = socket.getPeerX509Certificate()?.subject ?? ''
  socket.destroy()
  return name
}

test('what is written with a client certificate through one member is read from all', async () => {
  const alice = await authority.issue('alice')
  const writer = await clientOf(member(0), alice)
  await writer.put('greeting', 'hello')
  for (const each of members) assert.equal(await (await clientOf(each, alice)).get('greeting'), 'hello')
})

test('without a client certificate, or without TLS, nobody is served', async () => {
  const { code } = await (await clientOf(member(0))).get('greeting').then(
    () => ({ code: 0 }),
    (error: { code: number }) => error,
  )
  assert.equal(code, 14)
  await assert.rejects(fetch(`${member(0).clientURL}/version`))
  await eventually('the reason is logged', async () => {
    assert.match(member(0).output, /rejected connection on client endpoint/)
    assert.match(member(0).output, /peer did not return a certificate/)
  })
})

test('certificates replaced on the disk are used by new connections while the old ones write on', async () => {
  const alice = await authority.issue('alice')
  const standing = await clientOf(member(1), alice)
  await standing.put('before', '1')
  await authority.issue('server', { commonName: 'renewed' })
  await authority.issue('peer', { commonName: 'peer' })
  assert.equal(await shownCertificate(member(1), alice), 'CN=renewed')
  assert.equal(await standing.get('before'), '1')
  await standing.put('after', '2')
})

test('a killed member comes back with the renewed certificates and catches up over TLS', async () => {
  const alice = await authority.issue('alice')
  const [killed, writer] = [member(2), await clientOf(member(0), alice)]
  await killed.kill('SIGKILL')
  await eventually('writes go on', () => writer.put('meanwhile', '3'))
  await killed.start(flagsOf(killed))
  await killed.isReady()
  const reader = await clientOf(killed, alice)
  assert.equal(await reader.get('meanwhile'), '3')
})

test('a peer with another common name is not taken, and both say why', async () => {
  const [stranger] = [member(2)]
  await stranger.kill('SIGTERM')
  const wrong = await authority.issue('mallory')
  const flags = flagsOf(stranger).map((flag) =>
    flag.replaceAll(peer.certFile, wrong.certFile).replaceAll(peer.keyFile, wrong.keyFile),
  )
  stranger.spawn(flags)
  await eventually('it is refused', async () => {
    assert.match(member(0).output + member(1).output, /rejected connection on peer endpoint/)
    assert.match(member(0).output + member(1).output, /client certificate authentication failed/)
  })
  await stranger.kill('SIGKILL')
})

test('files that do not fit together are refused before anything is served', async () => {
  const single = await rig.member('single')
  single.spawn([
    `--listen-client-urls=${secure(single.clientURL)}`,
    `--advertise-client-urls=${secure(single.clientURL)}`,
    `--cert-file=${server.certFile}`,
    `--key-file=${peer.keyFile}`,
  ])
  const { code } = await single.ended()
  assert.equal(code, 1)
  assert.match(single.output, /the key in .*peer-key\.pem does not belong to the certificate in .*server\.pem/)
})
