/**
 * Who is corrupt, judged by hashes of the same history (etcd: server/etcdserver/corrupt.go). Pure.
 *
 * Hashes say something about each other only at one revision and one compacted revision; what was answered at another is
 * passed over.
 */
import { MemberId } from '../../../lib/ids.ts'
import type { KeyValueHash } from '../../mvcc/hash-kv.ts'
import type { HashedKeyValues } from '../ports.ts'

export interface PeerHash {
  readonly id: MemberId
  /** Undefined: no answer, or it cannot tell at that revision. */
  readonly hash: HashedKeyValues | undefined
}

/** It is not known who: an alarm for this ID means the whole cluster. */
export const NOBODY_IN_PARTICULAR = MemberId(0n)

export interface OwnHashes {
  readonly id: MemberId
  /** Before the peers were asked, at the revision that they were asked for. */
  readonly before: HashedKeyValues
  /** After that, and after a linearizable barrier. */
  readonly after: HashedKeyValues
}

/** The first member that the leader finds wrong; one alarm is enough to stop the cluster. */
export function judgePeriodic({ id, before, after }: OwnHashes, peers: readonly PeerHash[]): MemberId | undefined {
  const isSameState = after.revision === before.revision && after.compactedRevision === before.compactedRevision
  if (isSameState && after.hash !== before.hash) return id
  return peers.find(({ hash }) => {
    if (hash === undefined) return false
    // A follower is never ahead of a leader that has just confirmed that it leads.
    if (hash.currentRevision > after.currentRevision || hash.compactedRevision > after.compactedRevision) return true
    return hash.compactedRevision === before.compactedRevision && hash.hash !== before.hash
  })?.id
}

export type CompactionVerdict =
  /** Everybody has the same. */
  | { readonly kind: 'equal' }
  /** Nobody differs, and somebody could not be asked: an older compaction may tell more. */
  | { readonly kind: 'incomplete' }
  /** Those outside the majority, or nobody in particular when there is no majority. */
  | { readonly kind: 'corrupt'; readonly members: readonly MemberId[] }

/** The leader's hash of a compaction against those of all its peers. */
export function judgeCompaction(id: MemberId, own: KeyValueHash, peers: readonly PeerHash[]): CompactionVerdict {
  const groups = new Map<number, MemberId[]>([[own.hash, [id]]])
  let compared = 0
  for (const { id: peer, hash } of peers) {
    if (hash === undefined || hash.compactedRevision !== own.compactedRevision) continue
    compared += 1
    groups.set(hash.hash, [...(groups.get(hash.hash) ?? []), peer])
  }
  if (groups.size === 1) return { kind: compared === peers.length ? 'equal' : 'incomplete' }
  const quorum = Math.floor((peers.length + 1) / 2) + 1
  const majority = [...groups.values()].find((members) => members.length >= quorum)
  if (majority === undefined) return { kind: 'corrupt', members: [NOBODY_IN_PARTICULAR] }
  return { kind: 'corrupt', members: [...groups.values()].filter((members) => members !== majority).flat() }
}

/** Peers that have another hash of the same state: before the first request is served it is not known who is wrong. */
export function disagreeing(own: HashedKeyValues, peers: readonly PeerHash[]): readonly MemberId[] {
  return peers
    .filter(({ hash }) => hash?.compactedRevision === own.compactedRevision && hash.hash !== own.hash)
    .map(({ id }) => id)
}
