/** How etcd derives the identities of a cluster and its first members from their configuration. Pure. */
import { createHash } from 'node:crypto'
import { ClusterId, MemberId } from '../../lib/ids.ts'

/** `addedAtSeconds` (Unix) is given for a member that is added at runtime, so that it gets an ID never used before. */
export function deriveMemberId(peerURLs: readonly string[], clusterToken: string, addedAtSeconds?: number): MemberId {
  return MemberId(hash64(`${peerURLs.toSorted().join('')}${clusterToken}${addedAtSeconds ?? ''}`))
}

export function deriveClusterId(memberIds: readonly MemberId[]): ClusterId {
  const bytes = Buffer.alloc(8 * memberIds.length)
  const ascending = memberIds.toSorted((a, b) => (a < b ? -1 : 1))
  for (const [i, id] of ascending.entries()) bytes.writeBigUInt64BE(id, 8 * i)
  return ClusterId(hash64(bytes))
}

/** First 8 bytes of SHA-1, big-endian. */
function hash64(input: string | Buffer): bigint {
  return createHash('sha1').update(input).digest().readBigUInt64BE(0)
}
