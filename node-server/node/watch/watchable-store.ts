/**
 * The watchers of one member, served from its store: events are read once and handed to all watchers that they are for.
 *
 * A *synced* watcher has been given everything that it wants of the past. An *unsynced* one reads on from its next
 * revision, in pages and together with others (sync-cohort.ts). A *victim* is unsynced, and its outlet has no room. No
 * events wait in queues here: what an outlet does not take is read again from the store later.
 *
 * Invariants
 *   - `#cursor` is the first revision that no batch for the synced watchers was made of. It lags behind the store, and a
 *     batch behind it, only between two slices.
 *   - A watcher gets every event of its keys from its start revision on, in order, once; one revision's events in one piece.
 *   - A synced watcher is never overtaken by a compaction (`Store.eventsHeldFrom`). An unsynced one may be: it ends.
 *   - While there is no watcher, nothing is read.
 * Neighbours: replica.ts tells what was applied, api/etcd/watch.ts speaks to clients. Source: etcd's watchable store.
 */
import { unreachable } from '../../../lib/assert.ts'
import type { Clock } from '../../../lib/clock.ts'
import { WATCH, type WatchLimits } from '../../limits.ts'
import type { Store } from '../../mvcc/store.ts'
import type { NodePort } from '../ports.ts'
import type { EventList } from './event-list.ts'
import { Gathering } from './gathering.ts'
import { SyncCohort } from './sync-cohort.ts'
import { WatcherSets } from './watcher-sets.ts'
import { keySizeBytes, type Watcher, type WatchOutlet, type WatcherSpec } from './watcher.ts'

export interface WatchCounts {
  readonly streams: number
  readonly watchers: number
  /** Unsynced ones and victims. */
  readonly slowWatchers: number
  /** Events given to outlets since the start. */
  readonly events: number
}

/** Events for the synced watchers that some of them have not got yet. */
interface Batch {
  readonly fromRevision: number
  readonly nextRevision: number
  readonly events: Iterator<[Watcher, EventList]>
}

export class WatchableStore {
  readonly #node: Pick<NodePort, 'store' | 'onApplied'>
  readonly #clock: Clock
  readonly #limits: WatchLimits
  readonly #sets = new WatcherSets()
  /** Of what will be the next batch. */
  #gathering: Gathering | undefined
  #batch: Batch | undefined
  #store: Store
  #cursor = 0
  #unsubscribe: (() => void) | undefined
  #isScheduled = false
  #watchers = 0
  #keyBytes = 0
  #streams = 0
  #events = 0

  constructor(node: Pick<NodePort, 'store' | 'onApplied'>, clock: Clock, limits = WATCH) {
    this.#node = node
    this.#clock = clock
    this.#limits = limits
    this.#store = node.store
  }

  get counts(): WatchCounts {
    const slowWatchers = this.#watchers - this.#sets.syncedWatchers.size
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
    this.#sets.place(watcher, this.#cursor)
    this.#schedule()
    return watcher
  }

  /** Ends it: nothing is delivered any more. */
  remove(watcher: Watcher): void {
    if (watcher.state === 'ended') return
    this.#sets.displace(watcher)
    this.#end(watcher)
  }

  /** The outlet has room again. */
  resume(outlet: WatchOutlet): void {
    const watchers = this.#sets.victims.get(outlet)
    if (watchers === undefined) return
    this.#sets.victims.delete(outlet)
    for (const watcher of watchers) this.#sets.place(watcher, this.#cursor)
    this.#schedule()
  }

  /** The revision up to which the synced watchers have been given everything; undefined while they lag behind the store. */
  get progressRevision(): number | undefined {
    const { revision } = this.#node.store
    const isThrough = this.#cursor > revision && this.#gathering === undefined && this.#batch === undefined
    return isThrough ? revision : undefined
  }

  #subscribe(): void {
    this.#store = this.#node.store
    this.#setCursor(this.#store.revision + 1)
    this.#unsubscribe = this.#node.onApplied(() => this.#onApplied())
  }

  #unsubscribeFromStore(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#gathering = undefined
    this.#batch = undefined
    this.#sets.cohort = undefined
    this.#store.eventsHeldFrom = Infinity
  }

  #setCursor(revision: number, heldFrom = revision): void {
    this.#cursor = revision
    this.#store.eventsHeldFrom = heldFrom
  }

  #onApplied(): void {
    this.#followStore()
    this.#notify()
    this.#schedule()
  }

  /** A snapshot puts another store in the place of the first: the synced watchers read on in that one. */
  #followStore(): void {
    const { store } = this.#node
    if (store === this.#store) return
    this.#store = store
    this.#unsyncAll()
  }

  #unsyncAll(): void {
    const before = (this.#batch ?? this.#gathering)?.fromRevision ?? this.#cursor
    this.#gathering = undefined
    this.#batch = undefined
    this.#setCursor(this.#store.revision + 1)
    for (const watcher of this.#sets.syncedWatchers.all()) {
      this.#sets.displace(watcher)
      watcher.nextRevision = Math.max(watcher.nextRevision, before)
      this.#sets.place(watcher, this.#cursor)
    }
  }

  get #isAtRest(): boolean {
    return (
      this.progressRevision !== undefined && this.#sets.cohort === undefined && this.#sets.unsyncedWatchers.size === 0
    )
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isAtRest) return
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

  /** Gives new events to the synced watchers. */
  #notify(): void {
    const deadlineMs = this.#clock.monotonicMs() + this.#limits.notifyMs
    if (this.#store.revision - this.#cursor >= this.#limits.lagRevisions) this.#unsyncAll()
    while (this.progressRevision === undefined) {
      this.#batch ??= this.#nextBatch()
      if (this.#batch !== undefined) this.#giveOut(this.#batch, deadlineMs)
      if (this.#clock.monotonicMs() >= deadlineMs) return
    }
  }

  /** Undefined: it is not complete yet, or there is nobody to give events to. */
  #nextBatch(): Batch | undefined {
    if (this.#sets.syncedWatchers.size === 0) {
      this.#gathering = undefined
      this.#setCursor(this.#store.revision + 1)
      return undefined
    }
    this.#gathering ??= new Gathering(this.#cursor)
    const { fromRevision, events } = this.#gathering
    // Versions that these events replaced are as safe from compaction as the events.
    const nextRevision = this.#gathering.step(this.#store, this.#sets.syncedWatchers, fromRevision - 1, this.#limits)
    if (nextRevision === undefined) {
      // A watcher that comes now reads these events again: it gets nothing of what is gathered already.
      this.#setCursor(this.#gathering.lastRevision + 1, fromRevision)
      return undefined
    }
    this.#gathering = undefined
    this.#setCursor(nextRevision)
    return { fromRevision, nextRevision, events: events.entries() }
  }

  #giveOut({ events, fromRevision, nextRevision }: Batch, deadlineMs: number): void {
    for (let next = events.next(); next.done !== true; next = events.next()) {
      const [watcher, own] = next.value
      if (watcher.state !== 'synced') continue // it has ended since the batch was made
      if (this.#deliver(watcher, own, nextRevision)) watcher.nextRevision = nextRevision
      else {
        this.#sets.displace(watcher)
        watcher.nextRevision = Math.max(watcher.nextRevision, fromRevision)
        this.#sets.place(watcher, this.#cursor)
      }
      if (this.#clock.monotonicMs() >= deadlineMs) return
    }
    this.#batch = undefined
  }

  /** Lets unsynced watchers read on, whoever waits longest first. */
  #syncWatchers(): void {
    const deadlineMs = this.#clock.monotonicMs() + this.#limits.syncMs
    while (this.#sets.cohort !== undefined || this.#sets.unsyncedWatchers.size > 0) {
      this.#sets.cohort ??= new SyncCohort(
        this.#sets.unsyncedWatchers.values(),
        this.#limits.cohortWatchers,
        this.#limits.cohortPages,
      )
      this.#stepOf(this.#sets.cohort)
      if (this.#clock.monotonicMs() >= deadlineMs) return
    }
  }

  #stepOf(cohort: SyncCohort): void {
    switch (cohort.phase) {
      case 'gathers':
        return this.#gather(cohort)
      case 'reads':
        return this.#read(cohort)
      case 'parts':
        return this.#part(cohort)
      default:
        return unreachable(cohort.phase)
    }
  }

  #gather(cohort: SyncCohort): void {
    const compactRevision = this.#store.compactedRevision
    for (let i = 0; i < this.#limits.stepWatchers; i++) {
      const candidate = cohort.candidates.next()
      if (candidate.done === true || cohort.looks-- === 0) {
        cohort.phase = 'reads'
        return
      }
      const watcher = candidate.value
      if (!watcher.outlet.hasRoom) {
        this.#sets.displace(watcher)
        this.#sets.place(watcher, this.#cursor)
      } else if (watcher.nextRevision < compactRevision) {
        this.#sets.displace(watcher)
        this.#end(watcher)
        watcher.outlet.compacted(watcher, compactRevision)
      } else if (cohort.suits(watcher, this.#limits.cohortPages * this.#limits.pageEvents)) {
        this.#sets.unsyncedWatchers.delete(watcher)
        cohort.watchers.add(watcher)
      }
    }
  }

  #read(cohort: SyncCohort): void {
    const { watchers, nextRevision } = cohort
    const floorRevision = this.#store.compactedRevision
    const isThrough = nextRevision === undefined || nextRevision < floorRevision || nextRevision >= this.#cursor
    if (isThrough || watchers.size === 0 || cohort.pages === 0) {
      cohort.phase = 'parts'
      return
    }
    cohort.gathering ??= new Gathering(nextRevision, cohort.rest)
    const gatheredTo = cohort.gathering.step(this.#store, watchers, floorRevision, this.#limits)
    if (gatheredTo === undefined) return
    const { events: gathered, rest } = cohort.gathering
    cohort.gathering = undefined
    cohort.rest = rest
    cohort.nextRevision = gatheredTo
    if (rest === undefined) cohort.pages -= 1
    for (const [watcher, events] of gathered) {
      if (watcher.state !== 'unsynced') continue // it has ended meanwhile
      if (this.#deliver(watcher, events, gatheredTo)) continue
      watchers.delete(watcher)
      watcher.nextRevision = Math.max(watcher.nextRevision, nextRevision)
      this.#sets.place(watcher, this.#cursor)
    }
  }

  #part(cohort: SyncCohort): void {
    const leaving = cohort.watchers.first(this.#limits.stepWatchers)
    for (const watcher of leaving) {
      cohort.watchers.delete(watcher)
      watcher.nextRevision = Math.max(watcher.nextRevision, cohort.nextRevision ?? 0)
      this.#sets.place(watcher, this.#cursor)
    }
    if (cohort.watchers.size === 0) this.#sets.cohort = undefined
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
