import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, settle } from '../../lib/testing/manual-clock.ts'
import { LEADER_HEARD_HEARTBEATS, WARM_UP, WARM_UP_BESIDE, type WarmUpLimits } from '../limits.ts'
import { WarmStart } from './warm-start.ts'

const HEARTBEAT_MS = 100
const silent = { info: () => undefined, warn: () => undefined }

/** What happens, in its order; a warm-up takes until it is ended. */
function scene() {
  const story: string[] = []
  const clock = new ManualClock()
  const end = Promise.withResolvers<void>()
  const work = async (_clock: unknown, limits?: WarmUpLimits, aborted?: AbortSignal): Promise<number> => {
    story.push(limits === WARM_UP ? 'warms up' : limits === WARM_UP_BESIDE ? 'warms up beside clients' : 'unknown')
    aborted?.addEventListener('abort', () => end.resolve())
    await end.promise
    story.push('is warm')
    return 0
  }
  const warmStart = new WarmStart(clock, silent, work)
  const serve = async (): Promise<void> => void story.push('serves')
  return { story, clock, warmStart, end: () => end.resolve(), serve }
}

test('a member with an empty directory warms up at once, and then serves clients', async () => {
  const { story, warmStart, serve, end } = scene()
  void warmStart.begin()
  const served = warmStart.beforeOrBeside(true, serve)
  assert.deepEqual(story, ['warms up'])
  end()
  await served
  assert.deepEqual(story, ['warms up', 'is warm', 'serves'])
})

test('one that comes back to a cluster with a leader serves clients first, and warms up beside them', async () => {
  const { story, clock, warmStart, serve, end } = scene()
  const begun = warmStart.beginUnlessLed(() => true, HEARTBEAT_MS)
  await clock.advance(LEADER_HEARD_HEARTBEATS * HEARTBEAT_MS)
  await begun
  const served = warmStart.beforeOrBeside(true, serve)
  await settle()
  assert.deepEqual(story, ['serves', 'warms up beside clients'])
  end()
  await served
})

test('one that hears of no leader warms up meanwhile, and clients wait for that, whoever leads by then', async () => {
  const { story, clock, warmStart, serve, end } = scene()
  const begun = warmStart.beginUnlessLed(() => false, HEARTBEAT_MS)
  assert.deepEqual(story, [], 'a leader that there is has not been heard yet')
  await clock.advance(LEADER_HEARD_HEARTBEATS * HEARTBEAT_MS)
  const served = warmStart.beforeOrBeside(true, serve)
  end()
  await Promise.all([begun, served])
  assert.deepEqual(story, ['warms up', 'is warm', 'serves'])
})

test('one that leads itself warms up before its clients come', async () => {
  const { story, warmStart, serve, end } = scene()
  const served = warmStart.beforeOrBeside(false, serve)
  end()
  await served
  assert.deepEqual(story, ['warms up', 'is warm', 'serves'])
})

test('nobody waits for it once the member stops', async () => {
  const { story, warmStart, serve } = scene()
  const served = warmStart.beforeOrBeside(false, serve)
  warmStart.stop()
  await served
  assert.deepEqual(story, ['warms up', 'is warm', 'serves'])
  const other = scene()
  other.warmStart.stop()
  await other.warmStart.begin()
  assert.deepEqual(other.story, [])
})
