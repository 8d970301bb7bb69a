/**
 * The reflector against the sandbox's API server with a faulty proxy in front: whatever breaks, its store ends up equal
 * to the server, and handlers have been told of it. Source of the list of faults: what client-go's reflector survives,
 * and where the informer of @kubernetes/client-node falls silent.
 */
import { until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { pino } from 'pino'
import { systemClock } from '../../lib/system-clock.ts'
import type { KubeClient } from '../../operator/kube/client.ts'
import { keyOf } from '../../operator/kube/object.ts'
import { Reflector, type ReflectorTiming } from '../../operator/kube/reflector.ts'
import { Store, type Change } from '../../operator/kube/store.ts'
import { seeded } from '../../node-server/raft/testing/random.ts'
import { answer, type Fault, type Rule } from './faulty-proxy.ts'
import { NAMESPACE, startPlumbing, type Plumbing } from './plumbing.ts'

const FAST: ReflectorTiming = {
  backoff: { firstMs: 5, factor: 2, maxMs: 40, jitter: 0.5 },
  backoffResetMs: 1000,
  watchMinSeconds: 300,
  watchMaxSeconds: 600,
  idleMs: 150,
  relistEveryMs: 600_000,
}

interface Reflected extends Plumbing {
  readonly store: Store
  readonly changes: readonly Change[]
  readonly seen: { relists: number; failures: number; missed: number }
  readonly reflector: Reflector
  readonly stop: AbortController
}

async function reflect(
  t: TestContext,
  options: { timing?: Partial<ReflectorTiming>; onChange?: () => void; rule?: Rule } = {},
): Promise<Reflected> {
  const plumbing = await startPlumbing(t)
  if (options.rule !== undefined) plumbing.proxy.rule = options.rule
  const store = new Store()
  const changes: Change[] = []
  const seen = { relists: 0, failures: 0, missed: 0 }
  const reflector = new Reflector({
    kind: 'ConfigMap',
    scope: { namespace: NAMESPACE, labelSelector: 'test=yes' },
    client: plumbing.faulty,
    store,
    clock: systemClock,
    random: Math.random,
    logger: pino({ level: 'silent' }),
    observer: {
      synced: () => undefined,
      relisted: () => seen.relists++,
      watchFailed: () => seen.failures++,
      missed: (events) => (seen.missed += events),
    },
    onChange: (change) => {
      changes.push(change)
      options.onChange?.()
    },
    timing: { ...FAST, ...options.timing },
  })
  const stop = new AbortController()
  t.after(() => stop.abort())
  return { ...plumbing, store, changes, seen, reflector, stop }
}

async function put(client: KubeClient, name: string, value: string): Promise<void> {
  const metadata = { name, namespace: NAMESPACE, labels: { test: 'yes' } }
  await client.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { value } }, { fieldManager: 'test' })
}

async function remove(client: KubeClient, name: string): Promise<void> {
  const found = await client.get('ConfigMap', { namespace: NAMESPACE, name })
  if (found !== undefined) await client.delete('ConfigMap', { namespace: NAMESPACE, name }, { uid: found.metadata.uid })
}

/** Creates, changes, deletes and recreates; always the same sequence. */
async function stir({ direct }: Plumbing, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await put(direct, `a${round % 5}`, `round ${round}`)
    if (round % 3 === 0) await put(direct, `b${round % 4}`, `round ${round}`)
    if (round % 4 === 3) await remove(direct, `a${(round + 2) % 5}`)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
}

/** Store, server, and what handlers make of the changes they were told of: all the same. */
async function assertConverges({ direct, store, changes }: Reflected): Promise<void> {
  const page = await direct.list('ConfigMap', { namespace: NAMESPACE, labelSelector: 'test=yes' })
  const wanted = new Map(page.items.map((item) => [keyOf(item), item.metadata.resourceVersion]))
  const versions = (): Map<string, string> =>
    new Map([...store.values()].map((item) => [keyOf(item), item.metadata.resourceVersion]))
  const isEqual = (): boolean => {
    const present = versions()
    return present.size === wanted.size && [...wanted].every(([key, version]) => present.get(key) === version)
  }
  await until('the store to be equal to the server', isEqual)
  assert.deepEqual(replay(changes), versions(), 'handlers were told of everything')
  assert.ok(wanted.size > 0)
}

/** What somebody knows who saw only the changes; each must follow from the one before. */
function replay(changes: readonly Change[]): Map<string, string> {
  const known = new Map<string, string>()
  for (const { kind, object } of changes) {
    const key = keyOf(object)
    assert.equal(known.has(key), kind !== 'added', `${kind} ${key} out of turn`)
    if (kind === 'deleted') known.delete(key)
    else known.set(key, object.metadata.resourceVersion)
  }
  return known
}

const watches =
  (fault: Fault): Rule =>
  ({ isWatch }) =>
    isWatch ? fault : undefined
const lists =
  (fault: Fault): Rule =>
  ({ isWatch }) =>
    isWatch ? undefined : fault

const FAULTS: Readonly<Record<string, Rule>> = {
  'reset before the list': lists({ kind: 'reset' }),
  'reset before the watch': watches({ kind: 'reset' }),
  'reset in the middle of an event': watches({ kind: 'cut', afterBytes: 700, isClean: false }),
  'reset in the middle of a list': lists({ kind: 'cut', afterBytes: 300, isClean: false }),
  'truncated JSON: a watch that ends inside an event': watches({ kind: 'cut', afterBytes: 700, isClean: true }),
  'truncated JSON: a list that ends early': lists({ kind: 'cut', afterBytes: 300, isClean: true }),
  'half-open: a watch from which nothing comes': watches({ kind: 'stall', afterBytes: 0 }),
  'half-open in the middle of an event': watches({ kind: 'stall', afterBytes: 900 }),
  'a watch that is never answered': watches({ kind: 'silence' }),
  '410 Gone as the HTTP status of a watch': watches(answer(410, 'Expired')),
  '410 Gone as an ERROR event': watches({
    kind: 'insert',
    text: `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'old' } })}\n`,
  }),
  'an ERROR event that is not 410': watches({
    kind: 'insert',
    text: `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 500, reason: 'InternalError', message: 'no' } })}\n`,
  }),
  'an ERROR event without a Status': watches({ kind: 'insert', text: '{"type":"ERROR","object":null}\n' }),
  '429 with Retry-After to a watch': watches(answer(429, 'TooManyRequests', { 'retry-after': '0.05' })),
  '429 with Retry-After to a list': lists(answer(429, 'TooManyRequests', { 'retry-after': '0.05' })),
  '429 without Retry-After': watches(answer(429, 'TooManyRequests')),
  '500 to a list': lists(answer(500, 'InternalError')),
  '503 to everything': () => answer(503, 'ServiceUnavailable'),
  '401 to everything': () => answer(401, 'Unauthorized'),
  '403 to everything, as while RBAC changes': () => answer(403, 'Forbidden'),
  'an HTML page of a load balancer with status 502': () => ({
    kind: 'answer',
    status: 502,
    headers: { 'content-type': 'text/html' },
    body: '<html><h1>502 Bad Gateway</h1></html>',
  }),
  'an HTML page with status 200': () => ({ kind: 'answer', status: 200, body: '<html>sign in</html>' }),
  'malformed JSON in a watch': watches({ kind: 'insert', text: '{"type":"ADDED","object":{"metadata":}}\n' }),
  'an event of an unknown type': watches({ kind: 'insert', text: '{"type":"SURPRISE","object":{}}\n' }),
  'an event whose object has no version': watches({
    kind: 'insert',
    text: '{"type":"ADDED","object":{"metadata":{"name":"x"}}}\n',
  }),
  'an empty line in a watch': watches({ kind: 'insert', text: '\n' }),
}

/** Any of these, at any request. */
const ANY: readonly (Fault | undefined)[] = [
  undefined,
  undefined,
  { kind: 'reset' },
  { kind: 'reset-after-success' },
  { kind: 'delay', delayMs: 20 },
  { kind: 'stall', afterBytes: 500 },
  { kind: 'cut', afterBytes: 900, isClean: false },
  { kind: 'cut', afterBytes: 1500, isClean: true },
  { kind: 'slow', chunkBytes: 300, everyMs: 1 },
  answer(429, 'TooManyRequests', { 'retry-after': '0.02' }),
  answer(500, 'InternalError'),
  answer(410, 'Expired'),
]

suite('reflector', { concurrency: 6 }, () => {
  for (const [title, rule] of Object.entries(FAULTS)) {
    test(`${title}; it recovers, and nothing is lost`, async (t) => {
      const reflected = await reflect(t)
      const { proxy, reflector, stop, seen } = reflected
      await put(reflected.direct, 'a0', 'before')
      void reflector.run(stop.signal)
      await reflector.synced
      await put(reflected.direct, 'a1', 'after')
      await until('the first event', () => reflected.store.size === 2)
      // A list comes only when it must: 410 sees to that.
      proxy.rule = (passing) => rule(passing) ?? (passing.isWatch ? answer(410, 'Expired') : undefined)
      const failuresBefore = seen.failures
      proxy.breakAll()
      await stir(reflected, 20)
      await until('the fault', () => proxy.struck.size > 0 && seen.failures >= failuresBefore + 3)
      proxy.rule = () => undefined
      await assertConverges(reflected)
      await put(reflected.direct, 'last', 'after all')
      await until('events to come again', () => reflected.store.get(`${NAMESPACE}/last`) !== undefined)
    })
  }

  test('slow bytes delay events, and break nothing', async (t) => {
    const reflected = await reflect(t, { rule: () => ({ kind: 'slow', chunkBytes: 200, everyMs: 1 }) })
    void reflected.reflector.run(reflected.stop.signal)
    await stir(reflected, 12)
    await assertConverges(reflected)
    assert.ok((reflected.proxy.struck.get('slow') ?? 0) >= 2)
  })

  test('without bookmarks a quiet watch is left for another, and costs no list', async (t) => {
    const reflected = await reflect(t, { rule: watches({ kind: 'without-lines', matching: /BOOKMARK/ }) })
    void reflected.reflector.run(reflected.stop.signal)
    await reflected.reflector.synced
    await until('three watches', () => (reflected.proxy.struck.get('without-lines') ?? 0) >= 3)
    await stir(reflected, 10)
    await assertConverges(reflected)
    assert.equal(reflected.seen.relists, 1)
  })

  test('events lost by a proxy are found by the next list, and counted', async (t) => {
    const reflected = await reflect(t, {
      timing: { relistEveryMs: 400, idleMs: 5000 },
      rule: watches({ kind: 'without-lines', matching: /lost/ }),
    })
    void reflected.reflector.run(reflected.stop.signal)
    await reflected.reflector.synced
    await put(reflected.direct, 'lost', 'nobody hears of it')
    await put(reflected.direct, 'heard', 'of a later version')
    await until('what was lost', () => reflected.store.get(`${NAMESPACE}/lost`) !== undefined)
    await until('a count', () => reflected.seen.missed === 1)
  })

  test('compaction while the watch was down: 410 from the server itself, and one list more', async (t) => {
    const reflected = await reflect(t)
    const { proxy, server, reflector, seen } = reflected
    await put(reflected.direct, 'a0', 'before')
    void reflector.run(reflected.stop.signal)
    await reflector.synced
    await until('a watch', () => proxy.forwarded.some(({ isWatch }) => isWatch))
    proxy.rule = watches({ kind: 'reset' })
    proxy.breakAll()
    await stir(reflected, 10)
    server.compact()
    proxy.rule = () => undefined
    await assertConverges(reflected)
    assert.ok(seen.relists >= 2)
  })

  test('a continue token that expires between two pages begins the list again', async (t) => {
    let compactions = 0
    const reflected = await reflect(t, {
      rule: ({ url }) => {
        if (url.searchParams.get('continue') === null || compactions++ > 0) return undefined
        return answer(410, 'Expired')
      },
    })
    for (let i = 0; i < 501; i += 50) {
      await Promise.all(Array.from({ length: 50 }, async (_, j) => put(reflected.direct, `p${i + j}`, 'x')))
    }
    void reflected.reflector.run(reflected.stop.signal)
    await reflected.reflector.synced
    assert.equal(reflected.store.size, 550)
    assert.equal(compactions, 2)
    assert.deepEqual(reflected.seen, { relists: 1, failures: 1, missed: 0 })
  })

  test('a handler that throws at every change costs nobody an event', async (t) => {
    const reflected = await reflect(t, {
      onChange: () => {
        throw new Error('a handler')
      },
    })
    void reflected.reflector.run(reflected.stop.signal)
    await stir(reflected, 20)
    await assertConverges(reflected)
    assert.equal(reflected.seen.relists, 1)
  })

  test('started and stopped in turn, in whatever state: never two watches, none left behind', async (t) => {
    const reflected = await reflect(t, { rule: () => ({ kind: 'delay', delayMs: 3 }) })
    const random = seeded(1)
    for (let turn = 0; turn < 20; turn++) {
      const stop = new AbortController()
      const runs = [reflected.reflector.run(stop.signal), reflected.reflector.run(stop.signal)]
      await new Promise((resolve) => setTimeout(resolve, random.next() * 15))
      stop.abort()
      await Promise.all(runs)
    }
    // What had left before the stop is still on its way through the proxy; whoever goes on asking never lets it become quiet.
    let asked = -1
    for (let round = 0; round < 40 && asked !== reflected.proxy.forwarded.length; round++) {
      asked = reflected.proxy.forwarded.length
      await new Promise((resolve) => setTimeout(resolve, 60))
    }
    assert.equal(reflected.proxy.forwarded.length, asked, 'a stopped reflector asks nothing')
    reflected.proxy.rule = () => undefined
    void reflected.reflector.run(reflected.stop.signal)
    await stir(reflected, 8)
    await assertConverges(reflected)
  })

  for (const seed of [1, 2, 3, 4]) {
    test(`any fault at any request, seed ${seed}`, async (t) => {
      const random = seeded(seed)
      const reflected = await reflect(t, { rule: () => random.pick(ANY) })
      void reflected.reflector.run(reflected.stop.signal)
      for (let part = 0; part < 40 && reflected.proxy.struck.size < 5; part++) {
        await stir(reflected, 5)
        reflected.proxy.breakAll()
      }
      assert.ok(reflected.proxy.struck.size >= 5, `${reflected.proxy.struck.size} kinds of faults`)
      reflected.proxy.rule = () => undefined
      await assertConverges(reflected)
    })
  }
})
