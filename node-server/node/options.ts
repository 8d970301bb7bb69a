/** How a member runs; main fills it from the flags. */
import type { Clock } from '../../lib/clock.ts'
import type { NodeObserver } from './observer.ts'

export interface NodeLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface NodeOptions {
  readonly name: string
  readonly clientURLs: readonly string[]
  readonly heartbeatMs: number
  readonly electionMs: number
  /** Applied entries after which the log is compacted. */
  readonly snapshotCount: number
  /** Entries that stay in the log for slow followers when it is compacted. */
  readonly catchUpEntries: number
  /** The most learners at a time. */
  readonly maxLearners: number
  /** A batch of entries that takes longer to apply counts as slow. */
  readonly slowApplyMs: number
  readonly quotaBytes: number
  readonly maxRequestBytes: number
  readonly clock: Clock
  readonly observer: NodeObserver
  readonly log: NodeLog
  /** In [0, 1). */
  readonly random: () => number
}

/** Committed and not applied; beyond it proposals are refused, as in etcd. */
export const MAX_APPLY_GAP = 5000
/** Requests of this member that wait for their result. */
export const MAX_WAITERS = 32_768
/** etcd's: 5 s for the disk and two elections. */
export function requestTimeoutMs(options: NodeOptions): number {
  return 5000 + 2 * options.electionMs
}
