import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PingPolicy } from './ping-policy.ts'

const PING_BYTES = 17
/** Verdicts of pings at these times, each answered before the next comes; `sent`: other bytes that were written before. */
function verdicts(minTimeMs: number, pings: readonly (readonly [atMs: number, sent: number])[]): boolean[] {
  const policy = new PingPolicy(minTimeMs)
  let sent = 9 // settings
  return pings.map(([atMs, more], index) => {
    sent += more
    return policy.allows(atMs, sent + index * PING_BYTES)
  })
}

test('who keeps the minimum may ping forever', () => {
  const pings = Array.from({ length: 50 }, (_, i) => [i * 5000, 0] as const)
  assert.ok(verdicts(5000, pings).every(Boolean))
})

test('the third strike is one too many: the first ping is none', () => {
  const pings = [0, 1, 2, 3].map((atMs) => [atMs, 0] as const)
  assert.deepEqual(verdicts(5000, pings), [true, true, true, false])
})

test('strikes of pings far apart count as well, until something is sent', () => {
  const pings = [
    [0, 0],
    [1, 0],
    [10_000, 0],
    [10_001, 0],
    [20_000, 0],
    [20_001, 0],
  ] as const
  assert.deepEqual(verdicts(5000, pings), [true, true, true, true, true, false])
})

test('what the server sends takes the strikes back', () => {
  const pings = Array.from({ length: 40 }, (_, i) => [i, i % 3 === 0 ? 100 : 0] as const)
  assert.ok(verdicts(5000, pings).every(Boolean))
})

test('answers that are written late are not taken for anything else', () => {
  const policy = new PingPolicy(5000)
  const seen = [0, 1, 2, 3, 4].map((atMs) => policy.allows(atMs, 9)) // a burst: no answer is written yet
  assert.deepEqual(seen, [true, true, true, false, false])
  assert.equal(policy.allows(5, 9 + 5 * PING_BYTES), false)
})

test('a minimum of nothing lets everything pass', () => {
  assert.ok(
    verdicts(
      0,
      Array.from({ length: 20 }, () => [0, 0] as const),
    ).every(Boolean),
  )
})
