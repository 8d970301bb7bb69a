import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../../lib/testing/manual-clock.ts'
import { HASH_TURN } from '../../limits.ts'
import { compactSlice } from '../../mvcc/compaction.ts'
import { SLICE_ROWS } from '../../mvcc/hash-kv.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { compactTo, deleteRange, put } from '../../mvcc/testing/requests.ts'
import { Hasher } from './hasher.ts'

function filled(rows: number): Store {
  const store = new Store(new MemoryBackend())
  for (let i = 0; i < rows; i++) put(store, `k${i % 50}`, `v${i}`)
  return store
}

const LONG = 3 * SLICE_ROWS
const ONE_SLICE = { ...HASH_TURN, slices: 1 }

test('one pass at a time, each of the state when its turn came; a bounded number waits', async () => {
  const clock = new ManualClock()
  const store = filled(LONG)
  const hasher = new Hasher(() => store, clock, false)
  const passes = Array.from({ length: 18 }, () => hasher.hashKeyValues(0))
  const refused = await Promise.all(passes.slice(16))
  assert.deepEqual(refused, [
    { ok: false, error: 'too-many-requests' },
    { ok: false, error: 'too-many-requests' },
  ])
  await clock.advance(1000)
  const answers = await Promise.all(passes.slice(0, 16))
  assert.equal(new Set(answers.map((answer) => (answer.ok ? answer.value.hash : answer.error))).size, 1)
  const again = hasher.hashKeyValues(0)
  await clock.advance(1000)
  assert.ok((await again).ok, 'there is room again')
})

test('while a pass is under way nothing above its compacted revision may be removed', async () => {
  const clock = new ManualClock()
  const store = filled(LONG)
  compactTo(store, 7)
  const hasher = new Hasher(() => store, clock, false, ONE_SLICE)
  assert.equal(hasher.purgeLimit, Infinity)
  const pass = hasher.hashKeyValues(0)
  await clock.advance(0)
  assert.equal(hasher.purgeLimit, 7)
  await clock.advance(1000)
  assert.ok((await pass).ok)
  assert.equal(hasher.purgeLimit, Infinity)
})

test('a turn ends when its time is over, and after so many slices; then everything else has as long', async () => {
  const turnsOf = async (clock: ManualClock): Promise<number> => {
    const hasher = new Hasher(() => store, clock, false, { ms: 2, slices: 3 })
    const state = { isThrough: false }
    const pass = hasher.hashKeyValues(0).then(() => (state.isThrough = true))
    let turns = 1
    for (await clock.advance(0); !state.isThrough; await clock.advance(2)) turns++
    await pass
    return turns
  }
  const store = filled(6 * SLICE_ROWS)
  const slow = new ManualClock()
  let slowMs = 0
  slow.monotonicMs = () => slowMs++ // looked at after each slice
  assert.deepEqual([await turnsOf(new ManualClock()), await turnsOf(slow)], [2, 3])
})

test('a snapshot that replaces the store makes a pass begin again; the end of the member ends it', async () => {
  const clock = new ManualClock()
  const stores = [filled(LONG), filled(LONG + 1)] as const
  let current: Store = stores[0]
  const hasher = new Hasher(() => current, clock, false, ONE_SLICE)
  const pass = hasher.hashKeyValues(0)
  await clock.advance(2)
  current = stores[1]
  await clock.advance(1000)
  const answer = await pass
  assert.ok(answer.ok)
  assert.equal(answer.value.revision, stores[1].revision)
  const last = hasher.hashKeyValues(0)
  await clock.advance(2)
  hasher.stop()
  await clock.advance(1000)
  assert.deepEqual(await last, { ok: false, error: 'stopped' })
  assert.deepEqual(await hasher.hashTables(), { ok: false, error: 'stopped' })
})

test('with the check on, a compaction is hashed before anything is removed for it, and that is what is answered', async () => {
  const clock = new ManualClock()
  const store = filled(LONG)
  const hasher = new Hasher(() => store, clock, true)
  const before = hasher.hashKeyValues(100)
  await clock.advance(1000)
  compactTo(store, 100)
  hasher.observeCompaction()
  assert.equal(hasher.purgeLimit, -1, 'at once')
  compactTo(store, 200)
  hasher.observeCompaction()
  await clock.advance(1000)
  assert.equal(hasher.purgeLimit, Infinity)
  assert.deepEqual(
    hasher.ofCompactions.map(({ compactedRevision, revision }) => [compactedRevision, revision]),
    [
      [-1, 100],
      [100, 200],
    ],
  )
  const expected = await before
  const known = await hasher.hashKeyValues(100)
  assert.ok(expected.ok && known.ok)
  assert.equal(known.value.hash, expected.value.hash)
  for (let revision = 201; revision < 220; revision++) {
    compactTo(store, revision)
    hasher.observeCompaction()
    await clock.advance(100)
  }
  assert.equal(hasher.ofCompactions.length, 10)
  assert.equal(hasher.ofCompactions.at(-1)?.revision, 219)
})

/** The requests that etcd 3.7.3 was given, and what `etcdctl endpoint hashkv --rev 11` said before and after the compaction. */
test('what was told of a tombstone’s revision stays so when the store is compacted to it, without the check too', async () => {
  const store = new Store(new MemoryBackend())
  for (let i = 1; i <= 9; i++) put(store, 'k0', `${i}`)
  deleteRange(store, 'k0')
  for (let i = 11; i <= 13; i++) put(store, 'k0', `${i}`)
  const hasher = new Hasher(() => store, new ManualClock(), false)
  const told = async (revision: number): Promise<unknown> => {
    const answer = await hasher.hashKeyValues(revision)
    return answer.ok ? [answer.value.hash, answer.value.compactedRevision, answer.value.revision] : answer.error
  }
  const asked = await Promise.all([told(11), told(13)])
  compactTo(store, 11)
  hasher.observeCompaction()
  while (compactSlice(store, undefined).cursor !== undefined);
  assert.deepEqual(asked[0], [152845854, -1, 11])
  assert.deepEqual(await told(11), asked[0])
  assert.deepEqual(await told(12), [1507268464, 11, 12])
  assert.deepEqual(await told(13), [2977253486, 11, 13], 'of another revision it is what it is now')
  assert.deepEqual(await told(0), [3180929084, 11, 14])
})

test('a compaction whose store is replaced before its turn comes has no hash: the other store was purged elsewhere', async () => {
  const clock = new ManualClock()
  const before = filled(LONG)
  let current = before
  const hasher = new Hasher(() => current, clock, true)
  const ahead = hasher.hashKeyValues(0)
  await clock.advance(0)
  compactTo(before, 100)
  hasher.observeCompaction()
  current = filled(LONG)
  compactTo(current, 300)
  while (compactSlice(current, undefined).cursor !== undefined);
  hasher.observeCompaction()
  await clock.advance(10_000)
  assert.ok((await ahead).ok)
  assert.deepEqual(hasher.ofCompactions, [])
  assert.equal(hasher.purgeLimit, Infinity)
})

test('without the check, and in a store that a snapshot brought, compactions are not hashed', async () => {
  const clock = new ManualClock()
  const store = filled(10)
  const off = new Hasher(() => store, clock, false)
  compactTo(store, 5)
  off.observeCompaction()
  assert.equal(off.purgeLimit, Infinity)
  let current = store
  const on = new Hasher(() => current, clock, true)
  current = filled(20)
  compactTo(current, 9)
  on.observeCompaction()
  assert.equal(on.purgeLimit, Infinity)
})
