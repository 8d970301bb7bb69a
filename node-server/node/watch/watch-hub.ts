/**
 * Watches of one member, served from its store: events are read once and handed to all watches that they are for.
 *
 * A watch either *keeps up*, and stands in an index by its keys, or is *behind* and reads on from its next revision, a page
 * at a time, or is *held up*: behind, too, while its outlet takes nothing. No events wait in queues here: what an outlet
 * does not take is read again from the store later.
 *
 * Invariants
 *   - `#cursor` is the first revision that the watches which keep up have not been given; it lags behind the store only
 *     between two slices of a long batch.
 *   - A watch gets every event of its keys from its start revision on, in order, once; one revision's events in one piece.
 *   - A watch that keeps up is never overtaken by a compaction (`Store.eventsHeldFrom`). One that is behind may be: it ends.
 *   - While there is no watch, nothing is read.
 * Neighbours: node.ts tells what was applied, api/etcd/watch.ts speaks to clients. Source: etcd's watchable store.
 */
import { assert } from '../../../lib/assert.ts'
import type { Clock } from '../../../lib/clock.ts'
import { readEvents } from '../../mvcc/events.ts'
import type { Store } from '../../mvcc/store.ts'
import type { NodePort } from '../ports.ts'
import { collectEvents } from './watch-delivery.ts'
import { WatchIndex } from './watch-index.ts'
import { keySizeBytes, type Watch, type WatchOutlet, type WatchSpec } from './watch.ts'

export interface WatchCounts {
  readonly streams: number
  readonly watches: number
  /** Behind or held up. */
  readonly slowWatches: number
  /** Events given to outlets since the start. */
  readonly events: number
}

export interface WatchLimits {
  /** Of all streams together: what is kept for a watch is a few hundred bytes and its keys. etcd has no such limits. */
  readonly watches: number
  readonly keyBytes: number
  /** Events read at once; the last revision among them may exceed it. */
  readonly pageEvents: number
  /** The hub itself may lag so far behind the store, and hold compactions up meanwhile; then its watches are behind. */
  readonly lagRevisions: number
}

export const DEFAULT_WATCH_LIMITS: WatchLimits = {
  watches: 1_000_000,
  keyBytes: 256 * 1024 * 1024,
  pageEvents: 1000,
  lagRevisions: 100_000,
}

/** Key-values read at once; the last revision among them may exceed it. */
const PAGE_BYTES = 128 * 1024
/** Events given out in one step, one counted for each watch; the last revision among them may exceed it. */
const STEP_EVENTS = 10_000
/** Watches that catch up together on one page. */
const GROUP_WATCHES = 5000
/** How long one slice may hold the thread, in milliseconds; what is left comes after other work. */
const SLICE_MS = 5

export class WatchHub {
  readonly #node: Pick<NodePort, 'store' | 'onApplied'>
  readonly #clock: Clock
  readonly #limits: WatchLimits
  readonly #keepingUp = new WatchIndex<Watch>()
  /** In the order in which they get their turn. */
  readonly #behind = new Set<Watch>()
  readonly #heldUp = new Map<WatchOutlet, Set<Watch>>()
  #store: Store
  #cursor = 0
  #unsubscribe: (() => void) | undefined
  #isScheduled = false
  #watches = 0
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
    const slowWatches = this.#watches - this.#keepingUp.size
    return { streams: this.#streams, watches: this.#watches, slowWatches, events: this.#events }
  }

  /** For the counts only. Returns what counts it off. */
  countStream(): () => void {
    this.#streams += 1
    return () => void (this.#streams -= 1)
  }

  /** Nothing is delivered before this returns. Undefined: the limits are reached. */
  add(spec: WatchSpec): Watch | undefined {
    const { watches, keyBytes } = this.#limits
    if (this.#watches >= watches || this.#keyBytes + keySizeBytes(spec.keys) > keyBytes) return undefined
    if (this.#watches === 0) this.#subscribe()
    this.#followStore()
    const nextRevision = spec.startRevision === 0 ? this.#store.revision + 1 : spec.startRevision
    const watch: Watch = { ...spec, state: 'ended', nextRevision }
    this.#watches += 1
    this.#keyBytes += keySizeBytes(watch.keys)
    this.#place(watch)
    this.#schedule()
    return watch
  }

  /** Nothing is delivered any more. */
  remove(watch: Watch): void {
    if (watch.state === 'ended') return
    this.#displace(watch)
    this.#end(watch)
  }

  /** The outlet has room again. */
  resume(outlet: WatchOutlet): void {
    const watches = this.#heldUp.get(outlet)
    if (watches === undefined) return
    this.#heldUp.delete(outlet)
    for (const watch of watches) this.#place(watch)
    this.#schedule()
  }

  /** The revision up to which watches that keep up have been given everything; undefined while the hub itself lags. */
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
    this.#distribute()
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
    for (const watch of this.#keepingUp.all()) {
      this.#displace(watch)
      watch.nextRevision = Math.max(watch.nextRevision, before)
      this.#place(watch)
    }
  }

  /** Puts a watch that stands nowhere where its next revision says. */
  #place(watch: Watch): void {
    if (watch.nextRevision >= this.#cursor) {
      watch.state = 'keeps-up'
      this.#keepingUp.add(watch)
    } else if (watch.outlet.hasRoom) {
      watch.state = 'behind'
      this.#behind.add(watch)
    } else {
      watch.state = 'held-up'
      const others = this.#heldUp.get(watch.outlet)
      if (others === undefined) this.#heldUp.set(watch.outlet, new Set([watch]))
      else others.add(watch)
    }
  }

  #displace(watch: Watch): void {
    if (watch.state === 'keeps-up') this.#keepingUp.delete(watch)
    else if (watch.state === 'behind') this.#behind.delete(watch)
    else {
      const others = this.#heldUp.get(watch.outlet)
      others?.delete(watch)
      if (others?.size === 0) this.#heldUp.delete(watch.outlet)
    }
  }

  #schedule(): void {
    if (this.#isScheduled || (this.#behind.size === 0 && this.progressRevision !== undefined)) return
    this.#isScheduled = true
    this.#clock.soon(() => {
      this.#isScheduled = false
      if (this.#watches === 0) return
      this.#followStore()
      this.#distribute()
      this.#catchUp()
      this.#schedule()
    })
  }

  /** Gives new events to those who keep up. */
  #distribute(): void {
    const deadlineMs = this.#clock.monotonicMs() + SLICE_MS
    if (this.#store.revision - this.#cursor >= this.#limits.lagRevisions) this.#allFallBehind()
    while (this.#cursor <= this.#store.revision) {
      if (this.#keepingUp.size === 0) return this.#setCursor(this.#store.revision + 1)
      const before = this.#cursor
      const page = readEvents(this.#store, before, PAGE_BYTES, this.#limits.pageEvents)
      // Versions that these events replaced are as safe from compaction as the events.
      const collected = collectEvents(this.#store, page, this.#keepingUp, before - 1, STEP_EVENTS)
      this.#setCursor(collected.nextRevision)
      for (const [watch, events] of collected.events) {
        if (this.#deliver(watch, events, collected.nextRevision)) continue
        this.#displace(watch)
        watch.nextRevision = Math.max(watch.nextRevision, before)
        this.#place(watch)
      }
      if (this.#clock.monotonicMs() >= deadlineMs) return
    }
  }

  /** Gives those who are behind their next pages, whoever waits longest first. */
  #catchUp(): void {
    const deadlineMs = this.#clock.monotonicMs() + SLICE_MS
    for (;;) {
      const [first] = this.#behind
      if (first === undefined) return
      this.#displace(first)
      const compactRevision = this.#store.compactedRevision
      if (!first.outlet.hasRoom) this.#place(first)
      else if (first.nextRevision >= compactRevision) this.#catchUpFrom(first)
      else {
        this.#end(first)
        first.outlet.compacted(first, compactRevision)
      }
      if (this.#clock.monotonicMs() >= deadlineMs) return
    }
  }

  /** Reads one page for a watch, and for others that can go on from somewhere in it. */
  #catchUpFrom(first: Watch): void {
    const page = readEvents(this.#store, first.nextRevision, PAGE_BYTES, this.#limits.pageEvents)
    const group = new WatchIndex<Watch>()
    group.add(first)
    let looked = 0
    for (const watch of this.#behind) {
      if (++looked > GROUP_WATCHES) break
      if (watch.nextRevision < first.nextRevision || watch.nextRevision >= page.nextRevision) continue
      this.#behind.delete(watch)
      group.add(watch)
    }
    const { compactedRevision } = this.#store
    const { events, nextRevision } = collectEvents(this.#store, page, group, compactedRevision, STEP_EVENTS)
    for (const watch of group.all()) {
      const own = events.get(watch)
      const isServed = own === undefined || this.#deliver(watch, own, nextRevision)
      if (isServed) watch.nextRevision = Math.max(watch.nextRevision, nextRevision)
      this.#place(watch)
    }
  }

  /** False: the outlet has no room. */
  #deliver(watch: Watch, events: readonly Buffer[], nextRevision: number): boolean {
    if (!watch.outlet.hasRoom) return false
    assert(events.length > 0, 'a delivery has events')
    this.#events += events.length
    watch.outlet.deliver(watch, events, nextRevision - 1)
    return true
  }

  #end(watch: Watch): void {
    watch.state = 'ended'
    this.#watches -= 1
    this.#keyBytes -= keySizeBytes(watch.keys)
    if (this.#watches === 0) this.#unsubscribeFromStore()
  }
}
