/**
 * Where the log is cut: entries that the store holds durably are needed only by slow followers. A fixed number is kept for them or,
 * if entries are large, what fits a bound of memory, which is wider while a follower is behind. For a follower to which a snapshot is
 * on its way, the entries behind it are kept: without them the snapshot would be too old when it arrives, and so would each
 * one after it while there are enough writes.
 */
import { LogIndex } from '../../../lib/ids.ts'
import type { KeptLogLimits } from '../../limits.ts'
import { tailOf, type Log } from '../../raft/log.ts'
import type { PeerStatus } from '../../raft/raft.ts'

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

/** Of the log that is kept by size, at least so much goes at once: each cut is written down. */
const LEAST_SHARE = 1 / 8

export interface Cutting {
  readonly log: Log
  /** The last entry that the store has on disk. */
  readonly durable: LogIndex
  readonly options: CutOptions
  /** Those that a leader sends entries to; nobody where another leads. */
  readonly peers: () => readonly Pick<PeerStatus, 'state' | 'match'>[]
  readonly limits: KeptLogLimits
}

/** Where the log would be cut if no snapshot were on its way. */
export function usualCut({ log, durable, options: { catchUpEntries }, peers, limits }: Cutting): LogIndex {
  const byCount = Math.max(0, durable - catchUpEntries)
  if (!isLarge(log, limits)) return LogIndex(byCount)
  const needed = log.sizeBytes > limits.sizeBytes ? [] : peers().filter((peer) => isSentEntries(log, peer))
  const most = Math.min(durable, ...needed.map(({ match }) => match))
  return LogIndex(most <= byCount ? byCount : Math.max(byCount, Math.min(most, tailOf(log, limits.usualSizeBytes))))
}

function isLarge({ sizeBytes }: Log, { usualSizeBytes }: KeptLogLimits): boolean {
  return sizeBytes * (1 - LEAST_SHARE) > usualSizeBytes
}

/** A peer that needs removed entries gets a snapshot, whatever is kept. */
function isSentEntries({ base }: Log, { state, match }: Pick<PeerStatus, 'state' | 'match'>): boolean {
  return state !== 'snapshot' && match >= base.index
}

/** The last entry that may be removed; undefined while it is not worth it. */
export function cutOf(cutting: Cutting, kept: () => readonly KeptLog[]): LogIndex | undefined {
  const { log, limits } = cutting
  const base = log.base.index
  const usual = usualCut(cutting)
  const least = leastOf(cutting)
  if (usual - base < least) return undefined
  const needed = kept().filter(
    // A peer whose entries are already removed needs another snapshot, whatever is kept.
    ({ after, idleMs, sizeBytes }) => after >= base && idleMs <= limits.idleMs && sizeBytes <= limits.sizeBytes,
  )
  const cut = LogIndex(Math.min(usual, ...needed.map(({ after }) => after)))
  return cut - base < least ? undefined : cut
}

function leastOf({ log, options: { snapshotCount }, limits }: Cutting): number {
  const ofLarge = isLarge(log, limits) ? log.entries.length * LEAST_SHARE : Infinity
  return Math.max(1, Math.min(snapshotCount, ofLarge))
}
