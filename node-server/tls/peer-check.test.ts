import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { checkRemoteAddress, commonName, isFor, type Resolver } from './peer-check.ts'
import { makeAuthority, type Authority } from './testing/authority.ts'

let directory: string
let authority: Authority
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkv-peer-check-'))
  authority = await makeAuthority(directory)
})
after(() => rm(directory, { recursive: true }))

async function certificate(hosts: readonly string[]): Promise<X509Certificate> {
  const { certFile } = await authority.issue('subject', { hosts })
  return new X509Certificate(await readFile(certFile))
}

const nobody: Resolver = {
  lookup: () => Promise.reject(new Error('ENOTFOUND')),
  reverse: () => Promise.reject(new Error('ENOTFOUND')),
}
const resolver = (names: Readonly<Record<string, string>>): Resolver => ({
  lookup: (name) => Promise.resolve(names[name] === undefined ? [] : [{ address: names[name] }]),
  reverse: (address) => Promise.resolve(names[address] === undefined ? [] : [names[address]]),
})

// etcd: client/pkg/transport/listener_tls.go, checkCertSAN
const cases: readonly [string, readonly string[], string, Resolver, boolean][] = [
  ['names nobody', [], '10.0.0.1', nobody, true],
  ['has the address', ['10.0.0.1'], '10.0.0.1', nobody, true],
  ['has the address, which comes mapped into IPv6', ['10.0.0.1'], '::ffff:10.0.0.1', nobody, true],
  ['has another address', ['10.0.0.2'], '10.0.0.1', nobody, false],
  [
    'has another address and a name that resolves to it',
    ['10.0.0.2', 'a.test'],
    '10.0.0.1',
    resolver({ 'a.test': '10.0.0.1' }),
    true,
  ],
  ['has a name that resolves to the address', ['a.test'], '10.0.0.1', resolver({ 'a.test': '10.0.0.1' }), true],
  ['has a name that the address resolves to', ['a.test'], '10.0.0.1', resolver({ '10.0.0.1': 'a.test.' }), true],
  [
    'has a wildcard that the name of the address fits',
    ['*.test'],
    '10.0.0.1',
    resolver({ '10.0.0.1': 'pod.test.' }),
    true,
  ],
  ['has a wildcard of another domain', ['*.example'], '10.0.0.1', resolver({ '10.0.0.1': 'pod.test.' }), false],
  ['has a name that resolves elsewhere', ['a.test'], '10.0.0.1', resolver({ 'a.test': '10.0.0.9' }), false],
  ['has a name that nobody knows', ['a.test'], '10.0.0.1', nobody, false],
]
for (const [title, hosts, address, names, isLetIn] of cases) {
  test(`a member whose certificate ${title} is ${isLetIn ? 'let in' : 'kept out'}`, async () => {
    const verdict = await checkRemoteAddress(await certificate(hosts), address, names)
    assert.equal(verdict.ok, isLetIn)
    if (!verdict.ok) assert.match(verdict.error, /10\.0\.0\.1/)
  })
}

test('a hostname is looked for among names and addresses, never in the common name', async () => {
  const subject = await certificate(['a.test', '*.wild.test', '10.0.0.1'])
  assert.equal(commonName(subject), 'subject')
  const found = ['a.test', 'x.wild.test', '10.0.0.1', 'subject', 'x.y.wild.test', '10.0.0.2'].map((host) =>
    isFor(subject, host),
  )
  assert.deepEqual(found, [true, true, true, false, false, false])
})
