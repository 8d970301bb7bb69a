/**
 * The error of a write that got no result in its time: etcd's text for the most likely cause. Pure.
 * Source: etcd, server/etcdserver/server.go, parseProposeCtxErr.
 */
import { NOBODY, type MemberId } from '../../../lib/ids.ts'
import { quorumOf } from '../membership/fence.ts'
import type { NodeProblem } from '../ports.ts'
import { leaderOf, type Raft } from '../../raft/raft.ts'

/** Who leads, and how this member stands to the others. */
export interface Links {
  readonly self: MemberId
  readonly leader: MemberId
  readonly voters: readonly MemberId[]
  /** Undefined: there is no connection now. */
  readonly connectedSinceMs: (peer: MemberId) => number | undefined
}

export function linksOf(raft: Raft, connectedSinceMs: Links['connectedSinceMs']): Links {
  return { self: raft.options.id, leader: leaderOf(raft), voters: raft.configuration.voters, connectedSinceMs }
}

/** `electedMs`: when this member learned of the leader that it has now. */
export function whyLate(
  sinceMs: number,
  electedMs: number,
  electionMs: number,
  { self, leader, voters, connectedSinceMs }: Links,
): Extract<NodeProblem, 'timeout' | 'leader-failed' | 'connection-lost'> {
  // The one before it may have been gone for two election timeouts.
  if (sinceMs > electedMs - 2 * electionMs && sinceMs < electedMs) return 'leader-failed'
  const wasConnected = (id: MemberId): boolean => id === self || (connectedSinceMs(id) ?? Infinity) < sinceMs
  if (leader === NOBODY) return 'timeout'
  if (leader !== self) return wasConnected(leader) ? 'timeout' : 'connection-lost'
  return voters.filter(wasConnected).length >= quorumOf(voters.length) ? 'timeout' : 'connection-lost'
}
