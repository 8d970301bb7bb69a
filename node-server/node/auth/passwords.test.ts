import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_HASHES_AT_ONCE, MAX_WAITING_HASHES } from '../../limits.ts'
import { BcryptPasswords, MAX_PASSWORD_SIZE_BYTES } from './passwords.ts'

const passwords = new BcryptPasswords(4)
async function hashOf(password: string): Promise<Buffer> {
  const hashed = await passwords.hash(password)
  assert.ok(hashed.ok)
  return Buffer.from(hashed.value)
}

test('a password is told from another by its hash, which has the cost and is another each time', async () => {
  const hash = await hashOf('päss\0word')
  assert.match(hash.toString(), /^\$2b\$04\$/)
  assert.notDeepEqual(await hashOf('päss\0word'), hash)
  assert.deepEqual(await passwords.matches('päss\0word', hash), { ok: true, value: true })
  for (const other of ['päss', 'päss\0words', ''])
    assert.deepEqual(await passwords.matches(other, hash), { ok: true, value: false })
})

test('what is no hash is matched by nothing', async () => {
  for (const hash of [Buffer.alloc(0), Buffer.of(0xff, 0), Buffer.from('$2b$04$short')])
    assert.deepEqual(await passwords.matches('', hash), { ok: true, value: false })
})

test('hashes of Go’s library are understood', async () => {
  const hash = Buffer.from('$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga') // allmine, of its tests
  assert.deepEqual(await passwords.matches('allmine', hash), { ok: true, value: true })
})

test('a password is as long as bcrypt takes it, to its last byte', async () => {
  const longest = 'é'.repeat(MAX_PASSWORD_SIZE_BYTES / 2)
  await hashOf(longest)
  assert.deepEqual(await passwords.hash(`${longest}x`), { ok: false, error: 'password-too-long' })
})

test('few are worked on at once, some wait, and more are refused', async () => {
  const hash = await hashOf('x')
  const asked = Array.from({ length: MAX_WAITING_HASHES + 10 }, () => passwords.matches('x', hash))
  const answers = await Promise.all(asked)
  const refused = answers.filter((answer) => !answer.ok)
  assert.equal(refused.length, 10 - MAX_HASHES_AT_ONCE)
  assert.deepEqual(await passwords.matches('x', hash), { ok: true, value: true })
})
