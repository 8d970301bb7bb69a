import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { CredentialSource, type TlsLog } from './credentials.ts'
import { makeAuthority, type Authority, type Issued } from './testing/authority.ts'

let directory: string
let authority: Authority
let issued: Issued
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkv-credentials-'))
  authority = await makeAuthority(directory)
  issued = await authority.issue('member')
})
after(() => rm(directory, { recursive: true }))

const lines: string[] = []
const log: TlsLog = {
  info: (_fields, message) => lines.push(message),
  warn: (fields, message) => lines.push(`${message} ${JSON.stringify(fields)}`),
}
let nowMs = 0
const open = (certFile: string, keyFile: string, caFile?: string): ReturnType<typeof CredentialSource.open> =>
  CredentialSource.open({ certFile, keyFile, caFile }, log, () => nowMs)
async function file(name: string, content: string): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}

const refusals: readonly [string, () => Promise<ReturnType<typeof open>>, RegExp][] = [
  [
    'a missing file',
    async () => open(join(directory, 'nowhere.pem'), issued.keyFile),
    /^cannot read .*nowhere\.pem: ENOENT/,
  ],
  [
    'a file without a certificate',
    async () => open(issued.keyFile, issued.keyFile),
    /^there is no certificate in .*member-key\.pem/,
  ],
  [
    'a certificate that is damaged',
    async () =>
      open(await file('bad.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'), issued.keyFile),
    /^the certificate in .*bad\.pem cannot be read/,
  ],
  [
    'a file without a key',
    async () => open(issued.certFile, issued.certFile),
    /^there is no private key in .*member\.pem/,
  ],
  [
    'the key of another certificate',
    async () => open(issued.certFile, (await authority.issue('other')).keyFile),
    /^the key in .*other-key\.pem does not belong to the certificate in .*member\.pem/,
  ],
  [
    'a CA file without a certificate',
    async () => open(issued.certFile, issued.keyFile, issued.keyFile),
    /^there is no certificate in/,
  ],
]
for (const [title, attempt, message] of refusals) {
  test(`${title} is refused in words that name it`, async () => {
    const opened = await attempt()
    assert.ok(!opened.ok)
    assert.match(opened.error, message)
  })
}

test('an expired certificate is reported and used, as in etcd', async () => {
  lines.length = 0
  const { certFile, keyFile } = await authority.issue('old', { validDays: -1 })
  assert.equal(open(certFile, keyFile).ok, true)
  assert.match(lines.join(), /the certificate has expired .*old\.pem/)
})

test('the same object comes back until a file changes', async () => {
  const turning = await authority.issue('turning')
  const opened = open(turning.certFile, turning.keyFile, authority.caFile)
  assert.ok(opened.ok)
  const first = opened.value.current()
  assert.equal(opened.value.current(), first)
  await authority.issue('turning')
  assert.notDeepEqual(opened.value.current().cert, first.cert)
})

for (const content of ['', 'nothing']) {
  test(`of files that broke ('${content}') is told once a minute, what was there before goes on until they are whole`, async () => {
    const turning = await authority.issue('breaking')
    const opened = open(turning.certFile, turning.keyFile)
    assert.ok(opened.ok)
    const first = opened.value.current()
    assert.equal(opened.value.problem, undefined)
    await writeFile(turning.certFile, content)
    lines.length = 0
    for (let i = 0; i < 3; i++) assert.equal(opened.value.current(), first)
    assert.equal(lines.length, 1)
    assert.match(opened.value.problem ?? '', /^there is no certificate in .*breaking\.pem/)
    nowMs += 60_000
    for (let i = 0; i < 3; i++) assert.equal(opened.value.current(), first)
    assert.equal(lines.length, 2)
    await authority.issue('breaking')
    assert.notEqual(opened.value.current(), first)
    assert.equal(opened.value.problem, undefined)
  })
}

test('while key and certificate do not belong together, the pair that did is used', async () => {
  const pair = await authority.issue('pair')
  const opened = open(pair.certFile, pair.keyFile)
  assert.ok(opened.ok)
  const first = opened.value.current()
  const next = await authority.issue('next-pair')
  await writeFile(pair.certFile, await readFile(next.certFile))
  assert.equal(opened.value.current(), first)
  assert.match(opened.value.problem ?? '', /pair-key\.pem does not belong to the certificate in .*pair\.pem/)
  await writeFile(pair.keyFile, await readFile(next.keyFile))
  assert.match(opened.value.current().leaf?.subject ?? '', /next-pair/)
})

test('what Kubernetes does with a Secret: a symbolic link on the way to all files is switched at once', async () => {
  const versions = await Promise.all(
    ['one', 'two'].map(async (name) => {
      const folder = join(directory, `..version-${name}`)
      await mkdir(folder)
      const { certFile, keyFile } = await authority.issue(`secret-${name}`)
      await rename(certFile, join(folder, 'tls.crt'))
      await rename(keyFile, join(folder, 'tls.key'))
      return folder
    }),
  )
  const link = join(directory, '..data')
  await symlink(versions[0] ?? '', link)
  const opened = open(join(link, 'tls.crt'), join(link, 'tls.key'))
  assert.ok(opened.ok)
  assert.match(opened.value.current().leaf?.subject ?? '', /secret-one/)
  await symlink(versions[1] ?? '', `${link}.new`)
  await rename(`${link}.new`, link)
  assert.match(opened.value.current().leaf?.subject ?? '', /secret-two/)
  assert.equal(opened.value.problem, undefined)
})

test('several CAs may stand in one file', async () => {
  const other = await makeAuthority(directory, 'other-ca')
  const both = await file(
    'both.pem',
    `${await readFile(authority.caFile, 'utf8')}\n${await readFile(other.caFile, 'utf8')}`,
  )
  const opened = open(issued.certFile, issued.keyFile, both)
  assert.equal(opened.ok && opened.value.current().ca?.length, 2)
})
