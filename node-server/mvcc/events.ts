/** Changes in the order in which they were made: what watches are served from. */
import { decodeRevisionKey, revisionKey } from './key-index.ts'
import { decodeStoredRevision } from './key-value.ts'
import type { Store } from './store.ts'

export interface StoredEvent {
  readonly revision: number
  readonly isDelete: boolean
  /** Encoded mvccpb.KeyValue; of a delete only key and mod_revision are set, as in etcd's events. */
  readonly keyValue: Buffer
}

export interface EventPage {
  readonly events: readonly StoredEvent[]
  /** Where to go on: above the store's revision when everything was read. */
  readonly nextRevision: number
}

/**
 * Events from `fromRevision` on, which must be neither 0 nor below the compacted revision. Ends after the revision with
 * which `limitBytes` of key-values are reached; one revision's events are never on two pages.
 */
export function readEvents(store: Store, fromRevision: number, limitBytes: number): EventPage {
  const events: StoredEvent[] = []
  let sizeBytes = 0
  for (const { key, value } of store.buffer.scan('revisions', revisionKey(fromRevision, 0), undefined)) {
    const { revision } = decodeRevisionKey(key)
    if (sizeBytes >= limitBytes && revision !== events.at(-1)?.revision) return { events, nextRevision: revision }
    const { isTombstone, keyValue } = decodeStoredRevision(value)
    events.push({ revision, isDelete: isTombstone, keyValue })
    sizeBytes += keyValue.length
  }
  return { events, nextRevision: Math.max(fromRevision, store.revision + 1) }
}
