/**
 * Watchers of one member, served from its store: events are read once and handed to all watchers that they are for.
 *
 * A watcher either *keeps up*, and stands in an index by its keys, or is *behind* and reads on from its next revision, a page
 * at a time, or is *held up*: behind, too, while its outlet takes nothing. No events wait in queues here: what an outlet
 * does not take is read again from the store later.
 *
 * Invariants
 *   - `#cursor` is the first revision that the watchers which keep up have not been given; it lags behind the store only
 *     between two slices of a long batch.
 *   - A watcher gets every event of its keys from its start revision on, in order, once; one revision's events in one piece.
 *   - A watcher that keeps up is never overtaken by a compaction (`Store.eventsHeldFrom`). One that is behind may be: it ends.
 *   - While there is no watcher, nothing is read.
 * Neighbours: node.ts tells what was applied, api/etcd/watch.ts speaks to clients. Source: etcd's watchable store.
 */
import type { Clock } from '../../../lib/clock.ts'
import { readEvents } from '../../mvcc/events.ts'
import type { Store } from '../../mvcc/store.ts'
import type { NodePort } from '../ports.ts'
import type { EventList } from './event-list.ts'
import { newWatcherBatch } from './watcher-batch.ts'
import { WatcherGroup } from './watcher-group.ts'
import { keySizeBytes, type Watcher, type WatchOutlet, type WatcherSpec } from './watcher.ts'

export interface WatchCounts {
  readonly streams: number
  readonly watchers: number
  /** Behind or held up. */
  readonly slowWatchers: number
  /** Events given to outlets since the start. */
  readonly events: number
}

export interface WatchLimits {
  /** Of all streams together: what is kept for a watcher is a few hundred bytes and its keys. etcd has no such limits. */
  readonly watchers: number
  readonly keyBytes: number
  /** Events read at once; the last revision among them may exceed it. */
  readonly pageEvents: number
  /** The watchableStore itself may lag so far behind the store, and hold compactions up meanwhile; then its watchers are behind. */
  readonly lagRevisions: number
}

export const DEFAULT_WATCH_LIMITS: WatchLimits = {
  watchers: 1_000_000,
  keyBytes: 256 * 1024 * 1024,
  pageEvents: 1000,
  lagRevisions: 100_000,
}

/** Key-values read at once; the last revision among them may exceed it. */
const PAGE_BYTES = 128 * 1024
/** Events given out in one step, one counted for each watcher; the last revision among them may exceed it. */
const STEP_EVENTS = 10_000
/** Watchers that catch up together on one page. */
const GROUP_WATCHES = 5000
/** How long one slice may hold the thread, in milliseconds; what is left comes after other work. */
const SLICE_MS = 5

export class WatchableStore {
  readonly #node: Pick<NodePort, 'store' | 'onApplied'>
  readonly #clock: Clock
  readonly #limits: WatchLimits
  readonly #syncedWatchers = new WatcherGroup<Watcher>()
  /** In the order in which they get their turn. */
  readonly #unsyncedWatchers = new Set<Watcher>()
  readonly #victims = new Map<WatchOutlet, Set<Watcher>>()
  #store: Store
  #cursor = 0
  #unsubscribe: (() => void) | undefined
  #isScheduled = false
  #watchers = 0
  #keyBytes = 0
  #streams = 0
  #events = 0

  constructor(node: Pick<NodePort, 'store' | 'onApplied'>, clock: Clock, limits = DEFAULT_WATCH_LIMITS) {
    this.#node = node
    this.#clock = clock
    this.#limits = limits
    this.#store = node.store
  }

  get counts(): WatchCounts {
    const slowWatchers = this.#watchers - this.#syncedWatchers.size
    return { streams: this.#streams, watchers: this.#watchers, slowWatchers, events: this.#events }
  }

  /** For the counts only. Returns what counts it off. */
  countStream(): () => void {
    this.#streams += 1
    return () => void (this.#streams -= 1)
  }

  /** Nothing is delivered before this returns. Undefined: the limits are reached. */
  add(spec: WatcherSpec): Watcher | undefined {
    const { watchers, keyBytes } = this.#limits
    if (this.#watchers >= watchers || this.#keyBytes + keySizeBytes(spec.keys) > keyBytes) return undefined
    if (this.#watchers === 0) this.#subscribe()
    this.#followStore()
    const nextRevision = spec.startRevision === 0 ? this.#store.revision + 1 : spec.startRevision
    const watcher: Watcher = { ...spec, state: 'ended', nextRevision }
    this.#watchers += 1
    this.#keyBytes += keySizeBytes(watcher.keys)
    this.#place(watcher)
    this.#schedule()
    return watcher
  }

  /** Nothing is delivered any more. */
  remove(watcher: Watcher): void {
    if (watcher.state === 'ended') return
    this.#displace(watcher)
    this.#end(watcher)
  }

  /** The outlet has room again. */
  resume(outlet: WatchOutlet): void {
    const watchers = this.#victims.get(outlet)
    if (watchers === undefined) return
    this.#victims.delete(outlet)
    for (const watcher of watchers) this.#place(watcher)
    this.#schedule()
  }

  /** The revision up to which watchers that keep up have been given everything; undefined while the store itself lags. */
  get progressRevision(): number | undefined {
    const { revision } = this.#node.store
    return this.#cursor > revision ? revision : undefined
  }

  #subscribe(): void {
    this.#store = this.#node.store
    this.#setCursor(this.#store.revision + 1)
    this.#unsubscribe = this.#node.onApplied(() => this.#onApplied())
  }

  #unsubscribeFromStore(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#store.eventsHeldFrom = Infinity
  }

  #setCursor(revision: number): void {
    this.#cursor = revision
    this.#store.eventsHeldFrom = revision
  }

  #onApplied(): void {
    this.#followStore()
    this.#notify()
    this.#schedule()
  }

  /** A snapshot puts another store in the place of the first: whoever kept up reads on in that one. */
  #followStore(): void {
    const { store } = this.#node
    if (store === this.#store) return
    this.#store = store
    this.#allFallBehind()
  }

  /** Whoever kept up and has not been given everything reads on as those who are behind do. */
  #allFallBehind(): void {
    const before = this.#cursor
    this.#setCursor(this.#store.revision + 1)
    for (const watcher of this.#syncedWatchers.all()) {
      this.#displace(watcher)
      watcher.nextRevision = Math.max(watcher.nextRevision, before)
      this.#place(watcher)
    }
  }

  /** Puts a watcher that stands nowhere where its next revision says. */
  #place(watcher: Watcher): void {
    if (watcher.nextRevision >= this.#cursor) {
      watcher.state = 'synced'
      this.#syncedWatchers.add(watcher)
    } else if (watcher.outlet.hasRoom) {
      watcher.state = 'unsynced'
      this.#unsyncedWatchers.add(watcher)
    } else {
      watcher.state = 'victim'
      const others = this.#victims.get(watcher.outlet)
      if (others === undefined) this.#victims.set(watcher.outlet, new Set([watcher]))
      else others.add(watcher)
    }
  }

  #displace(watcher: Watcher): void {
    if (watcher.state === 'synced') this.#syncedWatchers.delete(watcher)
    else if (watcher.state === 'unsynced') this.#unsyncedWatchers.delete(watcher)
    else {
      const others = this.#victims.get(watcher.outlet)
      others?.delete(watcher)
      if (others?.size === 0) this.#victims.delete(watcher.outlet)
    }
  }

  #schedule(): void {
    if (this.#isScheduled || (this.#unsyncedWatchers.size === 0 && this.progressRevision !== undefined)) return
    this.#isScheduled = true
    this.#clock.soon(() => {
      this.#isScheduled = false
      if (this.#watchers === 0) return
      this.#followStore()
      this.#notify()
      this.#syncWatchers()
      this.#schedule()
    })
  }

  /** Gives new events to those who keep up. */
  #notify(): void {
    const deadlineMs = this.#clock.monotonicMs() + SLICE_MS
    if (this.#store.revision - this.#cursor >= this.#limits.lagRevisions) this.#allFallBehind()
    while (this.#cursor <= this.#store.revision) {
      if (this.#syncedWatchers.size === 0) return this.#setCursor(this.#store.revision + 1)
      const before = this.#cursor
      const page = readEvents(this.#store, before, PAGE_BYTES, this.#limits.pageEvents)
      // Versions that these events replaced are as safe from compaction as the events.
      const collected = newWatcherBatch(this.#store, page, this.#syncedWatchers, before - 1, STEP_EVENTS)
      this.#setCursor(collected.nextRevision)
      for (const [watcher, events] of collected.events) {
        if (this.#deliver(watcher, events, collected.nextRevision)) continue
        this.#displace(watcher)
        watcher.nextRevision = Math.max(watcher.nextRevision, before)
        this.#place(watcher)
      }
      if (this.#clock.monotonicMs() >= deadlineMs) return
    }
  }

  /** Gives those who are behind their next pages, whoever waits longest first. */
  #syncWatchers(): void {
    const deadlineMs = this.#clock.monotonicMs() + SLICE_MS
    for (;;) {
      const [first] = this.#unsyncedWatchers
      if (first === undefined) return
      this.#displace(first)
      const compactRevision = this.#store.compactedRevision
      if (!first.outlet.hasRoom) this.#place(first)
      else if (first.nextRevision >= compactRevision) this.#syncFrom(first)
      else {
        this.#end(first)
        first.outlet.compacted(first, compactRevision)
      }
      if (this.#clock.monotonicMs() >= deadlineMs) return
    }
  }

  /** Reads one page for a watcher, and for others that can go on from somewhere in it. */
  #syncFrom(first: Watcher): void {
    const page = readEvents(this.#store, first.nextRevision, PAGE_BYTES, this.#limits.pageEvents)
    const group = new WatcherGroup<Watcher>()
    group.add(first)
    let looked = 0
    for (const watcher of this.#unsyncedWatchers) {
      if (++looked > GROUP_WATCHES) break
      if (watcher.nextRevision < first.nextRevision || watcher.nextRevision >= page.nextRevision) continue
      this.#unsyncedWatchers.delete(watcher)
      group.add(watcher)
    }
    const { compactedRevision } = this.#store
    const { events, nextRevision } = newWatcherBatch(this.#store, page, group, compactedRevision, STEP_EVENTS)
    for (const watcher of group.all()) {
      const own = events.get(watcher)
      const isServed = own === undefined || this.#deliver(watcher, own, nextRevision)
      if (isServed) watcher.nextRevision = Math.max(watcher.nextRevision, nextRevision)
      this.#place(watcher)
    }
  }

  /** False: the outlet has no room. */
  #deliver(watcher: Watcher, events: EventList, nextRevision: number): boolean {
    if (!watcher.outlet.hasRoom) return false
    this.#events += events.length
    watcher.outlet.deliver(watcher, events, nextRevision - 1)
    return true
  }

  #end(watcher: Watcher): void {
    watcher.state = 'ended'
    this.#watchers -= 1
    this.#keyBytes -= keySizeBytes(watcher.keys)
    if (this.#watchers === 0) this.#unsubscribeFromStore()
  }
}
