/** A watchable store over a store in memory, and outlets that take as much as a test lets them. */
import assert from 'node:assert/strict'
import type { Clock } from '../../../lib/clock.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { WATCH } from '../../limits.ts'
import { Event, KeyValue } from '../../proto/generated/etcd/kv.ts'
import type { EventList } from '../watch/event-list.ts'
import { WatchableStore } from '../watch/watchable-store.ts'
import type { WatchedKeys } from '../watch/watcher-group.ts'
import type { Watcher, WatchOutlet, WatcherSpec } from '../watch/watcher.ts'

/** Goes on by so much with each look at it. */
function clockOf(stepMs: number): Clock {
  let nowMs = 0
  return {
    monotonicMs: () => (nowMs += stepMs),
    wallMs: () => 0,
    setTimer: () => ({ cancel: () => undefined }),
    soon: (fire) => void setImmediate(fire),
  }
}

export class WatchableStoreRig {
  readonly #listeners = new Set<() => void>()
  store = new Store(new MemoryBackend())
  readonly clock: Clock
  readonly watchableStore: WatchableStore

  /** With `stepMs` each look at the clock finds that the slice is over, so that work is cut as finely as it can be. */
  constructor(limits = WATCH, stepMs = 0) {
    this.clock = clockOf(stepMs)
    this.watchableStore = new WatchableStore(this, this.clock, limits)
  }

  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  tellApplied(): void {
    for (const listener of this.#listeners) listener()
  }

  /** Another store with the same content takes the place of the first, as when a snapshot is installed. */
  async replaceStore(): Promise<void> {
    await this.store.commit()
    const before = this.store
    this.store = new Store(await MemoryBackend.receive((await before.backend.pin()).read()))
    await before.close()
  }

  watch(outlet: WatchOutlet, keys: WatchedKeys, fields: Partial<WatcherSpec> = {}): Watcher {
    const filters = { isWithoutPuts: false, isWithoutDeletes: false, isWithPrevious: false }
    const watcher = this.watchableStore.add({ id: 0n, startRevision: 0, ...filters, keys, outlet, ...fields })
    assert.ok(watcher !== undefined)
    return watcher
  }
}

/** Until everything that was scheduled, and what that schedules, is done. */
export async function settled(rounds = 50): Promise<void> {
  for (let round = 0; round < rounds; round++) await new Promise((resolve) => setImmediate(resolve))
}

export class TestOutlet implements WatchOutlet {
  /** Deliveries that it still takes. */
  room = Infinity
  /** `REVISION put|delete KEY=VALUE<PREVIOUS` of each watcher. */
  readonly seen = new Map<Watcher, string[]>()
  /** The last that each watcher was given. */
  readonly lists = new Map<Watcher, EventList>()
  readonly compactRevisions = new Map<Watcher, number>()
  /** Of the last delivery. */
  revision = 0

  get hasRoom(): boolean {
    return this.room > 0
  }

  deliver(watcher: Watcher, events: EventList, revision: number): void {
    assert.ok(this.hasRoom && !this.compactRevisions.has(watcher))
    this.room -= 1
    this.revision = revision
    this.lists.set(watcher, events)
    const seen = this.seen.get(watcher) ?? []
    seen.push(...events.all().map(describeEvent))
    this.seen.set(watcher, seen)
  }

  compacted(watcher: Watcher, compactRevision: number): void {
    assert.ok(!this.compactRevisions.has(watcher))
    this.compactRevisions.set(watcher, compactRevision)
  }

  of(watcher: Watcher): readonly string[] {
    return this.seen.get(watcher) ?? []
  }
}

function describeEvent(bytes: Buffer): string {
  const { type, kv, prevKv } = Event.decode(bytes)
  assert.ok(kv !== undefined)
  const { key, value, modRevision } = KeyValue.decode(kv)
  const previous = prevKv === undefined ? '' : `<${KeyValue.decode(prevKv).value.toString()}`
  return `${modRevision} ${type === 1 ? 'delete' : 'put'} ${key.toString()}=${value.toString()}${previous}`
}
