/** How far behind a member may be and still count as caught up. Pure. */
import type { Membership, Observed } from './observed.ts'

/** With many writes a second nobody is ever a few entries behind: then it is what so much time writes. */
const LAG_SECONDS = 1

/**
 * spec.scaling.maxLagEntries, or as much as the cluster has committed in a second since the figures were last written. What
 * has been seen is some milliseconds old, too.
 */
export function allowedLag({ cluster, membership, nowMs }: Observed): number {
  const { maxLagEntries } = cluster.spec.scaling
  const { commitIndex, sampledAt } = cluster.recorded
  const seconds = (nowMs - Date.parse(sampledAt ?? '')) / 1000
  if (membership?.leader === undefined || !(seconds >= 1) || commitIndex === 0) return maxLagEntries
  const perSecond = Math.max(0, membership.commitIndex - commitIndex) / seconds
  return Math.max(maxLagEntries, Math.ceil(perSecond * LAG_SECONDS))
}

/** What the leader knows of a member. */
export type Peer = NonNullable<ReturnType<Membership['peers']['get']>>

/** "receives a snapshot, 120 of 800 MB" */
export function catchingUp(peer: Peer | undefined, isHeard: boolean): string {
  if (peer?.snapshot !== undefined) {
    const [sent, total] = [peer.snapshot.sentBytes, peer.snapshot.totalBytes].map(megabytes)
    return `receives a snapshot, ${sent} of ${total} MB`
  }
  if (peer?.state === 'snapshot') return 'receives a snapshot'
  if (peer === undefined || peer.matchIndex === 0) return 'has not answered the leader yet'
  return isHeard ? `is ${peer.lag} entries behind` : 'does not answer the leader'
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1_000_000)
}
