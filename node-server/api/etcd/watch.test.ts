import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import * as fc from 'fast-check'
import { NOBODY } from '../../../lib/ids.ts'
import { CompactionRequest, DeleteRangeRequest, WatchCreateRequest } from '../../proto/generated/etcd/rpc.ts'
import { b, call, member, put, putOp, sent, txn } from './testing/api-fixture.ts'
import { WatchClient } from './testing/watch-client.ts'

// What is expected here was observed on etcd 3.7.3 with the same requests, but for the limits, which etcd has not.

const open: WatchClient[] = []
const watching = (headers?: Readonly<Record<string, string>>): WatchClient => {
  const client = new WatchClient(headers)
  open.push(client)
  return client
}
afterEach(async () => {
  for (const client of open.splice(0)) await client.leave()
})

const write = async (key: string, value: string): Promise<void> => {
  assert.ok(Buffer.isBuffer(await put({ key: b(key), value: b(value) })))
}
const remove = async (key: string): Promise<void> => {
  const request = DeleteRangeRequest.encode({ key: b(key), rangeEnd: b(''), prevKv: false }).finish()
  assert.ok(Buffer.isBuffer(await call('/etcdserverpb.KV/DeleteRange', request)))
}
const compact = async (revision: number): Promise<void> => {
  const request = CompactionRequest.encode({ revision: BigInt(revision), physical: false }).finish()
  assert.ok(Buffer.isBuffer(await call('/etcdserverpb.KV/Compact', request)))
}

test('a watch is told of its creation first, then of every change of its keys with what it replaced', async () => {
  const client = watching()
  await write('x', '0') // 2
  client.create({ key: 'a', rangeEnd: 'b', prevKv: true })
  assert.deepEqual(await client.next(), ['@2 #0 created'])
  await write('a1', '1') // 3
  await write('a1', '2') // 4
  await remove('a1') // 5
  await write('b1', '1') // 6, not in the range
  await write('a1', '3') // 7
  assert.deepEqual(await client.next(4), [
    '@3 #0 put(a1=1)',
    '@4 #0 put(a1=2<a1=1)',
    '@5 #0 del(a1=<a1=2)',
    '@7 #0 put(a1=3)',
  ])
})

test('all that one txn did comes in one response', async () => {
  const client = watching()
  client.create({ key: 'a', rangeEnd: 'z' })
  await client.next()
  await txn({ success: ['c', 'a', 'zz', 'b'].map(putOp) })
  assert.deepEqual(await client.next(), ['@2 #0 put(c=) put(a=) put(b=)'])
})

test('IDs are counted up around those that the client chooses; an ID in use is refused', async () => {
  const client = watching()
  for (const watchId of [0, 1, 0, 0, -1, 7]) client.create({ key: 'a', watchId })
  client.create({ key: 'a', watchId: 7 })
  const reason = '"mvcc: duplicate watch ID provided on the WatchStream"'
  assert.deepEqual(await client.next(7), [
    ...['#0', '#1', '#2', '#3', '#-1', '#7'].map((id) => `@1 ${id} created`),
    `@1 #-1 created canceled ${reason}`,
  ])
  client.cancel(7)
  client.create({ key: 'a', watchId: 7 })
  assert.deepEqual(await client.next(2), ['@1 #7 canceled', '@1 #7 created'])
})

test('a range without keys and a negative start are refused, the stream goes on', async () => {
  const client = watching()
  client.create({ key: 'a', rangeEnd: 'a' })
  client.create({ key: 'b', rangeEnd: 'a' })
  client.create({ key: 'a', startRevision: -1 })
  client.create({ key: 'a' })
  assert.deepEqual(await client.next(4), [
    '@1 #-1 created canceled "mvcc: watcher range is empty"',
    '@1 #-1 created canceled "mvcc: watcher range is empty"',
    '@1 #-1 created canceled "etcdserver: mvcc: required revision has been compacted"',
    '@1 #0 created',
  ])
})

test('an end of one zero byte is no end; an empty key is the least one', async () => {
  const client = watching()
  client.create({ key: 'b', rangeEnd: '\0' })
  client.create({ key: '', rangeEnd: '\0' })
  client.create({ key: '', rangeEnd: 'b' })
  client.create({ key: '' })
  await client.next(4)
  await write('a', '1')
  assert.deepEqual((await client.next(2)).toSorted(), ['@2 #1 put(a=1)', '@2 #2 put(a=1)'])
  await write('c', '1')
  assert.deepEqual((await client.next(2)).toSorted(), ['@3 #0 put(c=1)', '@3 #1 put(c=1)'])
})

test('a start in the past gives what was then, a start in the future nothing before it', async () => {
  const client = watching()
  for (const value of ['1', '2', '3']) await write('a', value) // 2, 3, 4
  client.create({ key: 'a', startRevision: 3 })
  assert.deepEqual(await client.next(2), ['@4 #0 created', '@4 #0 put(a=2) put(a=3)'])
  client.create({ key: 'a', startRevision: 6 })
  assert.deepEqual(await client.next(), ['@4 #1 created'])
  await write('a', '4') // 5
  await write('a', '5') // 6
  const lines = (await client.next(3)).toSorted()
  assert.deepEqual(lines, ['@5 #0 put(a=4)', '@6 #0 put(a=5)', '@6 #1 put(a=5)'])
})

test('headers do not go back while a watch reads on from the past in several pages', async () => {
  const client = watching()
  const value = 'v'.repeat(100_000)
  for (let i = 0; i < 4; i++) await write('a', value) // 2, 3, 4, 5
  client.create({ key: 'a', startRevision: 2 })
  const two = '@5 #0 put(a=100000) put(a=100000)'
  assert.deepEqual(await client.next(3), ['@5 #0 created', two, two])
})

test('a compacted start ends with the compacted revision; its ID stays in use until the client cancels it', async () => {
  const client = watching()
  for (const value of ['1', '2', '3']) await write('a', value) // 2, 3, 4
  await compact(4)
  client.create({ key: 'a', startRevision: 3 })
  assert.deepEqual(await client.next(2), ['@4 #0 created', '@0 #0 canceled compact=4'])
  client.create({ key: 'a', startRevision: 4, prevKv: true })
  assert.deepEqual(await client.next(2), ['@4 #1 created', '@4 #1 put(a=3)'])
  client.askProgress() // not answered as long as watch 0 is not cancelled
  client.cancel(0)
  client.cancel(0)
  client.cancel(5)
  client.askProgress()
  assert.deepEqual(await client.next(2), ['@4 #0 canceled', '@4 #-1'])
})

test('the tombstone at the compacted revision is seen', async () => {
  const client = watching()
  await write('a', '1') // 2
  await remove('a') // 3
  await compact(3)
  client.create({ key: 'a', startRevision: 3, prevKv: true })
  assert.deepEqual(await client.next(2), ['@3 #0 created', '@3 #0 del(a=)'])
})

test('filters leave out puts or deletes; a filter that is not known leaves out nothing', async () => {
  const client = watching()
  client.create({ key: 'a', filters: [0] })
  client.create({ key: 'a', filters: [1] })
  client.create({ key: 'a', filters: [0, 1] })
  client.raw(Buffer.of(0x0a, 6, 0x0a, 1, 0x61, 0x2a, 1, 5)) // key a, filter 5
  await client.next(4)
  await write('a', '1')
  assert.deepEqual(await client.next(2), ['@2 #1 put(a=1)', '@2 #3 put(a=1)'])
  await remove('a')
  assert.deepEqual(await client.next(2), ['@3 #0 del(a=)', '@3 #3 del(a=)'])
})

test('progress is told after the events it speaks of, once for each request', async () => {
  const client = watching()
  client.askProgress() // without watches there is nothing to tell
  client.create({ key: 'a' })
  client.create({ key: 'b' })
  await client.next(2)
  await write('a', '1')
  client.askProgress()
  client.askProgress()
  assert.deepEqual(await client.next(3), ['@2 #0 put(a=1)', '@2 #-1', '@2 #-1'])
})

test('no progress is told while a watch starts in the future', async () => {
  const client = watching()
  client.create({ key: 'a' })
  client.create({ key: 'b', startRevision: 2 })
  client.askProgress()
  client.create({ key: 'c' })
  assert.deepEqual(await client.next(3), ['@1 #0 created', '@1 #1 created', '@1 #2 created'])
  await write('x', '1') // 2
  client.askProgress()
  assert.deepEqual(await client.next(), ['@2 #-1'])
})

test('a watch that wants it is told of progress in intervals in which it got nothing', async () => {
  const client = watching()
  client.create({ key: 'a', startRevision: 100, progressNotify: true })
  assert.deepEqual(await client.next(), ['@1 #0 created'])
  client.create({ key: 'a', progressNotify: true })
  assert.deepEqual(await client.next(2), ['@1 #1 created', '@1 #1'])
  await write('a', '1')
  let line = '@1 #1' // told again for each interval that the write took
  while (line === '@1 #1') [line = ''] = await client.next()
  assert.deepEqual([line, ...(await client.next())], ['@2 #1 put(a=1)', '@2 #1'])
})

test('nothing follows the answer to a cancel', async () => {
  const client = watching()
  client.create({ key: 'a' })
  client.create({ key: 'a' })
  client.cancel(0)
  assert.deepEqual(await client.next(3), ['@1 #0 created', '@1 #1 created', '@1 #0 canceled'])
  await write('a', '1')
  assert.deepEqual(await client.next(), ['@2 #1 put(a=1)'])
})

test('a large response comes in fragments to who asks for them, whole to others', async () => {
  const client = watching()
  client.create({ key: 'a', rangeEnd: 'z', fragment: true })
  client.create({ key: 'a', rangeEnd: 'z' })
  await client.next(2)
  const value = Buffer.alloc(250_000)
  await txn({
    success: ['a', 'b', 'c'].map((key) => ({ request: { $case: 'requestPut', value: { key: b(key), value } } })),
  })
  assert.deepEqual(await client.next(3), [
    '@2 #0 fragment put(a=250000) put(b=250000)',
    '@2 #0 put(c=250000)',
    '@2 #1 put(a=250000) put(b=250000) put(c=250000)',
  ])
})

test('a request of no kind is ignored, bytes that are no request end the stream', async () => {
  const client = watching()
  client.raw(Buffer.alloc(0))
  client.raw(Buffer.of(0x1a, 0)) // progress
  client.raw(Buffer.of(0x12, 0)) // cancel of watch 0, which is not there
  client.raw(Buffer.of(0x0a, 0)) // create with nothing in it
  client.raw(Buffer.of(0xff, 0xff))
  assert.deepEqual(await client.next(2), [
    '@1 #0 created',
    '13 grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data',
  ])
})

test('that the client says no more does not end its watches', async () => {
  const client = watching()
  client.create({ key: 'a' })
  client.call.end()
  await client.next()
  await write('a', '1')
  assert.deepEqual(await client.next(), ['@2 #0 put(a=1)'])
})

test('more watches than one stream may have are refused, the others go on', async () => {
  const client = watching()
  for (let i = 0; i < 11; i++) client.create({ key: 'a' })
  const lines = await client.next(11)
  assert.equal(lines[9], '@1 #9 created')
  assert.equal(lines[10], '@1 #-1 created canceled "etcdserver: too many watches on one stream: at most 10"')
  client.cancel(3)
  client.create({ key: 'a' })
  assert.deepEqual(await client.next(2), ['@1 #3 canceled', '@1 #10 created'])
})

test('a learner serves no watches', async () => {
  member.isLearner = true
  assert.deepEqual(await watching().next(), ['9 etcdserver: rpc not supported for learner'])
})

test('who asks for a leader is refused while there is none, and loses the stream when there is none for long', async () => {
  const client = watching({ hasleader: 'true' })
  const other = watching()
  client.create({ key: 'a' })
  other.create({ key: 'a' })
  await client.next()
  member.leader = NOBODY
  assert.deepEqual(await client.next(), ['14 etcdserver: no leader'])
  assert.deepEqual(await watching({ hasleader: 'true' }).next(), ['14 etcdserver: no leader'])
  await write('a', '1')
  assert.deepEqual(await other.next(2), ['@1 #0 created', '@2 #0 put(a=1)'])
})

test('numbers at their extremes and arbitrary bytes are answered, and hurt no other stream', async () => {
  const extreme = fc.constantFrom(-(2n ** 63n), -1n, 0n, 1n, 2n ** 53n, 2n ** 63n - 1n)
  const request = fc.record({ startRevision: extreme, watchId: extreme })
  const other = watching()
  other.create({ key: 'b' })
  await other.next()
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 5 }), fc.uint8Array({ maxLength: 30 }), async (creates, bytes) => {
      const client = watching()
      for (const fields of creates) {
        const value = WatchCreateRequest.fromPartial({ key: b('a'), rangeEnd: b('b'), ...fields })
        client.send({ $case: 'createRequest', value })
      }
      client.send({ $case: 'progressRequest', value: {} })
      for (const line of await client.next(creates.length)) assert.match(line, /^@\d+ #-?\d+ created/)
      client.raw(bytes)
      client.raw(Buffer.of(0xff))
      while ((await client.next())[0]?.startsWith('13 grpc: failed to unmarshal') !== true) continue
    }),
    { numRuns: 50 },
  )
  await write('b', '1')
  assert.deepEqual(await other.next(), ['@2 #0 put(b=1)'])
})

test('a client that does not read costs little memory, holds up nobody else, and misses nothing', async () => {
  const revisions = Array.from({ length: 200 }, (_, i) => i + 2)
  const lines = revisions.map((revision) => `@${revision} #0 put(a=100000)`)
  const client = watching()
  const other = watching()
  for (const watch of [client, other]) watch.create({ key: 'a' })
  await client.next()
  await other.next()
  client.call.pause()
  sent.bytes = 0
  const received: string[] = []
  for (const revision of revisions) {
    await write('a', 'x'.repeat(100_000))
    received.push(...(await other.next()))
    assert.equal(received.at(-1), lines[revision - 2])
  }
  // All that was given to the engine for both; what the kernel and the flow control of HTTP/2 take is part of it.
  assert.ok(sent.bytes < 22_000_000, `${sent.bytes} bytes for 20 MB to one reader`)
  client.call.resume()
  const late: string[] = []
  for (let events = 0; events < revisions.length; events = late.join().split('put(').length - 1) {
    late.push(...(await client.next()))
  }
  assert.equal(late.flatMap((line) => line.split(' ').slice(2)).length, revisions.length)
  assert.match(late.at(-1) ?? '', /^@201 /)
})
