import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from './budget.ts'
import { ClosedStreams } from './closed-streams.ts'

test('so many at once, then so many each second, and never more saved than that', () => {
  const budget = new Budget(3, 10, 0)
  const taken = (nowMs: number): number => {
    for (let count = 0; ; count++) if (!budget.take(nowMs)) return count
  }
  assert.equal(taken(0), 3)
  assert.equal(taken(99), 0)
  assert.equal(taken(299), 2)
  assert.equal(taken(1_000_000), 3)
})

test('how a stream has ended is known for the last ones', () => {
  const closed = new ClosedStreams()
  closed.add(1, false)
  closed.add(3, true)
  assert.deepEqual([closed.find(1), closed.find(3), closed.find(5)], ['ended', 'reset-by-us', 'unknown'])
  closed.add(1 + 2 * 128, true)
  assert.deepEqual([closed.find(1), closed.find(257)], ['unknown', 'reset-by-us'])
})
