import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compactSlice } from '../../mvcc/compaction.ts'
import { compactTo, deleteRange, opPut, put, txn } from '../../mvcc/testing/requests.ts'
import { HubRig, settled, TestOutlet } from '../testing/hub-rig.ts'
import { DEFAULT_WATCH_LIMITS } from './watch-hub.ts'
import type { WatchedKeys } from './watch-index.ts'

const ALL: WatchedKeys = { kind: 'range', start: '\0', end: undefined }
const A: WatchedKeys = { kind: 'key', key: 'a' }

test('who keeps up is given what was applied within the call that tells of it', () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  const all = rig.watch(outlet, ALL, { isWithPrevious: true })
  const onlyA = rig.watch(outlet, A)
  const later = rig.watch(outlet, A, { startRevision: 4 })
  put(rig.store, 'a', '1') // 2
  put(rig.store, 'b', '1') // 3
  rig.tellApplied()
  put(rig.store, 'a', '2') // 4
  deleteRange(rig.store, 'a') // 5
  rig.tellApplied()
  assert.deepEqual(outlet.of(all), ['2 put a=1', '3 put b=1', '4 put a=2<1', '5 delete a=<2'])
  assert.deepEqual(outlet.of(onlyA), ['2 put a=1', '4 put a=2', '5 delete a='])
  assert.deepEqual(outlet.of(later), ['4 put a=2', '5 delete a='])
  assert.equal(rig.hub.progressRevision, 5)
})

test('what one slice had no time for comes in the next ones', async () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  const watch = rig.watch(outlet, ALL)
  const value = 'x'.repeat(100_000)
  for (let i = 0; i < 10; i++) put(rig.store, 'a', value)
  rig.tellApplied()
  assert.ok(outlet.of(watch).length < 10)
  assert.equal(rig.hub.progressRevision, undefined)
  await settled()
  assert.deepEqual([outlet.of(watch).length, outlet.revision], [10, 11])
})

test('a start in the past reads on from the store and then keeps up', async () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  for (const value of ['1', '2', '3']) put(rig.store, 'a', value) // 2, 3, 4
  const watch = rig.watch(outlet, A, { startRevision: 3 })
  assert.deepEqual([watch.state, outlet.of(watch)], ['behind', []])
  await settled()
  assert.deepEqual([watch.state, outlet.of(watch)], ['keeps-up', ['3 put a=2', '4 put a=3']])
  put(rig.store, 'a', '4')
  rig.tellApplied()
  assert.equal(outlet.of(watch).at(-1), '5 put a=4')
})

test('a start below the compacted revision ends, a start at it does not', async () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  for (const value of ['1', '2', '3']) put(rig.store, 'a', value) // 2, 3, 4
  compactTo(rig.store, 3) // its physical half is still to come
  const below = rig.watch(outlet, A, { startRevision: 2 })
  const at = rig.watch(outlet, A, { startRevision: 3, isWithPrevious: true })
  await settled()
  assert.deepEqual([below.state, outlet.compactRevisions.get(below), outlet.of(below)], ['ended', 3, []])
  assert.deepEqual(outlet.of(at), ['3 put a=2', '4 put a=3<2'])
  assert.equal(rig.hub.counts.watches, 1)
})

test('a compaction in the same batch as what it compacts takes nothing from those who keep up', () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  const watch = rig.watch(outlet, A, { isWithPrevious: true })
  put(rig.store, 'a', '1') // 2
  rig.tellApplied()
  put(rig.store, 'a', '2') // 3
  put(rig.store, 'a', '3') // 4
  compactTo(rig.store, 4)
  assert.equal(compactSlice(rig.store, undefined).removedVersions, 0)
  rig.tellApplied()
  assert.deepEqual(outlet.of(watch), ['2 put a=1', '3 put a=2<1', '4 put a=3<2'])
  assert.equal(compactSlice(rig.store, undefined).removedVersions, 2)
})

test('an outlet without room holds up its own watches, and only those that there is something for', async () => {
  const rig = new HubRig()
  const slow = new TestOutlet()
  const fast = new TestOutlet()
  slow.room = 1
  const a = rig.watch(slow, A)
  const b = rig.watch(slow, { kind: 'key', key: 'b' })
  const other = rig.watch(fast, A)
  for (const value of ['1', '2', '3']) {
    put(rig.store, 'a', value)
    rig.tellApplied()
    await settled()
  }
  assert.deepEqual([a.state, b.state, slow.of(a)], ['held-up', 'keeps-up', ['2 put a=1']])
  assert.equal(fast.of(other).length, 3)
  assert.deepEqual(rig.hub.counts, { streams: 0, watches: 3, slowWatches: 1, events: 4 })
  slow.room = Infinity
  rig.hub.resume(slow)
  await settled()
  assert.deepEqual([a.state, slow.of(a)], ['keeps-up', ['2 put a=1', '3 put a=2', '4 put a=3']])
})

test('one that is held up when its next revision is compacted ends as soon as it can be told', async () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  outlet.room = 0
  const watch = rig.watch(outlet, A)
  put(rig.store, 'a', '1') // 2
  rig.tellApplied()
  put(rig.store, 'a', '2') // 3
  compactTo(rig.store, 3)
  rig.tellApplied()
  await settled()
  assert.equal(outlet.compactRevisions.size, 0)
  outlet.room = 1
  rig.hub.resume(outlet)
  await settled()
  assert.deepEqual([outlet.compactRevisions.get(watch), outlet.of(watch)], [3, []])
})

test('after a snapshot took the place of the store, watches read on in the new one', async () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  const watch = rig.watch(outlet, ALL)
  const future = rig.watch(outlet, ALL, { startRevision: 4 })
  put(rig.store, 'a', '1') // 2
  rig.tellApplied()
  await rig.replaceStore()
  put(rig.store, 'a', '2') // 3, which the snapshot brought
  put(rig.store, 'a', '3') // 4
  rig.tellApplied()
  await settled()
  assert.deepEqual(outlet.of(watch), ['2 put a=1', '3 put a=2', '4 put a=3'])
  assert.deepEqual(outlet.of(future), ['4 put a=3'])
  assert.deepEqual([watch.state, future.state], ['keeps-up', 'keeps-up'])
})

test('watches that a snapshot has left below the compacted revision end', async () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  const watch = rig.watch(outlet, ALL)
  await rig.replaceStore()
  put(rig.store, 'a', '1') // 2
  put(rig.store, 'a', '2') // 3
  compactTo(rig.store, 3)
  rig.tellApplied()
  await settled()
  assert.deepEqual([outlet.compactRevisions.get(watch), outlet.of(watch)], [3, []])
})

test('the events of one revision come in one piece, larger than any page', async () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  outlet.room = 0
  const watch = rig.watch(outlet, ALL)
  const value = 'x'.repeat(100_000)
  txn(
    rig.store,
    ['a', 'b', 'c'].map((key) => opPut(key, value)),
  )
  rig.tellApplied()
  outlet.room = 1
  rig.hub.resume(outlet)
  await settled()
  assert.equal(outlet.of(watch).length, 3)
})

test('filters leave out puts, deletes, or both', () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  const withoutPuts = rig.watch(outlet, A, { isWithoutPuts: true })
  const withoutDeletes = rig.watch(outlet, A, { isWithoutDeletes: true })
  const nothing = rig.watch(outlet, A, { isWithoutPuts: true, isWithoutDeletes: true })
  put(rig.store, 'a', '1') // 2
  rig.tellApplied()
  deleteRange(rig.store, 'a') // 3
  rig.tellApplied()
  assert.deepEqual(outlet.of(withoutPuts), ['3 delete a='])
  assert.deepEqual(outlet.of(withoutDeletes), ['2 put a=1'])
  assert.deepEqual(outlet.of(nothing), [])
})

test('a removed watch is given nothing any more, wherever it stood', async () => {
  const rig = new HubRig()
  const outlet = new TestOutlet()
  put(rig.store, 'a', '1') // 2
  const behind = rig.watch(outlet, A, { startRevision: 2 })
  const keepsUp = rig.watch(outlet, A)
  const full = new TestOutlet()
  full.room = 0
  const heldUp = rig.watch(full, A, { startRevision: 2 })
  for (const watch of [behind, keepsUp, heldUp, heldUp]) rig.hub.remove(watch)
  put(rig.store, 'a', '2')
  rig.tellApplied()
  rig.hub.resume(full)
  await settled()
  assert.deepEqual([outlet.seen.size, full.seen.size, rig.hub.counts.watches], [0, 0, 0])
})

test('without watches the hub listens to nothing and holds no compaction up', () => {
  const rig = new HubRig()
  assert.equal(rig.listeners, 0)
  const watch = rig.watch(new TestOutlet(), A)
  assert.deepEqual([rig.listeners, rig.store.eventsHeldFrom], [1, 2])
  rig.hub.remove(watch)
  assert.deepEqual([rig.listeners, rig.store.eventsHeldFrom], [0, Infinity])
})

test('a hub that lags too far lets its watches fall behind, and holds no compaction up any longer', async () => {
  const rig = new HubRig({ ...DEFAULT_WATCH_LIMITS, pageEvents: 1, lagRevisions: 3 })
  const outlet = new TestOutlet()
  const watch = rig.watch(outlet, A)
  for (const value of ['1', '2', '3']) put(rig.store, 'a', value) // 2, 3, 4
  rig.tellApplied()
  assert.deepEqual([watch.state, rig.store.eventsHeldFrom], ['keeps-up', 3])
  for (const value of ['4', '5']) put(rig.store, 'a', value) // 5, 6
  rig.tellApplied()
  assert.deepEqual([watch.state, rig.store.eventsHeldFrom], ['behind', 7])
  await settled()
  assert.deepEqual([watch.state, outlet.of(watch).length], ['keeps-up', 5])
})

test('beyond the number of watches, or of bytes in their keys, no watch is added', () => {
  const rig = new HubRig({ ...DEFAULT_WATCH_LIMITS, watches: 3, keyBytes: 10 })
  const outlet = new TestOutlet()
  const add = (keys: WatchedKeys): boolean => {
    const filters = { isWithoutPuts: false, isWithoutDeletes: false, isWithPrevious: false }
    return rig.hub.add({ id: 0n, startRevision: 0, ...filters, keys, outlet }) !== undefined
  }
  const first = rig.watch(outlet, { kind: 'key', key: '12345' })
  assert.equal(add({ kind: 'range', start: '123', end: '456' }), false)
  assert.equal(add({ kind: 'range', start: '12', end: '456' }), true)
  rig.hub.remove(first)
  assert.equal(add({ kind: 'key', key: '12345' }), true)
  assert.equal(add({ kind: 'key', key: '' }), true)
  assert.equal(add({ kind: 'key', key: '' }), false)
})
