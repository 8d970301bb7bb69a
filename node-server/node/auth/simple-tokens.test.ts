import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../../lib/testing/manual-clock.ts'
import { SimpleTokens } from './simple-tokens.ts'

const authenticated = (username: string, token: string): Parameters<SimpleTokens['applied']>[0] => ({
  kind: 'authenticated',
  username,
  token,
})

test('a token stands for its user until it was not used for its whole life', async () => {
  const clock = new ManualClock()
  const tokens = new SimpleTokens(clock, 1000)
  tokens.applied(authenticated('u', 'p.5'))
  await clock.advance(999)
  assert.equal(tokens.userOf('p.5'), 'u')
  await clock.advance(999)
  assert.equal(tokens.userOf('p.5'), 'u')
  await clock.advance(1000)
  assert.equal(tokens.userOf('p.5'), undefined)
  assert.equal(tokens.userOf('p.6'), undefined)
  assert.equal(tokens.size, 0)
})

test('tokens go with their user, and all of them when authentication is turned off', () => {
  const tokens = new SimpleTokens(new ManualClock(), 1000)
  for (const [username, token] of [
    ['u', 'a.1'],
    ['v', 'b.2'],
    ['u', 'c.3'],
  ] as const)
    // prettier-ignore
    tokens.applied(authenticated(username, token))
  tokens.applied({ kind: 'signed-out', username: 'u' })
  assert.deepEqual(
    ['a.1', 'b.2', 'c.3'].map((token) => tokens.userOf(token)),
    [undefined, 'v', undefined],
  )
  tokens.applied({ kind: 'disabled' })
  assert.equal(tokens.userOf('b.2'), undefined)
})

test('beyond the bound the token goes that was not used for longest', () => {
  const tokens = new SimpleTokens(new ManualClock(), 1000, 3)
  for (const token of ['a.1', 'b.2', 'c.3']) tokens.applied(authenticated('u', token))
  assert.equal(tokens.userOf('a.1'), 'u')
  tokens.applied(authenticated('u', 'd.4'))
  assert.equal(tokens.size, 3)
  assert.deepEqual(
    ['a.1', 'b.2', 'c.3', 'd.4'].map((token) => tokens.userOf(token)),
    ['u', undefined, 'u', 'u'],
  )
})

test('what ended is forgotten as others come, whether it is asked for or not', async () => {
  const clock = new ManualClock()
  const tokens = new SimpleTokens(clock, 1000)
  for (let i = 0; i < 10; i++) tokens.applied(authenticated('u', `a.${i}`))
  await clock.advance(1000)
  tokens.applied(authenticated('u', 'b.1'))
  assert.equal(tokens.size, 1)
})

test('a token names its entry; what does not is none', () => {
  const tokens = new SimpleTokens(new ManualClock(), 1000)
  assert.match(tokens.newPrefix(), /^[a-zA-Z]{16}$/)
  assert.notEqual(tokens.newPrefix(), tokens.newPrefix())
  assert.equal(tokens.indexOf('abc.17'), 17)
  for (const token of ['', 'abc', 'abc.', 'a.b.1', 'abc.-1', 'abc.x', `abc.${'9'.repeat(30)}`])
    assert.equal(tokens.indexOf(token), undefined, token)
})
