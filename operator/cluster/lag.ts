/** How far behind a member may be and still count as caught up. Pure. */
import type { Observed } from './observed.ts'

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
