import { until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { KubeClient } from './client.ts'
import type { ReflectorTiming } from './reflector.ts'
import { Reflector } from './reflector.ts'
import { Store } from './store.ts'
import type { Answer } from './testing/faulty-server.ts'
import { FaultyServer, json, reset, status } from './testing/faulty-server.ts'
import { REAL_CLOCK } from './testing/real-clock.ts'
import { Transport } from './transport.ts'

const FAST: ReflectorTiming = {
  backoff: { firstMs: 5, factor: 2, maxMs: 20, jitter: 0 },
  backoffResetMs: 1000,
  watchMinSeconds: 300,
  watchMaxSeconds: 600,
  idleMs: 1000,
  relistEveryMs: 600_000,
}

const pod = (name: string, version: number, uid = `uid-${name}`) => ({
  metadata: { name, namespace: 'ns', uid, resourceVersion: String(version) },
})

/** A pod list of one version and a watch that a test writes to; either can be replaced by a fault. */
class FakePods {
  items: ReturnType<typeof pod>[] = []
  version = 1
  lists = 0
  readonly watchedFrom: string[] = []
  stream: ServerResponse | undefined
  listFault: Answer | undefined
  watchFault: Answer | undefined

  readonly answer: Answer = (response, received) => {
    if (received.query.get('watch') !== 'true') {
      this.lists++
      const page = { metadata: { resourceVersion: String(this.version) }, items: this.items }
      ;(this.listFault ?? json(200, page))(response, received)
      return
    }
    this.watchedFrom.push(received.query.get('resourceVersion') ?? '')
    if (this.watchFault !== undefined) return this.watchFault(response, received)
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    this.stream = response
  }

  send(type: string, object: unknown): void {
    this.stream?.write(`${JSON.stringify({ type, object })}\n`)
  }
}

async function setUp(t: TestContext, options: { timing?: Partial<ReflectorTiming>; onChange?: () => void } = {}) {
  const server = new FaultyServer()
  const connection = await server.start()
  const pods = new FakePods()
  server.answer = pods.answer
  const store = new Store()
  const changes: string[] = []
  const seen = { relists: 0, failures: 0, missed: 0 }
  const reflector = new Reflector({
    kind: 'Pod',
    scope: { namespace: 'ns', labelSelector: 'app=x' },
    client: new KubeClient(new Transport({ connection, clock: REAL_CLOCK })),
    store,
    clock: REAL_CLOCK,
    random: () => 0.5,
    logger: pino({ level: 'silent' }),
    observer: {
      synced: () => undefined,
      relisted: () => seen.relists++,
      watchFailed: () => seen.failures++,
      missed: (events) => (seen.missed += events),
    },
    onChange: (change) => {
      changes.push(`${change.kind} ${change.object.metadata.name}`)
      options.onChange?.()
    },
    timing: { ...FAST, ...options.timing },
  })
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await connection.close()
    await server.stop()
  })
  return { server, pods, store, changes, seen, reflector, stop }
}

/** Waits for a watch to be open that was not there before. */
async function nextStream(pods: FakePods, previous?: ServerResponse): Promise<void> {
  await until('a new watch', () => pods.stream !== undefined && pods.stream !== previous)
}

test('lists, then watches from the version of the list, and tells of every change', async (t) => {
  const { pods, store, changes, reflector, stop, server } = await setUp(t)
  pods.items = [pod('a', 1)]
  void reflector.run(stop.signal)
  await reflector.synced
  await nextStream(pods)
  pods.send('ADDED', pod('b', 2))
  pods.send('MODIFIED', pod('a', 3))
  pods.send('DELETED', pod('b', 4))
  await until('four changes', () => changes.length === 4)
  assert.deepEqual(changes, ['added a', 'added b', 'updated a', 'deleted b'])
  assert.deepEqual([...store.keys()], ['ns/a'])
  const query = server.received[1]?.query
  assert.deepEqual(
    [query?.get('resourceVersion'), query?.get('allowWatchBookmarks'), query?.get('labelSelector')],
    ['1', 'true', 'app=x'],
  )
  assert.ok(Number(query?.get('timeoutSeconds')) >= 300 && Number(query?.get('timeoutSeconds')) <= 600)
})

test('an event split over chunks, also inside a character, is one event', async (t) => {
  const { pods, changes, reflector, stop } = await setUp(t)
  void reflector.run(stop.signal)
  await nextStream(pods)
  const bytes = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: { ...pod('a', 2), note: 'käse' } })}\n`)
  for (const byte of bytes) {
    pods.stream?.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until('the change', () => changes.length === 1)
})

test('a reset connection resumes from the last version, bookmarks included, without a list', async (t) => {
  const { pods, changes, reflector, stop } = await setUp(t)
  void reflector.run(stop.signal)
  await nextStream(pods)
  pods.send('ADDED', pod('a', 5))
  pods.send('BOOKMARK', { metadata: { resourceVersion: '9' } })
  await until('the change', () => changes.length === 1)
  const first = pods.stream
  await new Promise((resolve) => setTimeout(resolve, 20))
  first?.socket?.resetAndDestroy()
  await nextStream(pods, first)
  assert.deepEqual(pods.watchedFrom, ['1', '9'])
  assert.equal(pods.lists, 1)
  pods.send('DELETED', pod('a', 10))
  await until('the next change', () => changes.length === 2)
})

test('half-open: a connection without a byte for the idle time is left for a new one', async (t) => {
  const { pods, reflector, stop } = await setUp(t, { timing: { idleMs: 100 } })
  void reflector.run(stop.signal)
  await nextStream(pods)
  const first = pods.stream
  await nextStream(pods, first)
  assert.deepEqual(pods.watchedFrom.slice(0, 2), ['1', '1'])
})

const TOO_OLD = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }
test('410 as an ERROR event: lists again, and finds what was deleted meanwhile', async (t) => {
  const { pods, changes, reflector, stop } = await setUp(t)
  pods.items = [pod('a', 1), pod('b', 1)]
  void reflector.run(stop.signal)
  await nextStream(pods)
  const first = pods.stream
  pods.items = [pod('b', 1)]
  pods.version = 20
  pods.send('ERROR', TOO_OLD)
  await nextStream(pods, first)
  assert.deepEqual(pods.watchedFrom, ['1', '20'])
  assert.deepEqual(changes, ['added a', 'added b', 'deleted a'])
})

test('410 as the HTTP status: lists again', async (t) => {
  const { pods, reflector, stop } = await setUp(t)
  pods.watchFault = status(410, 'Expired')
  void reflector.run(stop.signal)
  await until('a second list', () => pods.lists >= 2)
  pods.watchFault = undefined
  await nextStream(pods)
})

test('an ERROR event other than 410 is not dropped: the watch resumes', async (t) => {
  const { pods, seen, reflector, stop } = await setUp(t)
  void reflector.run(stop.signal)
  await nextStream(pods)
  const first = pods.stream
  pods.send('ERROR', { kind: 'Status', code: 500, reason: 'InternalError', message: 'etcd is down' })
  await nextStream(pods, first)
  assert.deepEqual([pods.lists, seen.failures], [1, 1])
})

test('truncated JSON: what was cut off is delivered by the next watch', async (t) => {
  const { pods, changes, reflector, stop } = await setUp(t)
  void reflector.run(stop.signal)
  await nextStream(pods)
  const first = pods.stream
  first?.end('{"type":"ADDED","object":{"metada')
  await nextStream(pods, first)
  pods.send('ADDED', pod('a', 2))
  await until('the change', () => changes.length === 1)
  assert.deepEqual(pods.watchedFrom, ['1', '1'])
})

test('a line that is no JSON, and an event of an unknown type, end the watch and not the loop', async (t) => {
  const { pods, reflector, stop, seen } = await setUp(t)
  void reflector.run(stop.signal)
  await nextStream(pods)
  const first = pods.stream
  first?.write('<html>502</html>\n')
  await nextStream(pods, first)
  const second = pods.stream
  pods.send('SURPRISE', {})
  await nextStream(pods, second)
  assert.equal(seen.failures, 2)
})

test('a failing list is tried again until it works; only then is the store synced', async (t) => {
  const { pods, reflector, stop, seen } = await setUp(t)
  let isSynced = false
  void reflector.synced.then(() => (isSynced = true))
  pods.listFault = status(500, 'InternalError')
  void reflector.run(stop.signal)
  await until('three lists', () => pods.lists >= 3)
  pods.listFault = reset
  await until('more lists', () => pods.lists >= 6)
  assert.equal(isSynced, false)
  pods.listFault = undefined
  await reflector.synced
  assert.ok(seen.failures >= 4)
})

test('429 to a watch: waits as long as Retry-After says', async (t) => {
  const { pods, reflector, stop } = await setUp(t)
  const receivedMs: number[] = []
  pods.watchFault = (response, received) => {
    receivedMs.push(performance.now())
    return status(429, 'TooManyRequests', { 'retry-after': '0.1' })(response, received)
  }
  void reflector.run(stop.signal)
  await until('the next watch', () => receivedMs.length === 2)
  const [first = 0, second = 0] = receivedMs
  assert.ok(second - first >= 90, `${second - first} ms`)
})

test('a version the server does not know, as after a restored etcd, is given up after three failures', async (t) => {
  const { pods, reflector, stop } = await setUp(t)
  pods.version = 900
  pods.watchFault = (response, received) => {
    const isTooNew = received.query.get('resourceVersion') === '900'
    if (isTooNew) return status(504, 'Timeout')(response, received)
    response.writeHead(200).flushHeaders()
    pods.stream = response
  }
  void reflector.run(stop.signal)
  await until('the first watch', () => pods.watchedFrom.length === 1)
  pods.version = 3
  await nextStream(pods)
  assert.deepEqual(pods.watchedFrom, ['900', '900', '900', '3'])
})

test('a watch that ends in order is resumed; one that ends at once, again and again, is not hammered', async (t) => {
  const { pods, reflector, stop } = await setUp(t, { timing: { backoff: { firstMs: 30, factor: 2, maxMs: 60, jitter: 0 } } }) // prettier-ignore
  pods.watchFault = (response) => response.writeHead(200).end()
  void reflector.run(stop.signal)
  await reflector.synced
  const startedMs = performance.now()
  await until('four watches', () => pods.watchedFrom.length >= 4)
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs >= 140, `${tookMs} ms, with pauses of 30, 60 and 60 ms`)
})

test('a throwing handler costs nobody else an event', async (t) => {
  const { pods, changes, reflector, stop } = await setUp(t, {
    onChange: () => {
      throw new Error('handler')
    },
  })
  pods.items = [pod('a', 1), pod('b', 1)]
  void reflector.run(stop.signal)
  await nextStream(pods)
  pods.send('ADDED', pod('c', 2))
  await until('all changes', () => changes.length === 3)
  assert.deepEqual([pods.lists, pods.watchedFrom.length], [1, 1])
})

test('the tripwire list counts changes of which no event had told', async (t) => {
  const { pods, changes, seen, reflector, stop } = await setUp(t, { timing: { relistEveryMs: 60 } })
  pods.items = [pod('a', 1)]
  void reflector.run(stop.signal)
  await nextStream(pods)
  pods.items = [pod('a', 4), pod('late', 50)]
  pods.send('BOOKMARK', { metadata: { resourceVersion: '10' } })
  pods.stream?.end()
  pods.version = 60
  await until('a list that tells of more', () => changes.length === 3)
  assert.equal(seen.missed, 1, 'version 4 should have come before the bookmark at 10; version 50 is just news')
  assert.deepEqual(changes, ['added a', 'updated a', 'added late'])
})

test('stopping ends the loop for good, and starting twice is one watch', async (t) => {
  const { pods, server, reflector, stop } = await setUp(t)
  const runs = [reflector.run(stop.signal), reflector.run(stop.signal)]
  await nextStream(pods)
  assert.equal(pods.watchedFrom.length, 1)
  stop.abort()
  await Promise.all(runs)
  await until('the connection to close', () => server.open.size === 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.deepEqual([pods.lists, pods.watchedFrom.length], [1, 1])
})

test('stopped in the middle of a list, and before it began', async (t) => {
  const { pods, reflector, stop } = await setUp(t)
  pods.listFault = () => undefined
  const run = reflector.run(stop.signal)
  await until('the list', () => pods.lists === 1)
  stop.abort()
  await run
  await reflector.run(AbortSignal.abort())
  assert.equal(pods.lists, 1)
})
