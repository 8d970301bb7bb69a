import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex } from '../../../lib/ids.ts'
import { Reads } from './reads.ts'

test('readers that come during a round share the next one; each waits until its index is applied (thesis §6.4)', async () => {
  const reads = new Reads(500)
  const first = reads.add(1000)
  const round = reads.nextRound(0)
  assert.equal(round, 1)
  const second = reads.add(1000)
  const third = reads.add(1000)
  assert.equal(reads.nextRound(1), undefined, 'one round at a time')
  reads.confirmed(1, LogIndex(7))
  assert.equal(reads.nextRound(2), 2)
  reads.confirmed(2, LogIndex(9))
  reads.applied(LogIndex(6))
  reads.applied(LogIndex(7))
  assert.equal(await first, 'ready')
  let isSecondDone = false
  void second.then(() => (isSecondDone = true))
  await Promise.resolve()
  assert.equal(isSecondDone, false, 'index 9 is not applied')
  reads.applied(LogIndex(9))
  assert.deepEqual(await Promise.all([second, third]), ['ready', 'ready'])
})

test('a round that was dropped or got no answer is asked again, and its late answer counts for nobody', async () => {
  const reads = new Reads(500)
  const reader = reads.add(5000)
  assert.equal(reads.nextRound(0), 1)
  reads.dropped(1)
  assert.equal(reads.nextRound(1), 2)
  assert.equal(reads.nextRound(500), undefined)
  assert.equal(reads.nextRound(501), 3, 'no answer within 500 ms')
  reads.confirmed(2, LogIndex(1))
  reads.applied(LogIndex(1))
  reads.confirmed(3, LogIndex(2))
  reads.applied(LogIndex(2))
  assert.equal(await reader, 'ready')
})

test('nothing is asked while there is no way to the leader, and all that waits for it shares a round when there is one', async () => {
  const reads = new Reads(500)
  const readers = [reads.add(5000), reads.add(5000)]
  assert.equal(reads.nextRound(0, false), undefined)
  assert.equal(reads.nextRound(100, true), 1)
  reads.confirmed(1, LogIndex(2))
  reads.applied(LogIndex(2))
  assert.deepEqual(await Promise.all(readers), ['ready', 'ready'])
})

test('a reader is let go at its deadline, and at the end', async () => {
  const reads = new Reads(500)
  const early = reads.add(100)
  const late = reads.add(10_000)
  reads.expire(100)
  assert.equal(await early, 'timeout')
  reads.stop()
  assert.equal(await late, 'stopped')
})
