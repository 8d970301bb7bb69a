import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { AssertionFailed } from '../../lib/assert.ts'
import type { Pace, ReconcileContext, ReconcileResult } from './controller.ts'
import { Controller, waitForSync } from './controller.ts'
import { ManualClock } from '../../lib/testing/manual-clock.ts'

type Reconcile = (key: string, context: ReconcileContext) => Promise<ReconcileResult>

function controllerOf(reconcile: Reconcile, options: { keys?: string[]; maxConcurrent?: number; pace?: Pace } = {}) {
  const clock = new ManualClock()
  const outcomes: string[] = []
  const bugs: string[] = []
  let ids = 0
  const controller = new Controller({
    name: 'test',
    reconcile,
    clock,
    logger: pino({ level: 'silent' }),
    logFields: (key) => ({ key }),
    newId: () => String(++ids),
    observer: { taken: () => undefined, finished: (outcome) => outcomes.push(outcome) },
    onBug: (key, error) => bugs.push(`${key}: ${String(error)}`),
    maxConcurrent: options.maxConcurrent ?? 2,
    reconcileTimeoutMs: 60_000,
    resyncPeriodMs: 120_000,
    keys: () => options.keys ?? [],
    ...(options.pace !== undefined && { pace: options.pace }),
  })
  return { controller, clock, outcomes, bugs }
}

const forever = async (): Promise<never> => new Promise(() => undefined)

test('nothing is reconciled before the start, everything that waited afterwards', async () => {
  const seen: string[] = []
  const { controller, clock } = controllerOf(async (key) => {
    seen.push(key)
    return { kind: 'done' }
  })
  controller.enqueue('a')
  controller.enqueue('b')
  await clock.advance(1000)
  assert.deepEqual(seen, [])
  controller.start()
  await clock.advance(0)
  assert.deepEqual(seen, ['a', 'b'])
})

test('a key is in one worker only, and is reconciled again when it changed meanwhile', async () => {
  const releases: (() => void)[] = []
  let most = 0
  let now = 0
  const { controller, clock } = controllerOf(async () => {
    most = Math.max(most, ++now)
    await new Promise<void>((resolve) => releases.push(resolve))
    now--
    return { kind: 'done' }
  })
  controller.start()
  for (let i = 0; i < 3; i++) controller.enqueue('a')
  await clock.advance(0)
  controller.enqueue('a')
  await clock.advance(0)
  assert.equal(releases.length, 1)
  releases[0]?.()
  await clock.advance(0)
  assert.equal(releases.length, 2)
  releases[1]?.()
  await clock.advance(0)
  assert.deepEqual([most, releases.length], [1, 2])
})

test('who waits for an answer holds up only its own key, and no more than so many wait at once', async () => {
  const answers: (() => void)[] = []
  const seen: string[] = []
  const { controller, clock } = controllerOf(
    async (key, { whileWaiting }) => {
      if (key.startsWith('dead')) await whileWaiting(new Promise<void>((resolve) => answers.push(resolve)))
      else seen.push(key)
      return { kind: 'done' }
    },
    { maxConcurrent: 2 },
  )
  controller.start()
  for (let i = 0; i < 31; i++) controller.enqueue(`dead${i}`)
  controller.enqueue('alive')
  await clock.advance(0)
  assert.deepEqual(seen, ['alive'])
  assert.deepEqual([controller.activeWorkers, controller.underWay], [0, 31])
  for (let i = 31; i < 40; i++) controller.enqueue(`dead${i}`)
  await clock.advance(0)
  assert.equal(controller.underWay, 32)
  for (const answer of answers) answer()
  await clock.advance(0)
  assert.equal(answers.length, 40)
})

test('after its answer a key is worked on as before, and is in no second worker', async () => {
  const steps: string[] = []
  const { controller, clock } = controllerOf(
    async (key, { whileWaiting }) => {
      steps.push(`${key} begins`)
      await whileWaiting(Promise.resolve())
      steps.push(`${key} goes on`)
      return forever()
    },
    { maxConcurrent: 1 },
  )
  controller.start()
  controller.enqueue('a')
  await clock.advance(0)
  controller.enqueue('a')
  controller.enqueue('b')
  await clock.advance(0)
  assert.deepEqual(steps, ['a begins', 'a goes on'])
  assert.equal(controller.activeWorkers, 1)
})

test('at most maxConcurrent keys are worked on at once', async () => {
  const { controller, clock } = controllerOf(forever, { maxConcurrent: 3 })
  controller.start()
  for (let i = 0; i < 10; i++) controller.enqueue(`k${i}`)
  await clock.advance(0)
  assert.equal(controller.activeWorkers, 3)
  assert.equal(controller.queue.waiting.size, 7)
})

test('results become queue actions: requeue after, retry with growing delay or as asked, forget', async () => {
  const at: number[] = []
  const results: ReconcileResult[] = [
    { kind: 'retry', error: new Error('one') },
    { kind: 'retry', error: new Error('two') },
    { kind: 'done', requeueAfterMs: 1000 },
    { kind: 'retry', error: new Error('three') },
    { kind: 'retry', error: new Error('four'), requeueAfterMs: 200 },
    { kind: 'retry', error: new Error('five') },
    { kind: 'done' },
  ]
  const { controller, clock, outcomes } = controllerOf(async () => {
    at.push(clock.monotonicMs())
    return results.shift() ?? { kind: 'done' }
  })
  controller.start()
  controller.enqueue('a')
  await clock.advance(5000)
  assert.deepEqual(at, [0, 5, 15, 1015, 1020, 1220, 1225])
  assert.deepEqual(outcomes, ['error', 'error', 'requeue_after', 'error', 'error', 'error', 'success'])
})

test('a thrown error is a bug of one key: it is told and tried again, and the others go on', async () => {
  const { controller, clock, outcomes, bugs } = controllerOf(async (key) => {
    if (key === 'bug') throw new AssertionFailed('broken')
    return { kind: 'done' }
  })
  controller.start()
  controller.enqueue('a')
  controller.enqueue('bug')
  await clock.advance(0)
  assert.deepEqual(outcomes, ['success', 'error'])
  assert.deepEqual(bugs, ['bug: AssertionFailed: broken'])
})

test('a reconcile that takes too long is aborted, and keeps its key until it has ended', async () => {
  const signals: AbortSignal[] = []
  const releases: (() => void)[] = []
  const { controller, clock } = controllerOf(async (_, { signal }) => {
    signals.push(signal)
    await new Promise<void>((resolve) => releases.push(resolve))
    return { kind: 'retry', error: signal.reason }
  })
  controller.start()
  controller.enqueue('a')
  await clock.advance(59_999)
  assert.equal(signals[0]?.aborted, false)
  await clock.advance(1)
  assert.equal(signals[0]?.aborted, true)
  controller.enqueue('a')
  await clock.advance(0)
  assert.equal(signals.length, 1)
  releases[0]?.()
  await clock.advance(0)
  assert.equal(signals.length, 2)
})

test('all keys are enqueued at the start and with every resync', async () => {
  const seen: string[] = []
  const { controller, clock } = controllerOf(
    async (key) => {
      seen.push(key)
      return { kind: 'done' }
    },
    { keys: ['a', 'b'] },
  )
  controller.start()
  await clock.advance(119_999)
  assert.deepEqual(seen, ['a', 'b'])
  await clock.advance(1)
  assert.deepEqual(seen, ['a', 'b', 'a', 'b'])
})

const PACE: Pace = { idleLooksPerSecond: 8, startLooksPerSecond: 50, random: () => 0 }
const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `k${index}`)

test('with a pace, the start does not fill the queue: an event is served at once', async () => {
  const seen: string[] = []
  const { controller, clock } = controllerOf(
    async (key) => {
      seen.push(key)
      return { kind: 'done' }
    },
    { keys: many(1000), pace: PACE },
  )
  for (const key of many(1000)) controller.enqueue(key)
  controller.start()
  await clock.advance(1000)
  assert.ok(seen.length >= 45 && seen.length <= 55, `${seen.length} looks in the first second`)
  controller.enqueue('k999')
  await clock.advance(0)
  assert.equal(seen.at(-1), 'k999')
  await clock.advance(20_000)
  assert.deepEqual([seen.length, new Set(seen).size], [1000, 1000])
})

test('with a pace, idle keys share 8 looks a second, few of them as often as asked, none less often than the resync', async () => {
  for (const [count, everyMs] of [
    [10, 5000],
    [400, 50_000],
    [4000, 120_000],
  ] as const) {
    const at: number[] = []
    const { controller, clock } = controllerOf(
      async (key) => {
        if (key === 'k0') at.push(clock.monotonicMs())
        return { kind: 'done', requeueAfterMs: 5000, isIdle: true }
      },
      { keys: many(count), pace: { ...PACE, startLooksPerSecond: 1e6 } },
    )
    controller.start()
    await clock.advance(everyMs * 2 + 10)
    assert.deepEqual(at.map((ms) => Math.round(ms)), [0, everyMs, 2 * everyMs]) // prettier-ignore
  }
})

test('with a pace, what is under way is looked at as soon as it asks for', async () => {
  const at: number[] = []
  const { controller, clock } = controllerOf(
    async (key) => {
      if (key === 'k0') at.push(clock.monotonicMs())
      return { kind: 'done', requeueAfterMs: 200, isIdle: key !== 'k0' }
    },
    { keys: many(1000), pace: PACE },
  )
  controller.start()
  await clock.advance(1000)
  assert.deepEqual(at, [0, 200, 400, 600, 800, 1000])
})

test('with a pace, a resync takes in the keys that nobody has promised to look at, and no others', async () => {
  const seen: string[] = []
  const { controller, clock } = controllerOf(
    async (key) => {
      seen.push(key)
      return key === 'forgotten' ? { kind: 'done' } : { kind: 'done', requeueAfterMs: 100_000 }
    },
    { keys: ['forgotten', 'promised'], pace: PACE },
  )
  controller.start()
  await clock.advance(119_000)
  assert.deepEqual(seen, ['forgotten', 'promised', 'promised'])
  await clock.advance(2000)
  assert.deepEqual(seen, ['forgotten', 'promised', 'promised', 'forgotten'])
})

test('draining takes no more keys, waits for those under way, and aborts them after its time', async () => {
  const signals: AbortSignal[] = []
  const { controller, clock } = controllerOf(async (key, { signal }) => {
    signals.push(signal)
    if (key === 'stubborn') await forever()
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return { kind: 'done' }
  })
  controller.start()
  controller.enqueue('polite')
  await clock.advance(0)
  let isDrained: boolean | undefined
  void controller.drain(5000).then((drained) => (isDrained = drained))
  controller.enqueue('later')
  await clock.advance(4999)
  assert.deepEqual([isDrained, signals.length, signals[0]?.aborted], [undefined, 1, false])
  await clock.advance(1)
  assert.deepEqual([isDrained, signals[0]?.aborted], [true, true])
})

test('draining gives up on a reconcile that does not end', async () => {
  const { controller, clock } = controllerOf(forever)
  controller.start()
  controller.enqueue('stubborn')
  await clock.advance(0)
  const drained = controller.drain(5000)
  await clock.advance(6000)
  assert.equal(await drained, false)
})

test('waiting for stores names those that never synced', async () => {
  const clock = new ManualClock()
  const sources = [
    { name: 'pods', synced: Promise.resolve() },
    { name: 'services', synced: forever() },
  ]
  const missing = waitForSync(sources, clock, 120_000)
  await clock.advance(120_000)
  assert.deepEqual(await missing, ['services'])
  assert.deepEqual(await waitForSync(sources.slice(0, 1), clock, 120_000), [])
})
