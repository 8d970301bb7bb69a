/** From a page of events to what each watch gets of it. An event is encoded at most twice, whoever it is for. */
import { encodeEvent } from '../mvcc/event-message.ts'
import { readPrevious, type EventPage, type StoredEvent } from '../mvcc/events.ts'
import type { Store } from '../mvcc/store.ts'
import type { Watch } from './watch.ts'
import type { WatchIndex } from './watch-index.ts'

/** Watches that no event of the page is for are not in the answer. Previous versions below `floorRevision` are left out. */
export function collectEvents(
  store: Store,
  page: EventPage,
  watches: WatchIndex<Watch>,
  floorRevision: number,
): ReadonlyMap<Watch, readonly Buffer[]> {
  const deliveries = new Map<Watch, Buffer[]>()
  for (const event of page.events) {
    let plain: Buffer | undefined
    let withPrevious: Buffer | undefined
    watches.forEachMatching(event.key, (watch) => {
      if (event.revision < watch.nextRevision || isFiltered(watch, event)) return
      const bytes = watch.isWithPrevious
        ? (withPrevious ??= encodeEvent(event.isDelete, event.keyValue, readPrevious(store, event, floorRevision)))
        : (plain ??= encodeEvent(event.isDelete, event.keyValue, undefined))
      const earlier = deliveries.get(watch)
      if (earlier === undefined) deliveries.set(watch, [bytes])
      else earlier.push(bytes)
    })
  }
  return deliveries
}

function isFiltered(watch: Watch, event: StoredEvent): boolean {
  return event.isDelete ? watch.isWithoutDeletes : watch.isWithoutPuts
}
