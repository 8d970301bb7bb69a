/** How a member runs; main fills it from the flags. */
import type { Clock } from '../../lib/clock.ts'
import type { ApplySlice, FlowLimits, LeaseLimits } from '../limits.ts'
import type { NodeObserver } from './observer.ts'

export interface NodeLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** `maintenance/auto-compaction.ts` says what each does. */
export type AutoCompaction =
  | { readonly mode: 'periodic'; readonly retentionMs: number }
  | { readonly mode: 'revision'; readonly retentionRevisions: number }

/** What a member does for its store without being asked. */
export interface MaintenanceOptions {
  readonly autoCompaction: AutoCompaction | undefined
  /** Between two comparisons of all members' data; 0 for never. */
  readonly corruptCheckMs: number
  /** Between two comparisons of what members had when they compacted; 0 for never, and compactions are not hashed then. */
  readonly compactHashCheckMs: number
  /** Compare with the peers before a restarted member serves clients. */
  readonly checksAtStart: boolean
}

/** etcd's defaults. */
export const DEFAULT_MAINTENANCE: MaintenanceOptions = {
  autoCompaction: undefined,
  corruptCheckMs: 0,
  compactHashCheckMs: 0,
  checksAtStart: false,
}

export interface NodeOptions {
  readonly name: string
  readonly clientURLs: readonly string[]
  /** Told to the cluster at the start; undefined: the cluster knows them from who added this member. */
  readonly peerURLs?: readonly string[] | undefined
  readonly heartbeatMs: number
  readonly electionMs: number
  /** Applied entries after which the log is compacted. */
  readonly snapshotCount: number
  /** Entries that stay in the log for slow followers when it is compacted. */
  readonly catchUpEntries: number
  /** The most learners at a time. */
  readonly maxLearners: number
  /** False: changes through etcd's API may cost the quorum. */
  readonly isReconfigStrict: boolean
  /** A batch of entries that takes longer to apply counts as slow. */
  readonly slowApplyMs: number
  /** 0 means 2 GiB, a negative one no limit, as in etcd. */
  readonly quotaBytes: number
  readonly maintenance: MaintenanceOptions
  readonly maxRequestBytes: number
  readonly flow: FlowLimits
  readonly leases: LeaseLimits
  readonly applySlice: ApplySlice
  readonly clock: Clock
  readonly observer: NodeObserver
  readonly log: NodeLog
  /** In [0, 1). */
  readonly random: () => number
}

/** Committed and not applied; beyond it proposals are refused, as in etcd. */
export const MAX_APPLY_GAP = 5000
/** etcd's: 5 s for the disk and two elections. */
export function requestTimeoutMs(options: Pick<NodeOptions, 'electionMs'>): number {
  return 5000 + 2 * options.electionMs
}
