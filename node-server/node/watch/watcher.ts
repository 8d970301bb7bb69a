/** A watcher, as used by the store, its index and its outlet. */
import type { EventList } from './event-list.ts'
import type { WatchedKeys } from './watcher-group.ts'

/** Where the events of one or more watchers go: one stream of a client. Its methods call nothing of the store. */
export interface WatchOutlet {
  /** While this is false nothing is delivered; `WatchableStore.resume` tells when it has become true. */
  readonly hasRoom: boolean
  /** Up to `revision` the watcher has been given everything now. */
  deliver(watcher: Watcher, events: EventList, revision: number): void
  /** The watcher has ended, because its next revision is compacted. */
  compacted(watcher: Watcher, compactRevision: number): void
}

export interface WatcherSpec {
  readonly id: bigint
  readonly keys: WatchedKeys
  /** 0: everything after now. */
  readonly startRevision: number
  readonly isWithoutPuts: boolean
  readonly isWithoutDeletes: boolean
  readonly isWithPrevious: boolean
  readonly outlet: WatchOutlet
}

/** Owned by the store: others read it. */
export interface Watcher extends WatcherSpec {
  state: 'synced' | 'unsynced' | 'victim' | 'ended'
  /** Events below it were delivered, or are not wanted; of a synced one the cursor may be above it. */
  nextRevision: number
}

/** Bytes of a watcher whose number the client chooses. */
export function keySizeBytes(keys: WatchedKeys): number {
  return keys.kind === 'key' ? keys.key.length : keys.start.length + (keys.end?.length ?? 0)
}
