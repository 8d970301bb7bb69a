import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WATCH } from '../../limits.ts'
import { compactSlice } from '../../mvcc/compaction.ts'
import { compactTo, deleteRange, opPut, put, txn } from '../../mvcc/testing/requests.ts'
import { WatchableStoreRig, settled, TestOutlet } from '../testing/watchable-store-rig.ts'
import type { WatchedKeys } from './watcher-group.ts'

const ALL: WatchedKeys = { kind: 'range', start: '\0', end: undefined }
const A: WatchedKeys = { kind: 'key', key: 'a' }

test('a synced watcher is given what was applied within the call that tells of it', () => {
  const rig = new WatchableStoreRig()
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
  assert.equal(rig.watchableStore.progressRevision, 5)
})

test('what one slice had no time for comes in the next ones', async () => {
  const rig = new WatchableStoreRig(WATCH, 1000)
  const outlet = new TestOutlet()
  const watcher = rig.watch(outlet, ALL)
  const value = 'x'.repeat(100_000)
  for (let i = 0; i < 10; i++) put(rig.store, 'a', value)
  rig.tellApplied()
  assert.ok(outlet.of(watcher).length < 10)
  assert.equal(rig.watchableStore.progressRevision, undefined)
  await settled()
  assert.deepEqual([outlet.of(watcher).length, outlet.revision], [10, 11])
})

test('a slice ends between two watchers of one event; who is added then gets it only if it asks for it', async () => {
  const rig = new WatchableStoreRig(WATCH, 1000)
  const outlet = new TestOutlet()
  const watchers = [1, 2, 3].map(() => rig.watch(outlet, A))
  put(rig.store, 'a', '1') // 2
  rig.tellApplied()
  assert.deepEqual(
    watchers.map((watcher) => outlet.of(watcher).length),
    [1, 0, 0],
  )
  assert.equal(rig.watchableStore.progressRevision, undefined)
  const from2 = rig.watch(outlet, A, { startRevision: 2 })
  const fromNow = rig.watch(outlet, A)
  await settled()
  for (const watcher of [...watchers, from2]) assert.deepEqual(outlet.of(watcher), ['2 put a=1'])
  assert.deepEqual(outlet.of(fromNow), [])
  assert.equal(rig.watchableStore.progressRevision, 2)
})

test('those who are told the same share what they are told', async () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  for (const value of ['1', '2', '3']) put(rig.store, 'a', value) // 2, 3, 4
  const past = [1, 2].map(() => rig.watch(outlet, ALL, { startRevision: 2 }))
  const later = rig.watch(outlet, A, { startRevision: 3 })
  await settled()
  const [list, same] = past.map((watcher) => outlet.lists.get(watcher))
  assert.ok(list !== undefined && list === same)
  assert.notEqual(list, outlet.lists.get(later))
  assert.deepEqual(outlet.of(later), ['3 put a=2', '4 put a=3'])
})

test('a start in the past reads on from the store and is synced then', async () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  for (const value of ['1', '2', '3']) put(rig.store, 'a', value) // 2, 3, 4
  const watcher = rig.watch(outlet, A, { startRevision: 3 })
  assert.deepEqual([watcher.state, outlet.of(watcher)], ['unsynced', []])
  await settled()
  assert.deepEqual([watcher.state, outlet.of(watcher)], ['synced', ['3 put a=2', '4 put a=3']])
  put(rig.store, 'a', '4')
  rig.tellApplied()
  assert.equal(outlet.of(watcher).at(-1), '5 put a=4')
})

test('a start below the compacted revision ends, a start at it does not', async () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  for (const value of ['1', '2', '3']) put(rig.store, 'a', value) // 2, 3, 4
  compactTo(rig.store, 3) // its physical half is still to come
  const below = rig.watch(outlet, A, { startRevision: 2 })
  const at = rig.watch(outlet, A, { startRevision: 3, isWithPrevious: true })
  await settled()
  assert.deepEqual([below.state, outlet.compactRevisions.get(below), outlet.of(below)], ['ended', 3, []])
  assert.deepEqual(outlet.of(at), ['3 put a=2', '4 put a=3<2'])
  assert.equal(rig.watchableStore.counts.watchers, 1)
})

test('a compaction in the same batch as what it compacts takes nothing from the synced', () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  const watcher = rig.watch(outlet, A, { isWithPrevious: true })
  put(rig.store, 'a', '1') // 2
  rig.tellApplied()
  put(rig.store, 'a', '2') // 3
  put(rig.store, 'a', '3') // 4
  compactTo(rig.store, 4)
  assert.equal(compactSlice(rig.store, undefined).removedVersions, 0)
  rig.tellApplied()
  assert.deepEqual(outlet.of(watcher), ['2 put a=1', '3 put a=2<1', '4 put a=3<2'])
  assert.equal(compactSlice(rig.store, undefined).removedVersions, 2)
})

test('an outlet without room makes victims of its own watchers, and only those that there is something for', async () => {
  const rig = new WatchableStoreRig()
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
  assert.deepEqual([a.state, b.state, slow.of(a)], ['victim', 'synced', ['2 put a=1']])
  assert.equal(fast.of(other).length, 3)
  assert.deepEqual(rig.watchableStore.counts, { streams: 0, watchers: 3, slowWatchers: 1, events: 4 })
  slow.room = Infinity
  rig.watchableStore.resume(slow)
  await settled()
  assert.deepEqual([a.state, slow.of(a)], ['synced', ['2 put a=1', '3 put a=2', '4 put a=3']])
})

test('a victim whose next revision is compacted ends as soon as it can be told', async () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  outlet.room = 0
  const watcher = rig.watch(outlet, A)
  put(rig.store, 'a', '1') // 2
  rig.tellApplied()
  put(rig.store, 'a', '2') // 3
  compactTo(rig.store, 3)
  rig.tellApplied()
  await settled()
  assert.equal(outlet.compactRevisions.size, 0)
  outlet.room = 1
  rig.watchableStore.resume(outlet)
  await settled()
  assert.deepEqual([outlet.compactRevisions.get(watcher), outlet.of(watcher)], [3, []])
})

test('after a snapshot took the place of the store, watchers read on in the new one', async () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  const watcher = rig.watch(outlet, ALL)
  const future = rig.watch(outlet, ALL, { startRevision: 4 })
  put(rig.store, 'a', '1') // 2
  rig.tellApplied()
  await rig.replaceStore()
  put(rig.store, 'a', '2') // 3, which the snapshot brought
  put(rig.store, 'a', '3') // 4
  rig.tellApplied()
  await settled()
  assert.deepEqual(outlet.of(watcher), ['2 put a=1', '3 put a=2', '4 put a=3'])
  assert.deepEqual(outlet.of(future), ['4 put a=3'])
  assert.deepEqual([watcher.state, future.state], ['synced', 'synced'])
})

test('watchers that a snapshot has left below the compacted revision end', async () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  const watcher = rig.watch(outlet, ALL)
  await rig.replaceStore()
  put(rig.store, 'a', '1') // 2
  put(rig.store, 'a', '2') // 3
  compactTo(rig.store, 3)
  rig.tellApplied()
  await settled()
  assert.deepEqual([outlet.compactRevisions.get(watcher), outlet.of(watcher)], [3, []])
})

test('the events of one revision come in one piece, larger than any page', async () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  outlet.room = 0
  const watcher = rig.watch(outlet, ALL)
  const value = 'x'.repeat(100_000)
  txn(
    rig.store,
    ['a', 'b', 'c'].map((key) => opPut(key, value)),
  )
  rig.tellApplied()
  outlet.room = 1
  rig.watchableStore.resume(outlet)
  await settled()
  assert.equal(outlet.of(watcher).length, 3)
})

/** One revision of five keys, in slices of two events. */
function wideRevision(): {
  readonly rig: WatchableStoreRig
  readonly outlet: TestOutlet
  readonly told: readonly string[]
} {
  const rig = new WatchableStoreRig({ ...WATCH, pageEvents: 2 }, 1000)
  const keys = ['a', 'b', 'c', 'd', 'e']
  put(rig.store, 'a', '0') // 2
  return { rig, outlet: new TestOutlet(), told: keys.map((key) => `3 put ${key}=1${key === 'a' ? '<0' : ''}`) }
}

function writeWide({ store }: WatchableStoreRig): void {
  txn(
    store,
    ['a', 'b', 'c', 'd', 'e'].map((key) => opPut(key, '1')),
  )
}

test('one revision of many events is read in slices, and given whole to each, whoever comes in between', async () => {
  const { rig, outlet, told } = wideRevision()
  const fields = { isWithPrevious: true }
  const first = rig.watch(outlet, ALL, fields)
  const leaving = rig.watch(outlet, ALL, fields)
  writeWide(rig)
  rig.tellApplied()
  assert.deepEqual(outlet.of(first), [])
  assert.equal(rig.watchableStore.progressRevision, undefined)
  const atIt = rig.watch(outlet, ALL, { ...fields, startRevision: 3 })
  const fromNow = rig.watch(outlet, ALL, fields)
  rig.watchableStore.remove(leaving)
  await settled()
  for (const watcher of [first, atIt]) assert.deepEqual(outlet.of(watcher), told)
  for (const watcher of [leaving, fromNow]) assert.deepEqual(outlet.of(watcher), [])
  assert.equal(rig.watchableStore.progressRevision, 3)
})

test('what is read in slices is safe from compaction until it is given out', async () => {
  const { rig, outlet, told } = wideRevision()
  const watcher = rig.watch(outlet, ALL, { isWithPrevious: true })
  writeWide(rig)
  rig.tellApplied()
  put(rig.store, 'e', '2') // 4
  compactTo(rig.store, 4)
  assert.equal(compactSlice(rig.store, undefined).removedVersions, 0)
  await settled()
  assert.deepEqual(outlet.of(watcher), [...told, '4 put e=2<1'])
  assert.equal(compactSlice(rig.store, undefined).removedVersions, 2)
})

test('who leaves while it catches up in the middle of a revision is given nothing more', async () => {
  const { rig, outlet, told } = wideRevision()
  writeWide(rig)
  const fields = { isWithPrevious: true, startRevision: 3 }
  const [leaving, staying] = [rig.watch(outlet, ALL, fields), rig.watch(outlet, ALL, fields)]
  await settled(3) // their cohort is gathered, and has begun to read
  rig.watchableStore.remove(leaving)
  await settled()
  assert.deepEqual([outlet.of(leaving), outlet.of(staying)], [[], told])
})

test('a watcher that catches up ends when a compaction overtakes it in the middle of a revision', async () => {
  const { rig, outlet } = wideRevision()
  writeWide(rig)
  put(rig.store, 'e', '2') // 4
  const watcher = rig.watch(outlet, ALL, { startRevision: 3 })
  await settled(3) // its cohort is gathered, and has begun to read
  compactTo(rig.store, 4)
  compactSlice(rig.store, undefined)
  await settled()
  assert.equal(watcher.state, 'ended')
  assert.deepEqual(outlet.of(watcher), [])
})

test('filters leave out puts, deletes, or both', () => {
  const rig = new WatchableStoreRig()
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

test('a removed watcher is given nothing any more, wherever it stood', async () => {
  const rig = new WatchableStoreRig()
  const outlet = new TestOutlet()
  put(rig.store, 'a', '1') // 2
  const unsynced = rig.watch(outlet, A, { startRevision: 2 })
  const synced = rig.watch(outlet, A)
  const full = new TestOutlet()
  full.room = 0
  const victim = rig.watch(full, A, { startRevision: 2 })
  for (const watcher of [unsynced, synced, victim, victim]) rig.watchableStore.remove(watcher)
  put(rig.store, 'a', '2')
  rig.tellApplied()
  rig.watchableStore.resume(full)
  await settled()
  assert.deepEqual([outlet.seen.size, full.seen.size, rig.watchableStore.counts.watchers], [0, 0, 0])
})

test('without watchers the store listens to nothing and holds no compaction up', () => {
  const rig = new WatchableStoreRig()
  assert.equal(rig.listeners, 0)
  const watcher = rig.watch(new TestOutlet(), A)
  assert.deepEqual([rig.listeners, rig.store.eventsHeldFrom], [1, 2])
  rig.watchableStore.remove(watcher)
  assert.deepEqual([rig.listeners, rig.store.eventsHeldFrom], [0, Infinity])
})

test('a store that lags too far makes its watchers unsynced, and holds no compaction up any longer', async () => {
  const rig = new WatchableStoreRig({ ...WATCH, pageEvents: 1, lagRevisions: 3 }, 1000)
  const outlet = new TestOutlet()
  const watcher = rig.watch(outlet, A)
  for (const value of ['1', '2', '3']) put(rig.store, 'a', value) // 2, 3, 4
  rig.tellApplied()
  assert.deepEqual([watcher.state, rig.store.eventsHeldFrom], ['synced', 3])
  for (const value of ['4', '5']) put(rig.store, 'a', value) // 5, 6
  rig.tellApplied()
  assert.deepEqual([watcher.state, rig.store.eventsHeldFrom], ['unsynced', 7])
  await settled()
  assert.deepEqual([watcher.state, outlet.of(watcher).length], ['synced', 5])
})

test('beyond the number of watchers, or of bytes in their keys, no watcher is added', () => {
  const rig = new WatchableStoreRig({ ...WATCH, watchers: 3, keyBytes: 10 })
  const outlet = new TestOutlet()
  const add = (keys: WatchedKeys): boolean => {
    const filters = { isWithoutPuts: false, isWithoutDeletes: false, isWithPrevious: false }
    return rig.watchableStore.add({ id: 0n, startRevision: 0, ...filters, keys, outlet }) !== undefined
  }
  const first = rig.watch(outlet, { kind: 'key', key: '12345' })
  assert.equal(add({ kind: 'range', start: '123', end: '456' }), false)
  assert.equal(add({ kind: 'range', start: '12', end: '456' }), true)
  rig.watchableStore.remove(first)
  assert.equal(add({ kind: 'key', key: '12345' }), true)
  assert.equal(add({ kind: 'key', key: '' }), true)
  assert.equal(add({ kind: 'key', key: '' }), false)
})
