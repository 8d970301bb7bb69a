/**
 * Reflector, work queue and client together behind a faulty proxy: a controller that copies ConfigMaps. Whatever breaks,
 * each wish is carried out in the end, by one worker at a time, and a broken server is not hammered.
 */
import { PATIENCE_MS, until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { pino } from 'pino'
import { systemClock } from '../../lib/system-clock.ts'
import { seeded } from '../../node-server/raft/testing/random.ts'
import { Controller, waitForSync, type ReconcileResult } from '../../operator/controller/controller.ts'
import { DEFAULT_QUEUE_OPTIONS } from '../../operator/controller/work-queue.ts'
import type { KubeClient } from '../../operator/kube/client.ts'
import { isRecord, keyOf, parseKey } from '../../operator/kube/object.ts'
import { DEFAULT_TIMING, Reflector } from '../../operator/kube/reflector.ts'
import { Store } from '../../operator/kube/store.ts'
import { answer, type Fault } from './faulty-proxy.ts'
import { NAMESPACE, startPlumbing, type Plumbing } from './plumbing.ts'

const LOGGER = pino({ level: 'silent' })
const FAST = { ...DEFAULT_TIMING, backoff: { firstMs: 5, factor: 2, maxMs: 40, jitter: 0.5 }, idleMs: 400 }
const QUEUE = { ...DEFAULT_QUEUE_OPTIONS, maxRetryMs: 300, retriesPerSecond: 200 }

interface Copying extends Plumbing {
  readonly controller: Controller
  readonly seen: { most: number; reconciles: number; outcomes: string[] }
}

interface CopyingOptions {
  readonly queue?: typeof QUEUE
  readonly reconcileTimeoutMs?: number
}

async function copying(t: TestContext, options: CopyingOptions = {}): Promise<Copying> {
  const plumbing = await startPlumbing(t)
  const store = new Store()
  const busy = new Map<string, number>()
  const seen: Copying['seen'] = { most: 0, reconciles: 0, outcomes: [] }
  const controller = new Controller({
    name: 'copy',
    reconcile: async (key, { signal }) => {
      seen.reconciles++
      busy.set(key, (busy.get(key) ?? 0) + 1)
      seen.most = Math.max(seen.most, busy.get(key) ?? 0)
      try {
        return await copy(plumbing.faulty.withSignal(signal), key)
      } finally {
        busy.set(key, (busy.get(key) ?? 0) - 1)
      }
    },
    clock: systemClock,
    logger: LOGGER,
    logFields: () => ({}),
    newId: () => '',
    observer: { taken: () => undefined, finished: (outcome) => seen.outcomes.push(outcome) },
    onBug: (_, error) => assert.fail(String(error)),
    maxConcurrent: 4,
    reconcileTimeoutMs: options.reconcileTimeoutMs ?? 500,
    resyncPeriodMs: 60_000,
    keys: () => [...store.keys()],
    queue: options.queue ?? QUEUE,
  })
  const reflector = new Reflector({
    kind: 'ConfigMap',
    scope: { namespace: NAMESPACE, labelSelector: 'kind=wish' },
    client: plumbing.faulty,
    store,
    clock: systemClock,
    random: Math.random,
    logger: LOGGER,
    observer: {
      synced: () => undefined,
      relisted: () => undefined,
      watchFailed: () => undefined,
      missed: () => undefined,
    },
    onChange: ({ object }) => controller.enqueue(keyOf(object)),
    timing: FAST,
  })
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await controller.drain(0)
  })
  void reflector.run(stop.signal)
  assert.deepEqual(await waitForSync([{ name: 'wishes', synced: reflector.synced }], systemClock, 10_000), [])
  controller.start()
  return { ...plumbing, controller, seen }
}

async function copy(client: KubeClient, key: string): Promise<ReconcileResult> {
  try {
    const wish = await client.get('ConfigMap', parseKey(key))
    if (wish !== undefined) await apply(client, `copy-of-${wish.metadata.name}`, 'copy', valueOf(wish['data']))
    return { kind: 'done' }
  } catch (error) {
    return { kind: 'retry', error }
  }
}

async function apply(client: KubeClient, name: string, kind: string, value: string): Promise<void> {
  const metadata = { name, namespace: NAMESPACE, labels: { kind } }
  await client.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { value } }, { fieldManager: 'test' })
}

function valueOf(data: unknown): string {
  return isRecord(data) && typeof data['value'] === 'string' ? data['value'] : ''
}

async function valuesOf(client: KubeClient, kind: string): Promise<Record<string, string>> {
  const { items } = await client.list('ConfigMap', { namespace: NAMESPACE, labelSelector: `kind=${kind}` })
  const named = items.map(({ metadata, data }) => [metadata.name.replace('copy-of-', ''), valueOf(data)] as const)
  return Object.fromEntries(named)
}

async function assertCopied({ direct, seen }: Copying): Promise<void> {
  const wishes = await valuesOf(direct, 'wish')
  let copies: Record<string, string> = {}
  const deadlineMs = performance.now() + PATIENCE_MS
  do {
    copies = await valuesOf(direct, 'copy')
    await new Promise((resolve) => setTimeout(resolve, 20))
  } while (JSON.stringify(copies) !== JSON.stringify(wishes) && performance.now() < deadlineMs)
  assert.deepEqual(copies, wishes)
  assert.equal(seen.most, 1, 'no key in two workers')
}

const ANY: readonly (Fault | undefined)[] = [
  undefined,
  { kind: 'reset' },
  { kind: 'reset-after-success' },
  { kind: 'silence' },
  { kind: 'delay', delayMs: 30 },
  { kind: 'cut', afterBytes: 150, isClean: true },
  answer(409, 'Conflict'),
  answer(429, 'TooManyRequests', { 'retry-after': '0.05' }),
  answer(500, 'InternalError'),
]

suite('work queue', { concurrency: 4 }, () => {
  for (const seed of [1, 2, 3]) {
    test(`any fault at any request, seed ${seed}: every wish is carried out, each key by one worker`, async (t) => {
      const copying_ = await copying(t)
      const random = seeded(seed)
      copying_.proxy.rule = () => random.pick(ANY)
      for (let round = 0; round < 40; round++) {
        await apply(copying_.direct, `w${round % 8}`, 'wish', `round ${round}`)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      await until('faults', () => copying_.seen.outcomes.includes('error'))
      copying_.proxy.rule = () => undefined
      await assertCopied(copying_)
    })
  }

  test('answers lost after success: the write is not repeated by the client, only decided again', async (t) => {
    const copying_ = await copying(t)
    copying_.proxy.rule = ({ method }) => (method === 'PATCH' ? { kind: 'reset-after-success' } : undefined)
    await apply(copying_.direct, 'w', 'wish', 'x')
    await until('three tries', () => copying_.seen.reconciles >= 3)
    const writes = copying_.proxy.forwarded.filter(({ method }) => method === 'PATCH').length
    assert.ok(writes <= copying_.seen.reconciles, `${writes} writes in ${copying_.seen.reconciles} reconciles`)
    copying_.proxy.rule = () => undefined
    await assertCopied(copying_)
  })

  test('a server that fails everything is asked ever less often: 10 retries a second over all keys', async (t) => {
    const copying_ = await copying(t, { queue: { ...DEFAULT_QUEUE_OPTIONS, retryBurst: 20, maxRetryMs: 300_000 } })
    copying_.proxy.rule = ({ isWatch }) => (isWatch ? undefined : answer(500, 'InternalError'))
    const startedMs = performance.now()
    await Promise.all(Array.from({ length: 30 }, async (_, i) => apply(copying_.direct, `w${i}`, 'wish', 'x')))
    await until('a first try of each', () => copying_.seen.reconciles >= 30)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const seconds = (performance.now() - startedMs) / 1000
    // A first try of each, the burst, and what the time since the first of them allows.
    const allowed = 30 + 20 + 10 * (seconds + 1)
    assert.ok(copying_.seen.reconciles <= allowed, `${copying_.seen.reconciles} reconciles, ${allowed} allowed`)
    copying_.proxy.rule = () => undefined
    await assertCopied(copying_)
  })

  test('a server that is silent to one key holds up that key alone, and that until its time is over', async (t) => {
    const copying_ = await copying(t, { reconcileTimeoutMs: 300 })
    copying_.proxy.rule = ({ url }) => (url.pathname.endsWith('/stuck') ? { kind: 'silence' } : undefined)
    await apply(copying_.direct, 'stuck', 'wish', 'x')
    await until('the stuck one to be taken', () => copying_.controller.activeWorkers === 1)
    for (const name of ['a', 'b', 'c']) await apply(copying_.direct, name, 'wish', 'y')
    await until('the others', () => copying_.seen.outcomes.filter((outcome) => outcome === 'success').length >= 3)
    await until('the stuck one to end', () => copying_.seen.outcomes.includes('error'))
    copying_.proxy.rule = () => undefined
    await assertCopied(copying_)
  })

  test('drained in the middle of everything: no request follows', async (t) => {
    const copying_ = await copying(t)
    copying_.proxy.rule = ({ isWatch }) => (isWatch ? undefined : { kind: 'delay', delayMs: 20 })
    for (let i = 0; i < 12; i++) await apply(copying_.direct, `w${i}`, 'wish', 'x')
    assert.equal(await copying_.controller.drain(PATIENCE_MS), true)
    const asked = copying_.seen.reconciles
    await apply(copying_.direct, 'late', 'wish', 'x')
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(copying_.seen.reconciles, asked)
  })
})
