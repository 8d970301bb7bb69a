/** What is known of the process that follows a cluster, from what it reported. Pure. */
import type { FollowStatus, Told } from '../../../lib/follow-status.ts'
import { unreachable } from '../../../lib/assert.ts'
import type { FollowNews } from './follow-options.ts'

export function statusAfter(before: FollowStatus, news: FollowNews, nowMs: number): FollowStatus {
  const told = (message: string): Told => ({ at: timeOf(nowMs), message })
  switch (news.kind) {
    case 'kept': {
      const { clusterId, revision, atMs, segment } = news
      const { failure: _, gap, ...rest } = before
      // While it catches up, the last moment at which all was kept is still that one, unless another cluster's.
      const at = atMs === undefined ? keptAt(before, clusterId) : timeOf(atMs)
      return {
        ...rest,
        clusterId,
        kept: { revision, ...(at !== undefined && { at }) },
        ...(segment !== undefined && { lastSegment: segment }),
        ...(gap !== undefined && { gap: { ...gap, isClosed: true } }),
      }
    }
    case 'failed':
      return { ...before, failure: told(news.message) }
    case 'gap':
      return { ...before, gap: { ...told(news.message), isClosed: false } }
    case 'first':
      return before
    default:
      return unreachable(news)
  }
}

function keptAt({ clusterId, kept }: FollowStatus, of: string): string | undefined {
  return clusterId === of ? kept?.at : undefined
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
