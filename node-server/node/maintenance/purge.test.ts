import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../../lib/testing/manual-clock.ts'
import { PURGE } from '../../limits.ts'
import { COMMIT_DELAY_MS, COMMIT_WRITES, Committer } from '../../mvcc/committer.ts'
import { SLICE_ROWS } from '../../mvcc/compaction.ts'
import type { CommitOptions, TextWrite, Write } from '../../mvcc/backend.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { compactTo, put } from '../../mvcc/testing/requests.ts'
import { Hasher } from './hasher.ts'
import { Purge } from './purge.ts'

const FIRST = Buffer.of(0)
const TURN_ROWS = PURGE.turnSlices * SLICE_ROWS
const PAUSE_MS = PURGE.pauseMs

function unexpected(error: unknown): never {
  throw error
}

class Rig {
  readonly clock = new ManualClock()
  readonly hasher: Hasher
  readonly purge: Purge
  store: Store
  /** Of all turns. */
  readonly pausesMs: number[] = []
  /** How much later than asked for each turn comes. */
  lateMs: () => number = () => 0
  /** Of each look at the clock. */
  lookMs = 0
  #extraMs = 0

  constructor(store: Store, hashesCompactions = false) {
    this.store = store
    const { clock } = this
    const setTimer: ManualClock['setTimer'] = (delayMs, fire) => {
      this.pausesMs.push(delayMs)
      return clock.setTimer(delayMs, () => {
        this.#extraMs += this.lateMs()
        fire()
      })
    }
    const monotonicMs = (): number => {
      this.#extraMs += this.lookMs
      return clock.monotonicMs() + this.#extraMs
    }
    this.hasher = new Hasher(() => this.store, clock, hashesCompactions)
    const committer = new Committer(store, clock, unexpected)
    this.purge = new Purge({
      clock: { monotonicMs, wallMs: () => clock.wallMs(), soon: unexpected, setTimer },
      hasher: this.hasher,
      currentStore: () => this.store,
      onRemoved: () => committer.noteApplied(),
      onFatal: unexpected,
    })
  }

  /** Revisions that are compacted and still to be gone through. */
  get behind(): number {
    return this.store.compactedRevision - this.store.meta.purgedRevision
  }

  get turns(): number {
    return this.pausesMs.length
  }
}

async function filled(versions: number, backend = new MemoryBackend()): Promise<Store> {
  const store = new Store(backend)
  for (let i = 0; i < versions; i++) put(store, `k${i % 50}`, `v${i}`)
  await store.commit()
  return store
}

test('a compaction is through after a turn for every thousand changes or so, and then on the disk, with nobody writing', async () => {
  const store = await filled(10 * TURN_ROWS)
  const rig = new Rig(store)
  compactTo(store, store.revision)
  rig.purge.wake()
  await rig.clock.advance(10 * PAUSE_MS)
  assert.equal(rig.behind, 0)
  assert.equal(rig.turns, 10)
  await rig.clock.advance(COMMIT_DELAY_MS)
  assert.equal(new Store(store.backend).meta.purgedRevision, store.revision)
  assert.equal(store.backend.count('revisions', FIRST, undefined), 50)
  assert.equal(store.backend.count('history', FIRST, undefined), 0)
})

/** Whether more was to follow, by commit. */
class ToldBackend extends MemoryBackend {
  readonly told: boolean[] = []

  override commit(writes: Iterable<Write | TextWrite>, { removalsFollow = false }: CommitOptions = {}): Promise<void> {
    this.told.push(removalsFollow)
    return super.commit(writes)
  }
}

test('each commit of a long compaction but the last says that removals follow', async () => {
  const backend = new ToldBackend()
  const store = await filled(2 * COMMIT_WRITES, backend)
  const rig = new Rig(store)
  compactTo(store, store.revision)
  rig.purge.wake()
  while (store.meta.purgedRevision < store.revision) await rig.clock.advance(PAUSE_MS)
  assert.deepEqual(backend.told, [false, true, true, true, false], 'and the last does not wait')
  assert.equal(store.isDirty, false)
})

test('a turn ends when its time is over: a put that comes meanwhile waits for the slice under way and no more', async () => {
  const store = await filled(10 * SLICE_ROWS)
  const rig = new Rig(store)
  compactTo(store, store.revision)
  rig.lookMs = PURGE.turnMs
  rig.purge.wake()
  await rig.clock.advance(PAUSE_MS)
  assert.equal(rig.turns, 2, 'the next one is yet to come')
  assert.equal(rig.behind, 9 * SLICE_ROWS, 'it has got on all the same')
})

test('a pause that lasts longer than it was to makes the next one longer, up to a bound, and is short again when nothing is late', async () => {
  const store = await filled(6 * TURN_ROWS)
  const rig = new Rig(store)
  compactTo(store, store.revision)
  const lateMs = [0, 1, 1000, 1000, 0]
  rig.lateMs = () => lateMs.shift() ?? 0
  rig.purge.wake()
  await rig.clock.advance(6 * PURGE.longestPauseMs)
  const { pauseMs, longestPauseMs } = PURGE
  assert.deepEqual(rig.pausesMs, [pauseMs, pauseMs, pauseMs + 1, longestPauseMs, longestPauseMs, pauseMs])
  assert.equal(rig.behind, 0, 'however late everything was')
})

test('with nothing to remove it does nothing, however often it is asked', async () => {
  const store = await filled(10)
  const rig = new Rig(store)
  rig.purge.wake()
  compactTo(store, 5)
  rig.purge.wake()
  await rig.clock.advance(PAUSE_MS)
  assert.equal(rig.turns, 1)
  rig.purge.wake()
  await rig.clock.advance(1000)
  assert.equal(rig.turns, 1)
})

test('while a commit is under way it removes what the next one takes and no more', async () => {
  const { promise: isWritten, resolve: write } = Promise.withResolvers<void>()
  let delay = Promise.resolve()
  const versions = 2 * COMMIT_WRITES
  const store = await filled(versions, new MemoryBackend({ beforeCommit: () => delay }))
  const rig = new Rig(store)
  delay = isWritten
  compactTo(store, store.revision)
  rig.purge.wake()
  await rig.clock.advance(10_000)
  assert.ok(store.isCommitting)
  const { pendingWrites } = store.buffer
  assert.ok(pendingWrites >= COMMIT_WRITES && pendingWrites < COMMIT_WRITES + 2 * SLICE_ROWS, `${pendingWrites}`)
  assert.ok(rig.behind > 0)
  write()
  await rig.clock.advance(10_000)
  assert.equal(rig.behind, 0)
})

test('a snapshot that takes the place of the store in the middle is purged from where it is itself', async () => {
  const before = await filled(3 * TURN_ROWS)
  const rig = new Rig(before)
  compactTo(before, before.revision)
  rig.purge.wake()
  await rig.clock.advance(2 * PAUSE_MS)
  assert.ok(rig.behind > 0)
  rig.store = await filled(4 * TURN_ROWS)
  compactTo(rig.store, rig.store.revision)
  await rig.clock.advance(1000)
  assert.equal(rig.behind, 0)
})

test('what a compaction leaves is hashed before anything of it goes', async () => {
  const store = await filled(2 * TURN_ROWS)
  const rig = new Rig(store, true)
  const before = rig.hasher.hashKeyValues(0)
  await rig.clock.advance(1000)
  const expected = await before
  compactTo(store, store.revision)
  rig.purge.wake()
  await rig.clock.advance(1000)
  assert.ok(rig.behind > 0, 'nobody has said that the hash is there')
  rig.purge.wake()
  await rig.clock.advance(1000)
  assert.equal(rig.behind, 0)
  assert.ok(expected.ok)
  assert.equal(rig.hasher.ofCompactions[0]?.hash, expected.value.hash)
})

test('once stopped it removes nothing more', async () => {
  const store = await filled(2 * TURN_ROWS)
  const rig = new Rig(store)
  compactTo(store, store.revision)
  rig.purge.wake()
  await rig.clock.advance(PAUSE_MS)
  const { behind } = rig
  rig.purge.stop()
  rig.purge.wake()
  await rig.clock.advance(1000)
  assert.equal(rig.behind, behind)
})
