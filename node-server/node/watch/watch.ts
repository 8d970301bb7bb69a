/** A watch as the hub, its index and its outlet see it. */
import type { WatchedKeys } from './watch-index.ts'

/** Where the events of one or more watches go: one stream of a client. Its methods call nothing of the hub. */
export interface WatchOutlet {
  /** While this is false nothing is delivered; `WatchHub.resume` tells when it has become true. */
  readonly hasRoom: boolean
  /** Encoded mvccpb.Event, in order. Up to `revision` the watch has been given everything now. */
  deliver(watch: Watch, events: readonly Buffer[], revision: number): void
  /** The watch has ended, because what it should read next is compacted. */
  compacted(watch: Watch, compactRevision: number): void
}

export interface WatchSpec {
  readonly id: bigint
  readonly keys: WatchedKeys
  /** 0: what comes after now. */
  readonly startRevision: number
  readonly isWithoutPuts: boolean
  readonly isWithoutDeletes: boolean
  readonly isWithPrevious: boolean
  readonly outlet: WatchOutlet
}

/** Owned by the hub: others read it. */
export interface Watch extends WatchSpec {
  state: 'keeps-up' | 'behind' | 'held-up' | 'ended'
  /** Events below it were delivered, or are not wanted; of a watch that keeps up the hub's cursor may be above it. */
  nextRevision: number
}

/** Of what a watch keeps, the part whose size the client chooses. */
export function keySizeBytes(keys: WatchedKeys): number {
  return keys.kind === 'key' ? keys.key.length : keys.start.length + (keys.end?.length ?? 0)
}
