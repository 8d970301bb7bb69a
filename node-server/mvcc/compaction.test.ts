import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { KeyValue } from '../proto/generated/etcd/kv.ts'
import type { RequestOp } from '../proto/generated/etcd/rpc.ts'
import type { Table } from './backend.ts'
import { compactSlice, SLICE_ROWS, type CompactionCursor } from './compaction.ts'
import { readEvents, type StoredEvent } from './events.ts'
import { hashState } from './testing/hash-state.ts'
import { MemoryBackend } from './memory-backend.ts'
import { range } from './range.ts'
import { readCurrent, readKeyValue } from './read.ts'
import { Store } from './store.ts'
import {
  compactTo,
  deleteRange,
  opDelete,
  opPut,
  opTxn,
  put,
  rangeRequest,
  txn,
  txnRequest,
} from './testing/requests.ts'

const FIRST = Buffer.of(0)

function compactFully(store: Store): number {
  let slices = 0
  let cursor: CompactionCursor | undefined
  do {
    cursor = compactSlice(store, cursor).cursor
    slices++
  } while (cursor !== undefined)
  return slices
}

/** Rows that are left once what was removed is committed. */
async function rowsLeft(store: Store, table: Table): Promise<number> {
  await store.commit()
  return store.buffer.count(table, FIRST, undefined)
}

test('what no allowed read sees is gone; the tombstone at the compacted revision stays for watches', async () => {
  const store = new Store(new MemoryBackend())
  put(store, 'a', '1') // 2
  put(store, 'a', '2') // 3
  put(store, 'b', '1') // 4
  deleteRange(store, 'b') // 5
  deleteRange(store, 'a') // 6
  put(store, 'c', '1') // 7
  compactTo(store, 6)
  compactFully(store)
  const events = readEvents(store, { revision: 6, sub: 0 }, Infinity).events.map(({ revision, isDelete }) => [
    revision,
    isDelete,
  ])
  assert.deepEqual(events, [
    [6, true],
    [7, false],
  ])
  assert.equal(await rowsLeft(store, 'revisions'), 2)
  assert.equal(await rowsLeft(store, 'history'), 1)
  compactTo(store, 7)
  compactFully(store)
  assert.equal(await rowsLeft(store, 'history'), 0)
  assert.equal(await rowsLeft(store, 'revisions'), 1)
})

test('a key that its own txn deletes and puts again, and perhaps deletes again, outlives each compaction as it should', async () => {
  // What ends with a zero byte goes to the end of all keys, and is not held against the puts beside it (as in etcd).
  const [removal, creation] = [opDelete('a', '\0'), opPut('a', 'again')]
  for (const operations of [
    [removal, creation],
    [removal, creation, removal],
  ]) {
    for (const compacted of [2, 3, 4, 5, 6]) {
      for (const isInOneGo of [true, false]) {
        const store = new Store(new MemoryBackend())
        put(store, 'a', '1') // 2
        assert.ok(txn(store, operations).ok) // 3
        put(store, 'a', '3') // 4
        deleteRange(store, 'a') // 5
        put(store, 'a', '5') // 6
        const valuesFrom = (revision: number): readonly string[] =>
          Array.from({ length: 7 - revision }, (_, i) => {
            const found = range(store, rangeRequest('a', '', { revision: BigInt(revision + i) }))
            assert.ok(found.ok)
            return found.value.kvs.map((bytes) => KeyValue.decode(bytes).value.toString()).join()
          })
        const before = valuesFrom(compacted)
        for (let step = isInOneGo ? compacted : 2; step <= compacted; step++) {
          compactTo(store, step)
          compactFully(store)
        }
        assert.deepEqual(valuesFrom(compacted), before, `compacted to ${compacted}`)
        if (compacted === 6) assert.equal(await rowsLeft(store, 'revisions'), 1, 'nothing is left behind')
      }
    }
  }
})

test('a put that its own txn deletes again is an event, and goes with its tombstone', async () => {
  const inner = [opTxn(txnRequest([opPut('b'), opPut('a', '1')])), opTxn(txnRequest([opDelete('a')]))]
  for (const isThereBefore of [false, true]) {
    const store = new Store(new MemoryBackend())
    put(store, 'x') // 2
    put(store, isThereBefore ? 'a' : 'x') // 3
    assert.ok(txn(store, inner).ok) // 4
    const deleted = readEvents(store, { revision: 4, sub: 0 }, Infinity).events.map(({ key, isDelete }) => [
      key,
      isDelete,
    ])
    assert.deepEqual(deleted, [
      ['b', false],
      ['a', false],
      ['a', true],
    ])
    put(store, 'x') // 5
    compactTo(store, 5)
    compactFully(store)
    assert.equal(await rowsLeft(store, 'history'), 0)
    assert.equal(await rowsLeft(store, 'revisions'), 2, 'of b and x')
  }
})

test('slices are bounded and hidden from readers; after a restart they go on where the last commit was', async () => {
  const store = new Store(new MemoryBackend())
  for (let round = 0; round < 4; round++)
    for (let key = 0; key < SLICE_ROWS; key++) put(store, `key ${key}`, `${round}`)
  compactTo(store, store.revision - SLICE_ROWS)
  const before = hashState(store)
  const first = compactSlice(store, undefined)
  const { cursor, removedVersions } = compactSlice(store, first.cursor)
  assert.ok(cursor !== undefined && removedVersions > 0 && removedVersions <= SLICE_ROWS)
  assert.equal(hashState(store), before)
  await store.commit()
  const restarted = new Store(store.backend)
  assert.equal(restarted.meta.purgedRevision, store.meta.purgedRevision)
  assert.ok(compactFully(restarted) <= 3)
  assert.equal(hashState(restarted), before)
  assert.equal(await rowsLeft(restarted, 'history'), SLICE_ROWS)
  assert.equal(restarted.meta.purgedRevision, restarted.compactedRevision)
  assert.deepEqual(compactSlice(restarted, undefined), { cursor: undefined, removedVersions: 0 })
})

test('a compaction that comes during a pass is worked off with it', async () => {
  const store = new Store(new MemoryBackend())
  for (let round = 0; round < 3; round++)
    for (let key = 0; key < SLICE_ROWS; key++) put(store, `key ${key}`, `${round}`)
  compactTo(store, 2 * SLICE_ROWS)
  const { cursor } = compactSlice(store, undefined)
  assert.ok(cursor !== undefined)
  compactTo(store, store.revision)
  let next: CompactionCursor | undefined = cursor
  while (next !== undefined) next = compactSlice(store, next).cursor
  assert.equal(await rowsLeft(store, 'history'), 0)
  const all = range(store, rangeRequest('\0', '\0', { countOnly: true }))
  assert.ok(all.ok && all.value.count === SLICE_ROWS)
})

test('a revision with more changes than a slice visits is gone through in several', async () => {
  const store = new Store(new MemoryBackend())
  for (let key = 0; key < 5 * SLICE_ROWS; key++) put(store, `key ${key}`)
  deleteRange(store, '\0', '\0')
  put(store, 'last')
  compactTo(store, store.revision)
  let cursor: CompactionCursor | undefined
  for (let slices = 0; slices < 7; slices++) cursor = compactSlice(store, cursor).cursor
  assert.ok(cursor !== undefined)
  await store.commit()
  const restarted = new Store(store.backend)
  assert.equal(restarted.meta.purgedRevision, 5 * SLICE_ROWS + 1, 'the revision of the deletes is not done')
  assert.equal(compactFully(restarted), 4)
  assert.equal(await rowsLeft(restarted, 'revisions'), 1)
})

test('a slice ends with the bytes it reads as well', async () => {
  const store = new Store(new MemoryBackend())
  for (let round = 0; round < 10; round++) put(store, 'a', 'v'.repeat(600_000))
  compactTo(store, store.revision)
  assert.equal(compactFully(store), 5)
  assert.equal(await rowsLeft(store, 'revisions'), 1)
})

test('a compaction goes through what was written since the one before, whatever else lives', () => {
  const store = new Store(new MemoryBackend())
  for (let key = 0; key < 10 * SLICE_ROWS; key++) put(store, `key ${key}`)
  compactTo(store, store.revision)
  compactFully(store)
  put(store, 'key 5')
  compactTo(store, store.revision)
  for (let key = 0; key < 10 * SLICE_ROWS; key++) put(store, `key ${key}`)
  assert.deepEqual(compactSlice(store, undefined), { cursor: undefined, removedVersions: 1 })
})

/** A txn that puts the key and deletes it again; the delete is in an inner txn, as etcd asks for. */
const putAndDelete = (key: string): RequestOp[] => [opTxn(txnRequest([opPut(key)])), opTxn(txnRequest([opDelete(key)]))]

test('whatever happened, and wherever a pass was cut off, exactly what the rule names goes', async () => {
  const key = fc.constantFrom('a', 'ab', 'b', 'a\0')
  const step = fc.oneof(
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('put' as const), key }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('put-and-delete' as const), key }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.nat(6) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('slice' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 400, size: 'max' }), async (steps) => {
      let store = new Store(new MemoryBackend())
      const twin = new Store(new MemoryBackend())
      let cursor: CompactionCursor | undefined
      for (const step of steps) {
        if (step.kind === 'compact') compactTo(store, store.revision - step.back)
        else if (step.kind === 'slice') cursor = compactSlice(store, cursor).cursor
        else if (step.kind === 'commit') await store.commit()
        else if (step.kind === 'restart') {
          await store.commit()
          store = new Store(store.backend)
          cursor = undefined
        } else if ('key' in step)
          for (const each of [store, twin]) {
            if (step.kind === 'put') put(each, step.key)
            else if (step.kind === 'delete') deleteRange(each, step.key)
            else txn(each, putAndDelete(step.key))
          }
      }
      while ((cursor = compactSlice(store, cursor).cursor) !== undefined);
      await store.commit()
      const rows = (of: Store): StoredEvent[] => [...readEvents(of, { revision: 1, sub: 0 }, Infinity).events]
      assert.deepEqual(rows(store), visible(rows(twin), store.compactedRevision))
      const indexed = store.buffer.count('current', FIRST, undefined) + store.buffer.count('history', FIRST, undefined)
      const hidden = rows(store).filter((row, i, all) => isHidden(row, all[i + 1])).length
      assert.equal(rows(store).length, indexed + hidden)
    }),
    { numRuns: 60 },
  )
})

/** The rule, read off the events. */
function visible(events: readonly StoredEvent[], compacted: number): StoredEvent[] {
  return events.filter((event, i) => {
    if (event.revision > compacted) return true
    if (event.isDelete) return event.revision === compacted
    const next = events.slice(i + 1).find(({ key }) => key === event.key)
    if (next === undefined || next.revision > compacted) return true
    return next.revision === event.revision && event.revision === compacted // goes with its tombstone
  })
}

function isHidden(row: StoredEvent, next: StoredEvent | undefined): boolean {
  return next?.revision === row.revision && next.key === row.key
}

test('what was read before it was removed is not read any more', async () => {
  const store = new Store(new MemoryBackend())
  put(store, 'a', '1') // 2
  const superseded = readCurrent(store, Buffer.from('a'))
  assert.ok(superseded !== undefined)
  readKeyValue(store, superseded)
  put(store, 'a', '2') // 3
  readKeyValue(store, superseded)
  compactTo(store, 3)
  compactFully(store)
  await store.commit()
  assert.throws(() => readKeyValue(store, superseded), /is in the index and not in the store/)
})
