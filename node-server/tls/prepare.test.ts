import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { TlsOptions } from './options.ts'
import { prepareTls } from './prepare.ts'
import { makeAuthority, tlsOptions, type Issued } from './testing/authority.ts'

let directory: string
let issued: Issued
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkv-prepare-'))
  issued = await (await makeAuthority(directory)).issue('member')
})
after(() => rm(directory, { recursive: true }))

async function prepare(
  tls: TlsOptions | undefined,
  side: 'client' | 'peer' = 'client',
  listenURLs: readonly string[] = ['https://127.0.0.1:2379', 'https://[::1]:2379', 'https://localhost:2379'],
  name = 'data',
): Promise<{ prepared: Awaited<ReturnType<typeof prepareTls>>; lines: string[] }> {
  const lines: string[] = []
  const write = (_fields: object, message: string): number => lines.push(message)
  const log = { info: write, warn: write }
  const prepared = await prepareTls({ tls, side, dataDirectory: join(directory, name), listenURLs, log })
  return { prepared, lines }
}

test('without TLS there is nothing to prepare', async () => {
  assert.deepEqual(await prepare(undefined), { prepared: { ok: true, value: undefined }, lines: [] })
})

test('auto TLS makes a certificate once, for the hosts that are listened on, for so many years', async () => {
  const { prepared, lines } = await prepare(tlsOptions({ autoTls: true, selfSignedCertValidity: 3 }))
  assert.ok(prepared.ok && prepared.value?.certFile !== undefined && prepared.value.keyFile !== undefined)
  const { certFile, keyFile } = prepared.value
  assert.equal(certFile, join(directory, 'data', 'fixtures', 'client', 'cert.pem'))
  assert.deepEqual(lines, ['automatically generate certificates'])
  const pem = await readFile(certFile, 'utf8')
  const certificate = new X509Certificate(pem)
  assert.equal(certificate.subject, 'O=etcd')
  assert.equal(certificate.subjectAltName, 'IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:localhost')
  const days = (certificate.validToDate.getTime() - Date.now()) / 86_400_000
  assert.ok(Math.abs(days - 3 * 365) < 1, `${days} days`)
  assert.equal((await stat(keyFile)).mode & 0o777, 0o600)

  const again = await prepare(tlsOptions({ autoTls: true }))
  assert.deepEqual(again.lines, [])
  assert.equal(await readFile(certFile, 'utf8'), pem)
})

test('given certificates win over auto TLS', async () => {
  const given = tlsOptions({ certFile: issued.certFile, keyFile: issued.keyFile, autoTls: true })
  const { prepared, lines } = await prepare(given)
  assert.equal(prepared.ok && prepared.value?.certFile, issued.certFile)
  assert.equal(prepared.ok && prepared.value?.autoTls, false)
  assert.deepEqual(lines, ['ignoring client auto TLS since certs given'])
})

test('peers that make certificates for themselves cannot verify each other: what asks for it is told to be ignored', async () => {
  const asked = tlsOptions({ autoTls: true, clientCertAuth: true, allowedCNs: ['a'] })
  const { prepared, lines } = await prepare(asked, 'peer', ['https://127.0.0.1:2380'], 'peer-data')
  assert.ok(prepared.ok && prepared.value !== undefined)
  assert.deepEqual([prepared.value.clientCertAuth, prepared.value.allowedCNs], [false, []])
  assert.match(lines.join('\n'), /certificates of the others are not verified/)
})

test('client certificates stay required with auto TLS', async () => {
  const { prepared } = await prepare(tlsOptions({ autoTls: true, clientCertAuth: true }))
  assert.equal(prepared.ok && prepared.value?.clientCertAuth, true)
})

test('http URLs beside certificates are warned of as etcd does', async () => {
  const given = tlsOptions({ certFile: issued.certFile, keyFile: issued.keyFile, clientCertAuth: true })
  const { lines } = await prepare(given, 'client', ['http://127.0.0.1:1', 'unix://x', 'https://127.0.0.1:2'])
  assert.deepEqual(lines, [
    'scheme is http or unix while key and cert files are present; ignoring key and cert files',
    'scheme is http or unix while --client-cert-auth is enabled; ignoring client cert auth for this URL',
    'scheme is http or unix while key and cert files are present; ignoring key and cert files',
    'scheme is http or unix while --client-cert-auth is enabled; ignoring client cert auth for this URL',
  ])
})

test('an address that is to take both schemes is no oddity', async () => {
  const given = tlsOptions({ certFile: issued.certFile, keyFile: issued.keyFile, clientCertAuth: true })
  const { lines } = await prepare(given, 'client', ['http://127.0.0.1:1', 'https://127.0.0.1:1'])
  assert.deepEqual(lines, [])
})

const refusals: readonly [string, Partial<TlsOptions>, RegExp][] = [
  [
    'a key without a certificate',
    { keyFile: 'key.pem' },
    /KeyFile and CertFile must both be present\[key: key\.pem, cert: \]/,
  ],
  [
    'a file that is not there',
    { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' },
    /cannot read \/nowhere\/cert\.pem/,
  ],
  ['a certificate for dialling without its key', { clientCertFile: 'c.pem' }, /must both be present or both absent/],
  ['a validity of nothing', { autoTls: true, selfSignedCertValidity: 0 }, /selfSignedCertValidity is invalid/],
  ['an unknown suite', { cipherSuites: ['x'] }, /unexpected TLS cipher suite "x"/],
]
for (const [title, given, message] of refusals) {
  test(`${title} is refused in words`, async () => {
    const { prepared } = await prepare(tlsOptions(given), 'client', [], 'refused')
    assert.match(prepared.ok ? '' : prepared.error, message)
  })
}
