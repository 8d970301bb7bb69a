/** Changes in the order in which they were made: what watches are served from. */
import { textOfBytes } from './byte-text.ts'
import { decodeRevisionKey, revisionKey } from './key-index.ts'
import { decodeStoredRevision, headOf } from './key-value.ts'
import { readAt, readKeyValue } from './read.ts'
import type { Store } from './store.ts'

export interface StoredEvent {
  readonly revision: number
  readonly isDelete: boolean
  /** The key had no version before this one. */
  readonly isCreate: boolean
  /** The key, one character a byte (byte-text.ts). */
  readonly key: string
  /** Encoded mvccpb.KeyValue; of a delete only key and mod_revision are set, as in etcd's events. */
  readonly keyValue: Buffer
}

export interface EventPage {
  readonly events: readonly StoredEvent[]
  /** Where to go on: above the store's revision when everything was read. */
  readonly next: EventPosition
}

/** One revision's events come in the order of its operations. */
export interface EventPosition {
  readonly revision: number
  readonly sub: number
}

/**
 * Events from a position on, whose revision must not be 0. Ends when `limitBytes` of key-values or `limitEvents` are reached,
 * in the middle of a revision or not. Below the compacted revision events are complete only from `store.eventsHeldFrom` on.
 */
export function readEvents(store: Store, from: EventPosition, limitBytes: number, limitEvents = Infinity): EventPage {
  const events: StoredEvent[] = []
  let sizeBytes = 0
  for (const { key, value } of store.buffer.scan('revisions', revisionKey(from.revision, from.sub), undefined)) {
    const next = decodeRevisionKey(key)
    if (sizeBytes >= limitBytes || events.length >= limitEvents) return { events, next }
    const { revision } = next
    const { isTombstone, keyValue } = decodeStoredRevision(value)
    const head = headOf(keyValue)
    const isCreate = head.createRevision === revision
    events.push({ revision, isDelete: isTombstone, isCreate, key: textOfBytes(head.key), keyValue })
    sizeBytes += keyValue.length
  }
  return { events, next: { revision: Math.max(from.revision, store.revision + 1), sub: 0 } }
}

/**
 * The encoded KeyValue that the event replaced or removed; undefined when there was none, and when it was of a revision
 * below `floorRevision`: from there on, versions are still there.
 */
export function readPrevious(store: Store, event: StoredEvent, floorRevision: number): Buffer | undefined {
  if (event.isCreate || event.revision - 1 < floorRevision) return undefined
  const record = readAt(store, Buffer.from(event.key, 'latin1'), event.revision - 1)
  return record === undefined ? undefined : readKeyValue(store, record)
}
