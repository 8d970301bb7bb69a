import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../lib/testing/manual-clock.ts'
import { FaultyClock } from './faulty-clock.ts'

test('steady time drifts and leaps ahead, and never goes back, whatever the rate becomes', async () => {
  const clock = new ManualClock()
  const faulty = new FaultyClock(clock)
  const startMs = faulty.monotonicMs()
  await clock.advance(100)
  faulty.setRate(2)
  await clock.advance(100)
  assert.equal(faulty.monotonicMs() - startMs, 300)
  faulty.setRate(0.5)
  assert.equal(faulty.monotonicMs() - startMs, 300, 'a new rate counts from now on')
  await clock.advance(100)
  assert.equal(faulty.monotonicMs() - startMs, 350)
  faulty.leap(5000)
  assert.equal(faulty.monotonicMs() - startMs, 5350)
})

test('wall time jumps either way and leaves steady time alone', () => {
  const clock = new ManualClock()
  const faulty = new FaultyClock(clock)
  const before = [faulty.wallMs(), faulty.monotonicMs()]
  faulty.jumpWall(-3_600_000)
  assert.deepEqual([faulty.wallMs(), faulty.monotonicMs()], [(before[0] ?? 0) - 3_600_000, before[1]])
})

test('a timer fires when its delay has passed on this clock', async () => {
  const clock = new ManualClock()
  const faulty = new FaultyClock(clock)
  faulty.setRate(2)
  let hasFired = false
  faulty.setTimer(100, () => (hasFired = true))
  await clock.advance(49)
  assert.equal(hasFired, false)
  await clock.advance(1)
  assert.equal(hasFired, true)
})
