import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import type { ServiceError } from '@grpc/grpc-js'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import { RangeStreamResponse, type RangeResponse } from '../../proto/generated/etcd/rpc.ts'
import { b, client, member, put, rangeBytes } from './testing/api-fixture.ts'

// What is expected here was observed on etcd 3.7.3 with the same requests.

const EVERYTHING = { key: b('\0'), rangeEnd: b('\0') }
const same = (bytes: Buffer): Buffer => bytes

/** The messages, or `CODE text`. `onMessage` is called as each arrives. */
function stream(
  request: Parameters<typeof rangeBytes>[0],
  onMessage: () => void = () => undefined,
): Promise<readonly RangeResponse[] | string> {
  const responses: RangeResponse[] = []
  return new Promise((resolve) => {
    const bytes = Buffer.from(rangeBytes(request))
    const call = client.makeServerStreamRequest('/etcdserverpb.KV/RangeStream', same, same, bytes)
    call.on('data', (bytes: Buffer) => {
      const { rangeResponse } = RangeStreamResponse.decode(bytes)
      if (rangeResponse !== undefined) responses.push(rangeResponse)
      onMessage()
    })
    call.on('end', () => resolve(responses))
    call.on('error', ({ code, details }: ServiceError) => resolve(`${code} ${details}`))
  })
}

async function fill(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await put({ key: b(`k${String(i).padStart(3, '0')}`), value: b('v') })
}

const summary = (responses: readonly RangeResponse[] | string): unknown =>
  typeof responses === 'string'
    ? responses
    : responses.map(({ header, kvs, count, more }) => [kvs.length, header?.revision, Number(count), more])

test('chunks grow; the last one alone has the header, the count of all keys and more', async () => {
  await fill(75)
  assert.deepEqual(summary(await stream(EVERYTHING)), [
    [10, undefined, 0, false],
    [20, undefined, 0, false],
    [40, undefined, 0, false],
    [5, 76n, 75, false],
  ])
  assert.deepEqual(summary(await stream({ ...EVERYTHING, limit: 12n })), [
    [10, undefined, 0, false],
    [2, 76n, 75, true],
  ])
  assert.deepEqual(summary(await stream({ ...EVERYTHING, limit: -1n })), [[75, 76n, 75, false]])
  assert.deepEqual(summary(await stream({ ...EVERYTHING, countOnly: true })), [[0, 76n, 75, false]])
  assert.deepEqual(summary(await stream({ key: b('none') })), [[0, 76n, 0, false]])
})

test('the keys are all there, in order and once', async () => {
  await fill(75)
  const responses = await stream({ ...EVERYTHING, keysOnly: true })
  assert.ok(typeof responses !== 'string', inspect(responses))
  const keys = responses.flatMap(({ kvs }) => kvs.map((kv) => KeyValue.decode(kv).key.toString()))
  assert.deepEqual(
    keys,
    Array.from({ length: 75 }, (_, i) => `k${String(i).padStart(3, '0')}`),
  )
})

test('what is written while it runs is not shown', async () => {
  await fill(50)
  const { linearizableBarrier } = member
  member.linearizableBarrier = async () => {
    const barrier = await linearizableBarrier()
    queueMicrotask(() => void put({ key: b('k045'), value: b('later') }))
    return barrier
  }
  const responses = await stream(EVERYTHING)
  assert.ok(typeof responses !== 'string', inspect(responses))
  const values = new Set(responses.flatMap(({ kvs }) => kvs.map((kv) => KeyValue.decode(kv).value.toString())))
  assert.deepEqual([...values], ['v'])
})

test('what it refuses', async () => {
  await fill(2)
  assert.equal(await stream({}), '3 etcdserver: key is not provided')
  assert.equal(await stream({ ...EVERYTHING, sortOrder: 2 }), '12 RangeStream does not support custom sort orders')
  assert.equal(
    await stream({ ...EVERYTHING, sortOrder: 1, sortTarget: 1, minModRevision: 1n }),
    '12 RangeStream does not support custom sort orders',
  )
  assert.equal(await stream({ ...EVERYTHING, maxModRevision: 1n }), '12 RangeStream does not support revision filters')
  assert.equal(
    await stream({ ...EVERYTHING, revision: 9n }),
    '11 etcdserver: mvcc: required revision is a future revision',
  )
  member.problem = 'timeout'
  assert.equal(await stream(EVERYTHING), '14 etcdserver: request timed out')
  assert.deepEqual(summary(await stream({ ...EVERYTHING, serializable: true })), [[2, 3n, 2, false]])
})
