import { until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { ManualClock } from '../../lib/testing/manual-clock.ts'
import { KubeClient } from './client.ts'
import { EventRecorder } from './events.ts'
import { FaultyServer, json, status } from './testing/faulty-server.ts'
import { REAL_CLOCK } from './testing/real-clock.ts'
import { Transport } from './transport.ts'

const ABOUT = { apiVersion: 'raftkv.dev/v1alpha1', kind: 'RaftCluster', metadata: { name: 'db', namespace: 'ns', uid: 'u1' } } // prettier-ignore
const STORED = { metadata: { name: 'db.1', namespace: 'ns', uid: 'e', resourceVersion: '1' } }

async function setUp(t: TestContext) {
  const server = new FaultyServer()
  const connection = await server.start()
  server.answer = json(201, STORED)
  const clock = new ManualClock()
  let suffix = 0
  const recorder = new EventRecorder({
    client: new KubeClient(new Transport({ connection, clock: REAL_CLOCK })),
    clock,
    logger: pino({ level: 'silent' }),
    controller: 'raftkv.dev/raftcluster-operator',
    instance: 'pod-1',
    newSuffix: () => String(++suffix),
  })
  t.after(async () => {
    await connection.close()
    await server.stop()
  })
  const answered = async (requests: number): Promise<void> => {
    await until(`${requests} requests`, () => server.received.length >= requests && server.open.size === 0)
    await clock.advance(0)
  }
  const body = (index: number): Record<string, unknown> => JSON.parse(server.received[index]?.body ?? '{}')
  return { server, recorder, clock, answered, body }
}

test('an event carries all that the API demands', async (t) => {
  const { recorder, answered, body, server } = await setUp(t)
  recorder.emit(ABOUT, 'Normal', 'ScalingUp', 'AddLearner', 'from 3 to 4 members')
  await answered(1)
  assert.equal(server.received[0]?.path, '/apis/events.k8s.io/v1/namespaces/ns/events')
  assert.deepEqual(body(0), {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'db.1', namespace: 'ns' },
    eventTime: '2030-01-01T00:00:00.000000Z',
    reportingController: 'raftkv.dev/raftcluster-operator',
    reportingInstance: 'pod-1',
    regarding: { apiVersion: 'raftkv.dev/v1alpha1', kind: 'RaftCluster', namespace: 'ns', name: 'db', uid: 'u1' },
    type: 'Normal',
    reason: 'ScalingUp',
    action: 'AddLearner',
    note: 'from 3 to 4 members',
  })
})

test('repeats raise the count of the first event, at most every ten seconds', async (t) => {
  const { recorder, clock, answered, body, server } = await setUp(t)
  recorder.emit(ABOUT, 'Warning', 'QuorumLost', 'Observe', '1 of 3')
  await answered(1)
  for (let i = 0; i < 5; i++) {
    await clock.advance(1000)
    recorder.emit(ABOUT, 'Warning', 'QuorumLost', 'Observe', '1 of 3')
  }
  await clock.advance(0)
  assert.equal(server.received.length, 1)
  await clock.advance(10_000)
  await answered(2)
  assert.equal(server.received[1]?.method, 'PATCH')
  assert.deepEqual(body(1), { series: { count: 6, lastObservedTime: '2030-01-01T00:00:05.000000Z' } })
})

test('another note is another event; after six quiet minutes so is the same one', async (t) => {
  const { recorder, clock, answered, server } = await setUp(t)
  recorder.emit(ABOUT, 'Normal', 'Scaling', 'Act', 'one')
  await answered(1)
  recorder.emit(ABOUT, 'Normal', 'Scaling', 'Act', 'two')
  await answered(2)
  await clock.advance(360_000)
  recorder.emit(ABOUT, 'Normal', 'Scaling', 'Act', 'one')
  await answered(3)
  assert.deepEqual(server.received.map((request) => request.method), ['POST', 'POST', 'POST']) // prettier-ignore
})

test('what cannot be written is never an error of the caller, and stops nothing that follows', async (t) => {
  const { recorder, answered, server } = await setUp(t)
  server.answer = status(403, 'Forbidden')
  recorder.emit(ABOUT, 'Normal', 'One', 'Act', 'x')
  await answered(1)
  server.answer = json(201, STORED)
  recorder.emit(ABOUT, 'Normal', 'Two', 'Act', 'x')
  await answered(2)
})

test('a flood is bounded: what was not written is dropped, oldest first, and counted', async (t) => {
  const { recorder, server } = await setUp(t)
  server.answer = () => undefined
  for (let i = 0; i < 2000; i++) recorder.emit(ABOUT, 'Normal', 'Flood', 'Act', `note ${i}`)
  assert.ok(recorder.droppedTotal >= 2000 - 513 && recorder.droppedTotal < 2000, `${recorder.droppedTotal}`)
})

test('a long note is cut to what the API accepts', async (t) => {
  const { recorder, answered, body } = await setUp(t)
  recorder.emit(ABOUT, 'Normal', 'Long', 'Act', 'ä'.repeat(5000))
  await answered(1)
  const note = String(body(0)['note'])
  assert.ok(Buffer.byteLength(note) <= 1024 && note.endsWith('ä…'))
})

test('flushing writes the counts still owed', async (t) => {
  const { recorder, answered, body } = await setUp(t)
  recorder.emit(ABOUT, 'Normal', 'Same', 'Act', 'x')
  await answered(1)
  recorder.emit(ABOUT, 'Normal', 'Same', 'Act', 'x')
  await recorder.flush(1000)
  assert.deepEqual(body(1), { series: { count: 2, lastObservedTime: '2030-01-01T00:00:00.000000Z' } })
})
