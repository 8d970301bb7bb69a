/**
 * etcd's strict reconfiguration check, by which its API refuses more than the quorum needs: a voter counts when it has
 * started and its connection has stood for a while. Pure. Source: etcd, server/etcdserver/server.go, mayAddMember,
 * mayRemoveMember and mayPromoteMember; what it lets pass, fence.ts still judges by who has answered.
 */
import { unreachable } from '../../../lib/assert.ts'
import type { MemberId } from '../../../lib/ids.ts'
import type { Refusal } from '../peer-requests.ts'
import { quorumOf, type RequestedChange } from './fence.ts'

export interface StartFacts {
  readonly voters: readonly MemberId[]
  readonly learners: readonly MemberId[]
  /** Members that have told the cluster their name. */
  readonly started: ReadonlySet<MemberId>
}

export interface StrictFacts extends StartFacts {
  /** The leader. */
  readonly self: MemberId
  readonly answered: ReadonlySet<MemberId>
  /** How long the leader's connection to each peer has stood; without an entry there is none. */
  readonly connectedMs: ReadonlyMap<MemberId, number>
}

/** etcd's HealthInterval. */
const HEALTHY_AFTER_MS = 5000

export function refuseStrictly(change: RequestedChange, facts: StrictFacts): Refusal | undefined {
  return refuseUnstarted(change, facts) ?? refuseUnhealthy(change, facts)
}

/** What any member can tell, without a leader. */
export function refuseUnstarted(
  change: RequestedChange,
  { voters, learners, started }: StartFacts,
): Refusal | undefined {
  const countStarted = (ids: readonly MemberId[]): number => ids.filter((id) => started.has(id)).length
  switch (change.kind) {
    case 'add': {
      // A single voter is how every cluster begins.
      const isSecond = voters.length === 1 && countStarted(voters) === 1
      return change.isLearner || isSecond ? undefined : needs(voters.length + 1, countStarted(voters))
    }
    case 'promote':
      // Its log has come along, so it has started.
      return learners.includes(change.memberId) ? needs(voters.length + 1, countStarted(voters) + 1) : undefined
    case 'remove': {
      const others = voters.filter((id) => id !== change.memberId)
      return learners.includes(change.memberId) ? undefined : needs(others.length, countStarted(others))
    }
    default:
      return unreachable(change)
  }
}

function needs(voterCount: number, startedCount: number): Refusal | undefined {
  const quorum = quorumOf(voterCount)
  if (startedCount >= quorum) return undefined
  const message = `${quorum} started voters are needed after the change, ${startedCount} would be there: start them first`
  return { problem: 'not-enough-started', error: { code: 'QuorumAtRisk', message } }
}

function refuseUnhealthy(change: RequestedChange, facts: StrictFacts): Refusal | undefined {
  const { self, voters, learners, answered, connectedMs } = facts
  const isConnected = (id: MemberId): boolean => id === self || (connectedMs.get(id) ?? -1) >= HEALTHY_AFTER_MS
  const countHealthy = (ids: readonly MemberId[]): number =>
    ids.filter((id) => answered.has(id) && isConnected(id)).length
  switch (change.kind) {
    case 'add':
      // A learner is held against the quorum as well: it is to become a voter.
      return voters.length === 1 ? undefined : needsHealthy(voters.length + 1, countHealthy(voters))
    case 'promote':
      return undefined
    case 'remove': {
      const { memberId } = change
      // Who is away is no part of what holds the cluster up.
      const isAway = memberId !== self && !connectedMs.has(memberId)
      if (isAway || learners.includes(memberId)) return undefined
      const others = countHealthy(voters.filter((id) => id !== memberId))
      // etcd takes one off those connected, whether or not the one that goes was among them.
      return needsHealthy(voters.length - 1, others - Number(!isConnected(memberId)))
    }
    default:
      return unreachable(change)
  }
}

function needsHealthy(voterCount: number, healthyCount: number): Refusal | undefined {
  const quorum = quorumOf(voterCount)
  if (healthyCount >= quorum) return undefined
  const message = `${quorum} voters that have been connected for ${HEALTHY_AFTER_MS} ms are needed after the change, ${Math.max(0, healthyCount)} are: repair a member first, or wait`
  return { problem: 'unhealthy-cluster', error: { code: 'QuorumAtRisk', message } }
}
