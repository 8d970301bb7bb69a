/**
 * Events of the store on their way to watchers, read and distributed in steps: one revision may have a hundred thousand of them, and
 * many watchers. It ends with a whole revision, whose events each watcher gets in one piece.
 */
import type { WatchLimits } from '../../limits.ts'
import { encodeEvent } from '../../mvcc/event-message.ts'
import { readEvents, readPrevious, type EventPosition, type StoredEvent } from '../../mvcc/events.ts'
import type { Store } from '../../mvcc/store.ts'
import { EventList } from './event-list.ts'
import type { Watcher } from './watcher.ts'
import type { WatcherGroup } from './watcher-group.ts'

/** Read and not gathered. */
export interface UnreadPage {
  readonly events: readonly StoredEvent[]
  readonly at: number
  readonly next: EventPosition
}

export class Gathering {
  readonly fromRevision: number
  /** By watcher; without those that get nothing. */
  readonly events = new Map<Watcher, EventList>()
  #page: UnreadPage | undefined
  #position: EventPosition
  #lastRevision: number
  #gathered = 0

  /** `page` is what another one has left. */
  constructor(fromRevision: number, page?: UnreadPage) {
    this.fromRevision = fromRevision
    this.#lastRevision = fromRevision
    this.#position = { revision: fromRevision, sub: 0 }
    this.#page = page
  }

  /** The last revision of which something is gathered. */
  get lastRevision(): number {
    return this.#lastRevision
  }

  /** Once it is complete. */
  get rest(): UnreadPage | undefined {
    return this.#page
  }

  /**
   * The revision below which everything is gathered once it is complete, undefined until then. Previous versions below
   * `floorRevision` are left out. An event is encoded at most twice, whoever it is for.
   */
  step(
    store: Store,
    watchers: WatcherGroup<Watcher>,
    floorRevision: number,
    { pageEvents, pageSizeBytes, stepEvents }: WatchLimits,
  ): number | undefined {
    const {
      events,
      at: first,
      next,
    } = this.#page ?? { at: 0, ...readEvents(store, this.#position, pageSizeBytes, pageEvents) }
    const before = this.#gathered
    for (let at = first; at < events.length; at++) {
      const event = events[at]
      if (event === undefined) break
      const isThrough = this.#gathered >= stepEvents && event.revision !== this.#lastRevision
      if (isThrough || this.#gathered - before >= stepEvents) {
        this.#page = { events, at, next }
        return isThrough ? event.revision : undefined
      }
      this.#lastRevision = event.revision
      this.#add(store, watchers, floorRevision, event)
    }
    this.#page = undefined
    this.#position = next
    return next.revision === this.#lastRevision && events.length > 0 ? undefined : next.revision
  }

  #add(store: Store, watchers: WatcherGroup<Watcher>, floorRevision: number, event: StoredEvent): void {
    let plain: EventList | undefined
    let withPrevious: EventList | undefined
    watchers.forEachMatching(event.key, (watcher) => {
      if (event.revision < watcher.nextRevision || isFiltered(watcher, event)) return
      const alone = watcher.isWithPrevious
        ? (withPrevious ??= EventList.of(encode(event, readPrevious(store, event, floorRevision))))
        : (plain ??= EventList.of(encode(event, undefined)))
      this.events.set(watcher, this.events.get(watcher)?.with(alone.last) ?? alone)
      this.#gathered += 1
    })
  }
}

function encode({ isDelete, keyValue }: StoredEvent, previous: Buffer | undefined): Buffer {
  return encodeEvent(isDelete, keyValue, previous)
}

function isFiltered(watcher: Watcher, event: StoredEvent): boolean {
  return event.isDelete ? watcher.isWithoutDeletes : watcher.isWithoutPuts
}
