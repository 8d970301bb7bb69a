/** From a page of events to what each watcher gets of it. An event is encoded at most twice, whoever it is for. */
import { encodeEvent } from '../../mvcc/event-message.ts'
import { readPrevious, type EventPage, type StoredEvent } from '../../mvcc/events.ts'
import type { Store } from '../../mvcc/store.ts'
import { EventList } from './event-list.ts'
import type { Watcher } from './watcher.ts'
import type { WatcherGroup } from './watcher-group.ts'

export interface WatcherBatch {
  /** By watcher; those that nothing is for are not in it. */
  readonly events: ReadonlyMap<Watcher, EventList>
  /** What is below it was collected: the page's, or less when `limit` was reached. */
  readonly nextRevision: number
}

/**
 * Ends after the revision with which `limit` events are collected, one counted for each watcher. Previous versions below
 * `floorRevision` are left out.
 */
export function newWatcherBatch(
  store: Store,
  page: EventPage,
  watchers: WatcherGroup<Watcher>,
  floorRevision: number,
  limit: number,
): WatcherBatch {
  const events = new Map<Watcher, EventList>()
  let collected = 0
  let lastRevision = 0
  for (const event of page.events) {
    if (collected >= limit && event.revision !== lastRevision) return { events, nextRevision: event.revision }
    lastRevision = event.revision
    let plain: EventList | undefined
    let withPrevious: EventList | undefined
    watchers.forEachMatching(event.key, (watcher) => {
      if (event.revision < watcher.nextRevision || isFiltered(watcher, event)) return
      const alone = watcher.isWithPrevious
        ? (withPrevious ??= EventList.of(encode(event, readPrevious(store, event, floorRevision))))
        : (plain ??= EventList.of(encode(event, undefined)))
      events.set(watcher, events.get(watcher)?.with(alone.last) ?? alone)
      collected += 1
    })
  }
  return { events, nextRevision: page.nextRevision }
}

function encode({ isDelete, keyValue }: StoredEvent, previous: Buffer | undefined): Buffer {
  return encodeEvent(isDelete, keyValue, previous)
}

function isFiltered(watcher: Watcher, event: StoredEvent): boolean {
  return event.isDelete ? watcher.isWithoutDeletes : watcher.isWithoutPuts
}
