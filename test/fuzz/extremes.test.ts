/** The numbers at which integers break, in every field of a request that is one: over a store in memory and one on disk. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { applyNext, compactTo, put } from '../../node-server/mvcc/testing/requests.ts'
import { MemoryBackend } from '../../node-server/mvcc/memory-backend.ts'
import { range } from '../../node-server/mvcc/range.ts'
import { Store } from '../../node-server/mvcc/store.ts'
import {
  CompactionRequest,
  Compare,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { realVolume } from '../../node-server/storage/volume.ts'
import { checkTables } from '../../node-server/tools/store-tables.ts'
import { int64 } from './wire.ts'

const KEYS = 6
const COMPACTED = 3
const key = fc.constantFrom('\0', 'key0', 'key3', 'zzz').map((text) => Buffer.from(text))
const rangeEnd = fc.constantFrom('', '\0', 'key5').map((text) => Buffer.from(text))

const rangeRequest = fc
  .record({
    key,
    rangeEnd,
    limit: int64,
    revision: int64,
    sortOrder: fc.constantFrom(0, 1, 2),
    sortTarget: fc.constantFrom(0, 1, 2, 3, 4),
    keysOnly: fc.boolean(),
    countOnly: fc.boolean(),
    minModRevision: fc.oneof(fc.constant(0n), int64),
    maxModRevision: fc.oneof(fc.constant(0n), int64),
    minCreateRevision: fc.constant(0n),
    maxCreateRevision: fc.oneof(fc.constant(0n), int64),
  })
  .map((fields) => RangeRequest.fromPartial(fields as Partial<RangeRequest>))

function filled(store: Store): Store {
  for (let i = 0; i < KEYS; i++) put(store, `key${i}`, `${i}`)
  put(store, 'key0', 'again')
  compactTo(store, COMPACTED)
  return store
}

function assertRange(store: Store, request: RangeRequest): void {
  const result = range(store, request)
  if (request.revision > BigInt(store.revision)) {
    assert.ok(!result.ok && result.error.kind === 'future-revision')
  } else if (request.revision > 0n && request.revision < BigInt(COMPACTED)) {
    assert.ok(!result.ok && result.error.kind === 'compacted')
  } else {
    assert.ok(result.ok)
    const { kvs, count, more } = result.value
    assert.ok(count <= KEYS && kvs.length <= count)
    if (request.limit > 0n) assert.ok(BigInt(kvs.length) <= request.limit)
    else assert.equal(more, false)
  }
}

test('a Range with any limit, revision and filter: its bounds hold, in memory and on disk', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'raftkv-extremes-'))
  t.after(() => rm(folder, { recursive: true }))
  const onDisk = filled(new Store(await realVolume.stores.open(join(folder, 'store'))))
  await onDisk.commit()
  put(onDisk, 'key1', 'not committed')
  for (const store of [filled(new Store(new MemoryBackend())), onDisk]) {
    fc.assert(fc.property(rangeRequest, (request) => assertRange(store, request)))
  }
  await onDisk.close()
})

test('a Compact to any revision moves the store to that revision or is refused', () => {
  fc.assert(
    fc.property(fc.array(int64, { maxLength: 4 }), (revisions) => {
      const store = filled(new Store(new MemoryBackend()))
      for (const revision of revisions) {
        const before = store.compactedRevision
        const result = applyNext(store, 'compact', CompactionRequest.encode({ revision, physical: false }).finish())
        const isAllowed = revision > BigInt(before) && revision <= BigInt(store.revision)
        assert.equal(result.ok, isAllowed)
        assert.equal(BigInt(store.compactedRevision), isAllowed ? revision : BigInt(before))
      }
    }),
  )
})

test('compares and leases of any number leave a store whose tables agree, equal on every member', async () => {
  const target = fc.constantFrom('version', 'createRevision', 'modRevision', 'lease' as const)
  const compare = fc.tuple(key, rangeEnd, target, int64, fc.nat(3)).map(([key, rangeEnd, $case, value, result]) =>
    Compare.fromPartial({
      key,
      rangeEnd,
      result: result as 0 | 1 | 2 | 3,
      target: ({ version: 0, createRevision: 1, modRevision: 2, lease: 4 } as const)[$case],
      targetUnion: { $case, value },
    }),
  )
  const operation = fc.oneof(
    fc.tuple(key, int64).map(([key, lease]) => ({
      $case: 'requestPut' as const,
      value: PutRequest.fromPartial({ key, lease: lease % 3n === 0n ? lease : 0n }),
    })),
    rangeRequest.map((value) => ({ $case: 'requestRange' as const, value })),
  )
  const txn = fc
    .tuple(
      fc.array(compare, { maxLength: 3 }),
      fc.array(operation, { maxLength: 3 }),
      fc.array(operation, { maxLength: 2 }),
    )
    .map(([compare, success, failure]) => {
      const operations = (list: typeof success): RequestOp[] => list.map((request) => ({ request }))
      return TxnRequest.encode({ compare, success: operations(success), failure: operations(failure) }).finish()
    })
  await fc.assert(
    fc.asyncProperty(fc.array(txn, { maxLength: 5 }), async (txns) => {
      const stores = [filled(new Store(new MemoryBackend())), filled(new Store(new MemoryBackend()))]
      const results = stores.map((store) => txns.map((bytes) => applyNext(store, 'txn', bytes)))
      assert.deepEqual(results[0], results[1])
      for (const store of stores) {
        await store.commit()
        assert.deepEqual(checkTables(store.backend, store.meta).problems, [])
      }
    }),
  )
})
