/**
 * Where the log is cut: what the store holds durably is needed only by slow followers. Those without a snapshot get a fixed
 * number of entries; those that one is on its way to get what comes behind it, up to a bound: if that were cut, the
 * snapshot would be too old when it arrives, and so would each one after it while there are enough writes.
 */
import { LogIndex } from '../../../lib/ids.ts'
import type { KeptLogLimits } from '../../limits.ts'

/** Of a peer that has a snapshot on its way, or goes on from one that has arrived. */
export interface KeptLog {
  /** It will need the entries behind this one. */
  readonly after: LogIndex
  /** For which it has got no further; 0 while its snapshot is being sent: that has a limit of its own. */
  readonly idleMs: number
  /** What has come into the log since the snapshot was begun. */
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

/** The last entry that may go; undefined while it is not worth it. The log begins behind `base`. */
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
    // Whose entries are gone already needs another snapshot, whatever is kept.
    ({ after, idleMs, sizeBytes }) => after >= base && idleMs <= limits.idleMs && sizeBytes <= limits.sizeBytes,
  )
  const cut = LogIndex(Math.min(usual, ...needed.map(({ after }) => after)))
  return cut - base < leastEntries ? undefined : cut
}
