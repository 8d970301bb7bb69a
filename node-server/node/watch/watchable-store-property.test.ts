import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { unreachable } from '../../../lib/assert.ts'
import { WATCH } from '../../limits.ts'
import { compactSlice, type CompactionCursor } from '../../mvcc/compaction.ts'
import { compactTo, deleteRange, opDelete, opPut, put, txn } from '../../mvcc/testing/requests.ts'
import { WatchableStoreRig, settled, TestOutlet } from '../testing/watchable-store-rig.ts'
import type { WatchedKeys } from './watcher-group.ts'
import type { Watcher } from './watcher.ts'

/** What the naive model knows of a change: everything, forever. */
interface ModelEvent {
  readonly revision: number
  readonly key: string
  readonly value: string | undefined
  readonly previous: string | undefined
}

interface ModelWatch {
  readonly watcher: Watcher
  readonly outlet: TestOutlet
  /** First revision that it wants. */
  readonly from: number
  /** It began where the store stood, its outlet always has room, and no snapshot comes: a compaction must not end it. */
  readonly isSynced: boolean
}

const KEYS = ['a', 'b', 'c', 'd']
const key = fc.constantFrom(...KEYS)
const pair = fc.tuple(key, fc.constantFrom(...KEYS, '', 'e')).filter(([start, end]) => end === '' || start < end)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put'), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete'), pair }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('txn'), puts: fc.uniqueArray(key, { minLength: 1 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('tell') }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait'), rounds: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact'), back: fc.nat({ max: 5 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('purge') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('resume'), room: fc.nat({ max: 3 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('watch'),
      pair,
      isRange: fc.boolean(),
      isOpen: fc.boolean(),
      start: fc.integer({ min: -6, max: 4 }),
      hasStart: fc.boolean(),
      isSlow: fc.boolean(),
      isWithoutPuts: fc.boolean(),
      isWithoutDeletes: fc.boolean(),
      isWithPrevious: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove'), which: fc.nat() }) },
)
type Step = (typeof step)['generate'] extends (...args: never) => { readonly value: infer Value } ? Value : never

class World {
  readonly rig = new WatchableStoreRig({ ...WATCH, pageEvents: 2, cohortWatchers: 3, cohortPages: 2 }, 1000)
  readonly events: ModelEvent[] = []
  readonly live = new Map<string, string>()
  readonly free = new TestOutlet()
  readonly slow = new TestOutlet()
  watchers: ModelWatch[] = []
  cursor: CompactionCursor | undefined
  isWithSnapshots = false
  values = 0

  async take(step: Step): Promise<void> {
    const { rig } = this
    switch (step.kind) {
      case 'put':
        return this.put(step.key)
      case 'delete':
        return this.delete(...step.pair)
      case 'txn':
        return this.txn(step.puts)
      case 'tell':
        return rig.tellApplied()
      case 'wait':
        return settled(step.rounds)
      case 'compact':
        return void compactTo(rig.store, rig.store.revision - step.back)
      case 'purge':
        this.cursor = compactSlice(rig.store, this.cursor).cursor
        return undefined
      case 'snapshot':
        return this.replaceStore()
      case 'resume':
        return this.resume(step.room)
      case 'watch':
        return this.watch(step)
      case 'remove':
        return this.remove(step.which)
      default:
        return unreachable(step)
    }
  }

  put(key: string): void {
    const value = String(++this.values)
    put(this.rig.store, key, value)
    this.note(this.rig.store.revision, key, value)
  }

  delete(start: string, end: string): void {
    const keys = [...this.live.keys()].filter((key) => (end === '' ? key === start : key >= start && key < end))
    deleteRange(this.rig.store, start, end)
    for (const key of keys.toSorted()) this.note(this.rig.store.revision, key, undefined)
  }

  /** Puts some keys and deletes the others. */
  txn(puts: readonly string[]): void {
    const value = String(++this.values)
    const others = KEYS.filter((key) => !puts.includes(key))
    txn(this.rig.store, [...puts.map((key) => opPut(key, value)), ...others.map((key) => opDelete(key))])
    for (const key of puts) this.note(this.rig.store.revision, key, value)
    for (const key of others) if (this.live.has(key)) this.note(this.rig.store.revision, key, undefined)
  }

  note(revision: number, key: string, value: string | undefined): void {
    this.events.push({ revision, key, value, previous: this.live.get(key) })
    if (value === undefined) this.live.delete(key)
    else this.live.set(key, value)
  }

  async replaceStore(): Promise<void> {
    await this.rig.replaceStore()
    this.cursor = undefined
    this.isWithSnapshots = true
  }

  resume(room: number): void {
    this.slow.room = room
    if (room > 0) this.rig.watchableStore.resume(this.slow)
  }

  watch(step: Extract<Step, { kind: 'watch' }>): void {
    const { pair, isRange, isOpen, hasStart, isSlow, start, kind: _, ...fields } = step
    const keys: WatchedKeys = isRange
      ? { kind: 'range', start: pair[0], end: isOpen ? undefined : pair[1] || 'z' }
      : { kind: 'key', key: pair[0] }
    const { revision } = this.rig.store
    const startRevision = hasStart ? Math.max(1, revision + start) : 0
    const outlet = isSlow ? this.slow : this.free
    const watcher = this.rig.watch(outlet, keys, { ...fields, startRevision })
    const from = hasStart ? startRevision : revision + 1
    this.watchers.push({ watcher, outlet, from, isSynced: !isSlow && from > revision })
  }

  remove(which: number): void {
    const index = which % Math.max(1, this.watchers.length)
    const chosen = this.watchers[index]
    if (chosen === undefined) return
    this.rig.watchableStore.remove(chosen.watcher)
    this.watchers.splice(index, 1)
    this.check(chosen, true)
  }

  /** Everybody reads now, and the store has finished. */
  async finish(): Promise<void> {
    this.rig.tellApplied()
    this.resume(Infinity)
    const { watchableStore } = this.rig
    for (let round = 0; watchableStore.counts.watchers > 0; round++) {
      if (watchableStore.counts.slowWatchers === 0 && watchableStore.progressRevision !== undefined) break
      assert.ok(round < 10_000, 'the watchableStore comes to rest')
      await settled(1)
    }
    for (const watcher of this.watchers) this.check(watcher, false)
  }

  check({ watcher, outlet, from, isSynced }: ModelWatch, isCut: boolean): void {
    const expected = this.events.filter((event) => event.revision >= from && isWanted(watcher, event))
    const seen = outlet.of(watcher)
    for (const [position, text] of seen.entries()) {
      const event = expected[position]
      assert.ok(event !== undefined, `${text} was not to come`)
      this.checkEvent(text, event, watcher, isSynced)
    }
    const next = expected[seen.length]
    if (seen.length > 0) assert.notEqual(expected[seen.length - 1]?.revision, next?.revision, 'a revision was split')
    const compactRevision = outlet.compactRevisions.get(watcher)
    if (compactRevision !== undefined) {
      assert.ok(!isSynced || this.isWithSnapshots, 'a synced watcher is not overtaken by a compaction')
      const reached = seen.length === 0 ? from : (expected[seen.length - 1]?.revision ?? 0) + 1
      assert.ok(reached < compactRevision && compactRevision <= this.rig.store.compactedRevision)
    } else if (!isCut) assert.equal(next, undefined, 'an event is missing')
  }

  /** A previous version may be missing only where a compaction has taken it. */
  checkEvent(text: string, event: ModelEvent, watcher: Watcher, isSynced: boolean): void {
    const { revision, key, value, previous } = event
    const plain = `${revision} ${value === undefined ? 'delete' : 'put'} ${key}=${value ?? ''}`
    if (!watcher.isWithPrevious || previous === undefined) return assert.equal(text, plain)
    const mayBeCompacted = revision - 1 < this.rig.store.compactedRevision && (!isSynced || this.isWithSnapshots)
    assert.ok(
      text === `${plain}<${previous}` || (text === plain && mayBeCompacted),
      `${text}, not ${plain}<${previous}`,
    )
  }
}

function isWanted({ keys, isWithoutPuts, isWithoutDeletes }: Watcher, { key, value }: ModelEvent): boolean {
  if (value === undefined ? isWithoutDeletes : isWithoutPuts) return false
  if (keys.kind === 'key') return key === keys.key
  return key >= keys.start && (keys.end === undefined || key < keys.end)
}

test('whatever happens, each watcher gets exactly the events of its keys, in order, with what they replaced', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const world = new World()
      for (const step of steps) await world.take(step)
      await world.finish()
    }),
    { numRuns: 400 },
  )
})
