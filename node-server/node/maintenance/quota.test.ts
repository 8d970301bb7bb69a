import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackendSize } from '../../mvcc/backend.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { opDelete, opPut, put, putRequest, txnRequest } from '../../mvcc/testing/requests.ts'
import { PutRequest, TxnRequest } from '../../proto/generated/etcd/rpc.ts'
import { DEFAULT_QUOTA_BYTES, Quota } from './quota.ts'

/** A file whose size a test sets. */
class SizedBackend extends MemoryBackend {
  current: BackendSize = { totalBytes: 0, inUseBytes: 0 }
  looks = 0
  override size(): BackendSize {
    this.looks += 1
    return this.current
  }
}

function prepare(quotaBytes: number): {
  backend: SizedBackend
  store: Store
  quota: Quota
  disk: { writableBytes: number }
} {
  const backend = new SizedBackend()
  const store = new Store(backend)
  const disk = { writableBytes: Infinity }
  return { backend, store, quota: new Quota(quotaBytes, () => store, disk), disk }
}

const putBytes = (...args: Parameters<typeof putRequest>): Uint8Array => PutRequest.encode(putRequest(...args)).finish()
const txnBytes = (...args: Parameters<typeof txnRequest>): Uint8Array => TxnRequest.encode(txnRequest(...args)).finish()

test('0 means the default and a negative quota none, as in etcd', () => {
  assert.equal(prepare(0).quota.limitBytes, DEFAULT_QUOTA_BYTES)
  const { backend, quota } = prepare(-1)
  backend.current = { totalBytes: 2 ** 50, inUseBytes: 2 ** 50 }
  assert.ok(quota.takes('put', putBytes('a')))
})

test('a put is taken while the file and etcd’s estimate of the put stay below the quota', () => {
  const { backend, quota } = prepare(10_000)
  const cost = 256 + 'key'.length + 'value'.length
  backend.current = { totalBytes: 10_000 - cost - 1, inUseBytes: 0 }
  assert.ok(quota.takes('put', putBytes('key', 'value')))
  assert.ok(!quota.takes('put', putBytes('key', 'values')))
  backend.current = { totalBytes: 10_000 - 65, inUseBytes: 0 }
  quota.forget()
  assert.ok(quota.takes('lease-grant', Buffer.alloc(4)))
  assert.ok(!quota.takes('put', putBytes('k')))
})

test('a full store takes what needs no room: deletes, compactions, txns without a put', () => {
  const { backend, quota } = prepare(10_000)
  backend.current = { totalBytes: 20_000, inUseBytes: 20_000 }
  assert.ok(quota.takes('txn', txnBytes([opDelete('a')])))
  assert.ok(!quota.takes('txn', txnBytes([opDelete('a')], [opPut('b')])))
  for (const kind of ['delete-range', 'compact', 'alarm', 'lease-revoke']) assert.ok(quota.takes(kind, Buffer.alloc(0)))
  assert.ok(!quota.takes('lease-grant', Buffer.alloc(0)))
})

test('a disk that is nearly full counts as a full store, whatever the quota; it is looked at as the file is', () => {
  const { quota, disk, store } = prepare(-1)
  disk.writableBytes = 10_000
  assert.ok(quota.takes('put', putBytes('a')))
  put(store, 'a', 'x'.repeat(4000))
  assert.ok(quota.takes('put', putBytes('a')), 'there is room for it in the log and in the store')
  put(store, 'b', 'x'.repeat(1000))
  assert.ok(quota.isDiskFull, 'not for so much')
  disk.writableBytes = 6000
  quota.forget()
  assert.ok(quota.takes('put', putBytes('a')), 'in the log it is already')
  disk.writableBytes = 4000
  quota.forget()
  assert.ok(quota.isDiskFull)
  assert.deepEqual([quota.takes('put', putBytes('a')), quota.takes('txn', txnBytes([opDelete('a')]))], [false, true])
})

test('a txn of many small puts is weighed by their number', () => {
  const { backend, quota } = prepare(10_000)
  backend.current = { totalBytes: 0, inUseBytes: 0 }
  const puts = Array.from({ length: 40 }, (_, i) => opPut(`${i}`))
  assert.ok(quota.takes('txn', txnBytes(puts.slice(0, 38))))
  assert.ok(!quota.takes('txn', txnBytes(puts)))
})

test('free pages of the file take what waits for its commit; without them it counts', () => {
  const { backend, store, quota } = prepare(100_000)
  put(store, 'a', 'x'.repeat(30_000))
  backend.current = { totalBytes: 90_000, inUseBytes: 10_000 }
  assert.ok(quota.hasRoomFor(5000))
  backend.current = { totalBytes: 90_000, inUseBytes: 75_000 }
  quota.forget()
  assert.ok(!quota.hasRoomFor(5000))
})

test('the file is looked at once a commit, and again when told that it has changed', async () => {
  const { backend, store, quota } = prepare(100_000)
  for (let i = 0; i < 5; i++) quota.hasRoomFor(1)
  assert.equal(backend.looks, 1)
  put(store, 'a')
  await store.commit()
  for (let i = 0; i < 5; i++) quota.hasRoomFor(1)
  assert.equal(backend.looks, 2)
  quota.forget()
  quota.hasRoomFor(1)
  assert.equal(backend.looks, 3)
})
