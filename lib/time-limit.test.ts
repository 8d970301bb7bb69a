import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { ManualClock } from './testing/manual-clock.ts'
import { withTimeLimit } from './time-limit.ts'

const until = async (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)))

test('the signal aborts after the time, with a TimeoutError', async () => {
  const clock = new ManualClock()
  const reason = withTimeLimit(clock, 1000, undefined, until)
  await clock.advance(1000)
  assert.deepEqual([(await reason) instanceof Error && (await reason)].map(String), [
    'TimeoutError: no answer within 1000 ms',
  ])
})

test('the signal aborts with the outer one, also with one that has', async () => {
  const clock = new ManualClock()
  const outer = new AbortController()
  const reason = withTimeLimit(clock, 1000, outer.signal, until)
  outer.abort('stop')
  assert.equal(await reason, 'stop')
  assert.equal(await withTimeLimit(clock, 1000, outer.signal, async (signal) => Promise.resolve(signal.reason)), 'stop')
})

test('nothing is left behind, however the call ends', async () => {
  const clock = new ManualClock()
  const outer = new AbortController()
  let seen: AbortSignal | undefined
  await withTimeLimit(clock, 1000, outer.signal, async (signal) => void (seen = signal))
  await assert.rejects(
    withTimeLimit(clock, 1000, outer.signal, async () => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.equal(getEventListeners(outer.signal, 'abort').length, 0)
  await clock.advance(2000)
  assert.equal(seen?.aborted, false)
})
