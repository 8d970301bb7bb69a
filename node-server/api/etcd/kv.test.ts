import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SLICE_ROWS } from '../../mvcc/range-reading.ts'
import { range as rangeOf } from '../../mvcc/range.ts'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { HeaderBytes } from './header-bytes.ts'
import { encodeResult } from './responses.ts'
import {
  answered,
  b,
  call,
  member,
  put,
  putBytes,
  putOp,
  range,
  rangeBytes,
  txn,
  txnBytes,
} from './testing/api-fixture.ts'

// What is expected here was observed on etcd 3.7.3 with the same requests.

test('a put names who answered, in which term, and its revision; previous values are the stored bytes', async () => {
  const first = await answered(PutResponse, '/etcdserverpb.KV/Put', putBytes({ key: b('a'), value: b('1') }))
  assert.deepEqual(first.header, {
    clusterId: member.clusterId,
    memberId: member.memberId,
    revision: 2n,
    raftTerm: 2n,
  })
  assert.equal(first.prevKv, undefined)
  const second = await answered(PutResponse, '/etcdserverpb.KV/Put', putBytes({ key: b('a'), prevKv: true }))
  assert.deepEqual(KeyValue.decode(second.prevKv ?? b('')).value, b('1'))
})

test('what is proposed are the bytes that came, unknown fields included', async () => {
  const unknownField = Buffer.concat([putBytes({ key: b('a') }), Buffer.of(0xf8, 0x07, 1)])
  const proposed: Uint8Array[] = []
  const { propose } = member
  member.propose = (kind, request) => {
    proposed.push(request)
    return propose(kind, request)
  }
  await call('/etcdserverpb.KV/Put', unknownField)
  assert.deepEqual(
    proposed.map((bytes) => Buffer.from(bytes)),
    [unknownField],
  )
})

test('requests that cannot be right are refused with the code and text of etcd, and are not proposed', async () => {
  const many = Array.from({ length: 129 }, (_, i) => putOp(`k${i}`))
  const cases: readonly (readonly [Promise<Buffer | string>, string])[] = [
    [put({}), '3 etcdserver: key is not provided'],
    [range({}), '3 etcdserver: key is not provided'],
    [call('/etcdserverpb.KV/DeleteRange', Buffer.alloc(0)), '3 etcdserver: key is not provided'],
    [put({ key: b('a'), value: b('x'), ignoreValue: true }), '3 etcdserver: value is provided'],
    [put({ key: b('a'), lease: 4n, ignoreLease: true }), '3 etcdserver: lease is provided'],
    [txn({ success: many }), '3 etcdserver: too many operations in txn request'],
    [txn({ success: [putOp('a'), putOp('a')] }), '3 etcdserver: duplicate key given in txn request'],
    [txn({ failure: [putOp('')] }), '3 etcdserver: key is not provided'],
    [txn({ success: [{}] }), '3 etcdserver: key not found'],
    [call('/etcdserverpb.KV/Range', Buffer.of(0x0a, 1, 0x61, 0x28, 9)), '3 etcdserver: invalid sort option'],
  ]
  for (const [answer, expected] of cases) assert.equal(await answer, expected)
  assert.equal(member.proposals, 0)
})

test('what the state refuses keeps the code and text of etcd', async () => {
  await put({ key: b('a') })
  assert.equal(await put({ key: b('none'), ignoreValue: true }), '3 etcdserver: key not found')
  assert.equal(await put({ key: b('a'), lease: 9n }), '5 etcdserver: requested lease not found')
  const future = '11 etcdserver: mvcc: required revision is a future revision'
  assert.equal(await range({ key: b('a'), revision: 99n }), future)
  const compact = (revision: bigint): Promise<Buffer | string> =>
    call('/etcdserverpb.KV/Compact', CompactionRequest.encode({ revision, physical: false }).finish())
  assert.equal(await compact(99n), future)
  assert.ok(Buffer.isBuffer(await compact(2n)))
  const compacted = '11 etcdserver: mvcc: required revision has been compacted'
  assert.equal(await compact(2n), compacted)
  await put({ key: b('a') })
  assert.ok(Buffer.isBuffer(await range({ key: b('a'), revision: 2n })))
  assert.equal(await range({ key: b('a'), revision: 1n }), compacted)
})

test('a request over 1.5 MiB is refused, and far over it before it is read', async () => {
  const value = Buffer.alloc(1.5 * 1024 * 1024)
  assert.equal(await put({ key: b('a'), value }), '3 etcdserver: request is too large')
  assert.match(String(await put({ key: b('a'), value: Buffer.alloc(3 * 1024 * 1024) })), /^8 /)
  assert.ok(Buffer.isBuffer(await put({ key: b('a'), value: value.subarray(0, value.length - 100) })))
})

test('a linearizable read waits for the barrier, a serializable one does not', async () => {
  await range({ key: b('a') })
  assert.equal(member.barriers, 1)
  await range({ key: b('a'), serializable: true })
  assert.equal(member.barriers, 1)
  member.problem = 'timeout'
  assert.equal(await range({ key: b('a') }), '14 etcdserver: request timed out')
  assert.ok(Buffer.isBuffer(await range({ key: b('a'), serializable: true })))
})

test('count tells of all keys, whatever the limit', async () => {
  for (const key of ['a', 'b', 'c']) await put({ key: b(key) })
  const request = rangeBytes({ key: b('a'), rangeEnd: b('z'), limit: 2n })
  const page = await answered(RangeResponse, '/etcdserverpb.KV/Range', request)
  assert.deepEqual([page.kvs.length, page.more, page.count], [2, true, 3n])
})

test('a txn without writes is a read: no entry, one barrier', async () => {
  const get = { request: { $case: 'requestRange', value: RangeRequest.fromPartial({ key: b('a') }) } } as const
  const answer = await answered(TxnResponse, '/etcdserverpb.KV/Txn', txnBytes({ success: [get] }))
  assert.deepEqual([answer.succeeded, answer.responses[0]?.response?.$case], [true, 'responseRange'])
  assert.deepEqual([member.proposals, member.barriers], [0, 1])
})

test('operations within a txn carry the revision only, an inner txn an empty header', async () => {
  const inner = { request: { $case: 'requestTxn', value: TxnRequest.fromPartial({}) } } as const
  const answer = await answered(TxnResponse, '/etcdserverpb.KV/Txn', txnBytes({ success: [putOp('a'), inner] }))
  const headers = answer.responses.map(({ response }) => response?.value.header)
  const empty = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n }
  assert.deepEqual(headers, [{ ...empty, revision: 2n }, empty])
  assert.equal(answer.header?.clusterId, member.clusterId)
})

test('a delete tells how many and what', async () => {
  await put({ key: b('a'), value: b('1') })
  const request = DeleteRangeRequest.encode({ key: b('a'), rangeEnd: b('b'), prevKv: true }).finish()
  const answer = await answered(DeleteRangeResponse, '/etcdserverpb.KV/DeleteRange', request)
  assert.equal(answer.deleted, 1n)
  assert.deepEqual(
    answer.prevKvs.map((kv) => KeyValue.decode(kv).value.toString()),
    ['1'],
  )
})

test('a physical compaction answers once the versions are gone', async () => {
  for (let i = 0; i < 3; i++) await put({ key: b('a') })
  const request = CompactionRequest.encode({ revision: 3n, physical: true }).finish()
  await answered(CompactionResponse, '/etcdserverpb.KV/Compact', request)
  assert.equal(member.store.meta.purgedRevision, 3)
})

test('a range that is read in slices has the bytes of one that is read at once, at the revision at which it began', async () => {
  for (let i = 0; i < 2 * SLICE_ROWS; i++) await put({ key: b(`k${String(i).padStart(4, '0')}`), value: b(`v${i}`) })
  const everything = { key: b('\0'), rangeEnd: b('\0') }
  const whole = rangeOf(member.store, RangeRequest.decode(rangeBytes(everything)))
  assert.ok(whole.ok)
  const expected = encodeResult(new HeaderBytes(member), whole.value)
  // Serializable: it begins when it comes, and not when a quorum has answered, which may be after the put.
  const reading = range({ ...everything, serializable: true })
  await put({ key: b('k0999'), value: b('later') })
  assert.deepEqual(await reading, Buffer.from(expected))
})
