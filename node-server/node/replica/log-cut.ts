/**
 * Where the log is cut: entries that the store holds durably are needed only by slow followers. A fixed number is kept for
 * them. For a follower to which a snapshot is on its way, the entries behind it are kept, up to a bound: without them the
 * snapshot would be too old when it arrives, and so would each one after it while there are enough writes.
 */
import { LogIndex } from '../../../lib/ids.ts'
import type { KeptLogLimits } from '../../limits.ts'

/** A peer to which a snapshot is on its way, or that continues from one that has arrived. */
export interface KeptLog {
  /** It will need the entries behind this one. */
  readonly after: LogIndex
  /** How long it has made no progress; 0 while its snapshot is being sent, which has a limit of its own. */
  readonly idleMs: number
  /** Bytes that have come into the log since the snapshot was begun. */
  readonly sizeBytes: number
}

export interface CutOptions {
  readonly snapshotCount: number
  readonly catchUpEntries: number
}

/** Where the log would be cut if no snapshot were on its way; `durable` is the last entry that the store has on disk. */
export function usualCut(durable: LogIndex, { catchUpEntries }: CutOptions): LogIndex {
  return LogIndex(Math.max(0, durable - catchUpEntries))
}

/** The last entry that may be removed; undefined while it is not worth it. The log begins behind `base`. */
export function cutOf(
  base: LogIndex,
  durable: LogIndex,
  options: CutOptions,
  kept: readonly KeptLog[],
  limits: KeptLogLimits,
): LogIndex | undefined {
  const usual = usualCut(durable, options)
  const leastEntries = Math.max(1, options.snapshotCount)
  if (usual - base < leastEntries) return undefined
  const needed = kept.filter(
    // A peer whose entries are already removed needs another snapshot, whatever is kept.
    ({ after, idleMs, sizeBytes }) => after >= base && idleMs <= limits.idleMs && sizeBytes <= limits.sizeBytes,
  )
  const cut = LogIndex(Math.min(usual, ...needed.map(({ after }) => after)))
  return cut - base < leastEntries ? undefined : cut
}
