/** From a page of events to what each watch gets of it. An event is encoded at most twice, whoever it is for. */
import { encodeEvent } from '../../mvcc/event-message.ts'
import { readPrevious, type EventPage, type StoredEvent } from '../../mvcc/events.ts'
import type { Store } from '../../mvcc/store.ts'
import type { Watch } from './watch.ts'
import type { WatchIndex } from './watch-index.ts'

export interface Collected {
  /** Encoded mvccpb.Event by watch; watches that nothing is for are not in it. */
  readonly events: ReadonlyMap<Watch, readonly Buffer[]>
  /** What is below it was collected: the page's, or less when `limit` was reached. */
  readonly nextRevision: number
}

/**
 * Ends after the revision with which `limit` events are collected, one counted for each watch. Previous versions below
 * `floorRevision` are left out.
 */
export function collectEvents(
  store: Store,
  page: EventPage,
  watches: WatchIndex<Watch>,
  floorRevision: number,
  limit: number,
): Collected {
  const events = new Map<Watch, Buffer[]>()
  let collected = 0
  let lastRevision = 0
  for (const event of page.events) {
    if (collected >= limit && event.revision !== lastRevision) return { events, nextRevision: event.revision }
    lastRevision = event.revision
    let plain: Buffer | undefined
    let withPrevious: Buffer | undefined
    watches.forEachMatching(event.key, (watch) => {
      if (event.revision < watch.nextRevision || isFiltered(watch, event)) return
      const bytes = watch.isWithPrevious
        ? (withPrevious ??= encodeEvent(event.isDelete, event.keyValue, readPrevious(store, event, floorRevision)))
        : (plain ??= encodeEvent(event.isDelete, event.keyValue, undefined))
      const earlier = events.get(watch)
      if (earlier === undefined) events.set(watch, [bytes])
      else earlier.push(bytes)
      collected += 1
    })
  }
  return { events, nextRevision: page.nextRevision }
}

function isFiltered(watch: Watch, event: StoredEvent): boolean {
  return event.isDelete ? watch.isWithoutDeletes : watch.isWithoutPuts
}
