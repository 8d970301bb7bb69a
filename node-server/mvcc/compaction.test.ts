import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compactSlice, SLICE_ENTRIES, type CompactionCursor } from './compaction.ts'
import { readEvents } from './events.ts'
import { hashState } from './hash.ts'
import { MemoryBackend } from './memory-backend.ts'
import { range } from './range.ts'
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

test('what no allowed read sees is gone; the tombstone at the compacted revision stays for watches', () => {
  const store = new Store(new MemoryBackend())
  put(store, 'a', '1') // 2
  put(store, 'a', '2') // 3
  put(store, 'b', '1') // 4
  deleteRange(store, 'b') // 5
  deleteRange(store, 'a') // 6
  put(store, 'c', '1') // 7
  compactTo(store, 6)
  compactFully(store)
  const events = readEvents(store, 6, Infinity).events.map(({ revision, isDelete }) => [revision, isDelete])
  assert.deepEqual(events, [
    [6, true],
    [7, false],
  ])
  assert.equal(store.buffer.count('revisions', FIRST, undefined), 2)
  assert.equal(store.buffer.count('history', FIRST, undefined), 1)
  compactTo(store, 7)
  compactFully(store)
  assert.equal(store.buffer.count('history', FIRST, undefined), 0)
  assert.equal(store.buffer.count('revisions', FIRST, undefined), 1)
})

test('a put that its own txn deletes again is an event, and goes with its tombstone', () => {
  const inner = [opTxn(txnRequest([opPut('b'), opPut('a', '1')])), opTxn(txnRequest([opDelete('a')]))]
  for (const isThereBefore of [false, true]) {
    const store = new Store(new MemoryBackend())
    put(store, 'x') // 2
    put(store, isThereBefore ? 'a' : 'x') // 3
    assert.ok(txn(store, inner).ok) // 4
    const deleted = readEvents(store, 4, Infinity).events.map(({ key, isDelete }) => [key, isDelete])
    assert.deepEqual(deleted, [
      ['b', false],
      ['a', false],
      ['a', true],
    ])
    put(store, 'x') // 5
    compactTo(store, 5)
    compactFully(store)
    assert.equal(store.buffer.count('history', FIRST, undefined), 0)
    assert.equal(store.buffer.count('revisions', FIRST, undefined), 2, 'of b and x')
  }
})

test('slices are bounded, hidden from readers, and begun anew after a restart', async () => {
  const store = new Store(new MemoryBackend())
  for (let round = 0; round < 3; round++)
    for (let key = 0; key < SLICE_ENTRIES; key++) put(store, `key ${key}`, `${round}`)
  compactTo(store, store.revision - SLICE_ENTRIES)
  const before = hashState(store)
  const { cursor, removedVersions } = compactSlice(store, undefined)
  assert.ok(cursor !== undefined && removedVersions > 0 && removedVersions <= SLICE_ENTRIES)
  assert.equal(hashState(store), before)
  await store.commit()
  const restarted = new Store(store.backend)
  assert.ok(compactFully(restarted) >= 1)
  assert.equal(hashState(restarted), before)
  assert.equal(restarted.buffer.count('history', FIRST, undefined), SLICE_ENTRIES)
  assert.equal(restarted.meta.purgedRevision, restarted.compactedRevision)
  assert.deepEqual(compactSlice(restarted, undefined), { cursor: undefined, removedVersions: 0 })
})

test('a compaction that comes during a pass is worked off after it', () => {
  const store = new Store(new MemoryBackend())
  for (let round = 0; round < 3; round++)
    for (let key = 0; key < SLICE_ENTRIES; key++) put(store, `key ${key}`, `${round}`)
  compactTo(store, 5)
  const { cursor } = compactSlice(store, undefined)
  assert.ok(cursor !== undefined)
  compactTo(store, store.revision)
  let next: CompactionCursor | undefined = cursor
  while (next !== undefined) next = compactSlice(store, next).cursor
  assert.equal(store.buffer.count('history', FIRST, undefined), 0)
  const all = range(store, rangeRequest('\0', '\0', { countOnly: true }))
  assert.ok(all.ok && all.value.count === SLICE_ENTRIES)
})

test('pages of events never divide a revision', () => {
  const store = new Store(new MemoryBackend())
  for (const key of ['a', 'b', 'c']) put(store, key, 'v')
  deleteRange(store, 'a', '\0')
  put(store, 'd', 'v')
  const first = readEvents(store, 4, 1)
  assert.deepEqual([first.events.length, first.nextRevision], [1, 5])
  const second = readEvents(store, first.nextRevision, 1)
  assert.deepEqual([second.events.map(({ isDelete }) => isDelete), second.nextRevision], [[true, true, true], 6])
  const third = readEvents(store, second.nextRevision, 1)
  assert.deepEqual([third.events.length, third.nextRevision], [1, 7])
  assert.deepEqual(readEvents(store, 7, 1), { events: [], nextRevision: 7 })
})
