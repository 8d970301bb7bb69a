/** A hub over a store in memory, and outlets that take as much as a test lets them. */
import assert from 'node:assert/strict'
import type { Clock } from '../../../lib/clock.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { Event, KeyValue } from '../../proto/generated/etcd/kv.ts'
import { DEFAULT_WATCH_LIMITS, WatchHub } from '../watch/watch-hub.ts'
import type { WatchedKeys } from '../watch/watch-index.ts'
import type { Watch, WatchOutlet, WatchSpec } from '../watch/watch.ts'

/** Each look at it finds that the slice has used up its time, so that work is cut as finely as it can be. */
function hurriedClock(): Clock {
  let nowMs = 0
  return {
    monotonicMs: () => (nowMs += 1000),
    wallMs: () => 0,
    setTimer: () => ({ cancel: () => undefined }),
    soon: (fire) => void setImmediate(fire),
  }
}

export class HubRig {
  readonly #listeners = new Set<() => void>()
  store = new Store(new MemoryBackend())
  readonly hub: WatchHub

  constructor(limits = DEFAULT_WATCH_LIMITS) {
    this.hub = new WatchHub(this, hurriedClock(), limits)
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

  watch(outlet: WatchOutlet, keys: WatchedKeys, fields: Partial<WatchSpec> = {}): Watch {
    const filters = { isWithoutPuts: false, isWithoutDeletes: false, isWithPrevious: false }
    const watch = this.hub.add({ id: 0n, startRevision: 0, ...filters, keys, outlet, ...fields })
    assert.ok(watch !== undefined)
    return watch
  }
}

/** Until everything that was scheduled, and what that schedules, is done. */
export async function settled(rounds = 50): Promise<void> {
  for (let round = 0; round < rounds; round++) await new Promise((resolve) => setImmediate(resolve))
}

export class TestOutlet implements WatchOutlet {
  /** Deliveries that it still takes. */
  room = Infinity
  /** `REVISION put|delete KEY=VALUE<PREVIOUS` of each watch. */
  readonly seen = new Map<Watch, string[]>()
  readonly compactRevisions = new Map<Watch, number>()
  /** Of the last delivery. */
  revision = 0

  get hasRoom(): boolean {
    return this.room > 0
  }

  deliver(watch: Watch, events: readonly Buffer[], revision: number): void {
    assert.ok(this.hasRoom && !this.compactRevisions.has(watch))
    this.room -= 1
    this.revision = revision
    const seen = this.seen.get(watch) ?? []
    seen.push(...events.map(describeEvent))
    this.seen.set(watch, seen)
  }

  compacted(watch: Watch, compactRevision: number): void {
    assert.ok(!this.compactRevisions.has(watch))
    this.compactRevisions.set(watch, compactRevision)
  }

  of(watch: Watch): readonly string[] {
    return this.seen.get(watch) ?? []
  }
}

function describeEvent(bytes: Buffer): string {
  const { type, kv, prevKv } = Event.decode(bytes)
  assert.ok(kv !== undefined)
  const { key, value, modRevision } = KeyValue.decode(kv)
  const previous = prevKv === undefined ? '' : `<${KeyValue.decode(prevKv).value.toString()}`
  return `${modRevision} ${type === 1 ? 'delete' : 'put'} ${key.toString()}=${value.toString()}${previous}`
}
