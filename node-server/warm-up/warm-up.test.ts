import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../lib/clock.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { WARM_UP } from '../limits.ts'
import { warmUp } from './warm-up.ts'

/** However slow the machine is. */
const LONG_MS = 60_000
const calls = { connections: 2, callsInFlight: 4 }

test('every call succeeds, at the leader and at the follower, and ends the warm-up', async () => {
  assert.equal(await warmUp(systemClock, { ...calls, ms: LONG_MS, calls: 400 }), 400)
})

test('a second one finds nothing of the first', async () => {
  assert.equal(await warmUp(systemClock, { ...calls, ms: LONG_MS, calls: 40 }), 40)
})

test('it ends when its time is over, however many calls there were to come', async () => {
  const timers: (() => void)[] = []
  const over = Promise.withResolvers<void>()
  /** The time of the warm-up is over when the test says so. */
  const clock: Clock = {
    ...systemClock,
    setTimer: (delayMs, fire) => {
      if (delayMs !== LONG_MS) return systemClock.setTimer(delayMs, fire)
      timers.push(fire)
      over.resolve()
      return { cancel: () => undefined }
    },
  }
  const done = warmUp(clock, { ...calls, ms: LONG_MS, calls: Number.MAX_SAFE_INTEGER })
  await over.promise
  for (const fire of timers) fire()
  assert.ok((await done) >= 0)
})

test('clients wait for it a second at most', () => {
  assert.ok(WARM_UP.ms <= 1000)
})
