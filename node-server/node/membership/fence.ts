/**
 * Whether the leader may propose a membership change now. Pure. A refusal says what stands against it, so that the
 * caller can decide again; what passes here is checked again when it is applied, which is where it counts.
 */
import { formatId, type LogIndex, type MemberId } from '../../../lib/ids.ts'
import { unreachable } from '../../../lib/assert.ts'
import type { Refusal } from '../peer-requests.ts'
import type { NodeProblem } from '../ports.ts'

export type RequestedChange =
  | { readonly kind: 'add'; readonly peerURLs: readonly string[]; readonly isLearner: boolean }
  | { readonly kind: 'promote'; readonly memberId: MemberId; readonly maxLagEntries: number }
  | { readonly kind: 'remove'; readonly memberId: MemberId }

export interface LeaderFacts {
  readonly configIndex: LogIndex
  /** A change is proposed and not applied, or the configuration is joint. */
  readonly isChangePending: boolean
  readonly voters: readonly MemberId[]
  readonly learners: readonly MemberId[]
  /** More learners would slow the leader without making anything safer. */
  readonly maxLearners: number
  /** Members that have answered the leader since the change was asked for, itself among them. */
  readonly answered: ReadonlySet<MemberId>
  readonly lastIndex: LogIndex
  readonly matchIndex: ReadonlyMap<MemberId, LogIndex>
  /** Peer URLs of the members there are, by member. */
  readonly peerURLs: ReadonlyMap<MemberId, readonly string[]>
}

export function quorumOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1
}

/** `expectedConfigIndex` undefined: the caller decides on whatever is in force (etcd's Cluster API has no fence). */
export function refuse(
  change: RequestedChange,
  expectedConfigIndex: LogIndex | undefined,
  facts: LeaderFacts,
): Refusal | undefined {
  return refuseUnchecked(change, expectedConfigIndex, facts) ?? refuseQuorum(change, facts)
}

/** As {@link refuse} for who wants the change whatever becomes of the quorum: what stands against it in any case. */
export function refuseUnchecked(
  change: RequestedChange,
  expectedConfigIndex: LogIndex | undefined,
  facts: LeaderFacts,
): Refusal | undefined {
  if (expectedConfigIndex !== undefined && expectedConfigIndex !== facts.configIndex)
    return staleFence(expectedConfigIndex, facts.configIndex)
  if (facts.isChangePending) {
    const message =
      'another membership change is in flight: wait until it is applied, then decide on the new configuration'
    return { problem: 'change-in-flight', error: { code: 'ChangeInFlight', message, configIndex: facts.configIndex } }
  }
  return refuseTarget(change, facts) ?? refuseLast(change, facts)
}

export function staleFence(expected: LogIndex, current: LogIndex): Refusal {
  const message = `decided on the configuration of index ${expected}, but the one of index ${current} is in force: read the status and decide again`
  return { problem: 'change-in-flight', error: { code: 'ConfigIndexStale', message, configIndex: current } }
}

function refuseTarget(change: RequestedChange, facts: LeaderFacts): Refusal | undefined {
  switch (change.kind) {
    case 'add':
      return refuseAdd(change, facts)
    case 'promote': {
      if (facts.voters.includes(change.memberId)) return notAMember(change.memberId, 'learner', 'member-not-learner')
      if (!facts.learners.includes(change.memberId)) return notAMember(change.memberId, 'learner', 'member-not-found')
      const match = facts.matchIndex.get(change.memberId) ?? 0
      const lag = facts.lastIndex - match
      if (match > 0 && lag <= change.maxLagEntries) return undefined
      const message = `the learner is ${lag} entries behind, at most ${change.maxLagEntries} are allowed`
      return { problem: 'learner-not-ready', error: { code: 'LearnerLagging', message, lag } }
    }
    case 'remove': {
      const isMember = facts.voters.includes(change.memberId) || facts.learners.includes(change.memberId)
      return isMember ? undefined : notAMember(change.memberId, 'member', 'member-not-found')
    }
    default:
      return unreachable(change)
  }
}

function refuseAdd(change: Extract<RequestedChange, { kind: 'add' }>, facts: LeaderFacts): Refusal | undefined {
  const taken = change.peerURLs.find((url) => [...facts.peerURLs.values()].some((urls) => urls.includes(url)))
  if (taken !== undefined) {
    return {
      problem: 'peer-urls-exist',
      error: { code: 'Conflict', message: `a member with the peer URL ${taken} exists already` },
    }
  }
  if (!change.isLearner || facts.learners.length < facts.maxLearners) return undefined
  const learners = facts.learners.map(formatId).join(', ')
  return {
    problem: 'too-many-learners',
    error: {
      code: 'Conflict',
      message:
        learners === ''
          ? 'there may be no learners (--max-learners=0)'
          : `there is a learner already (${learners}): promote or remove it first`,
    },
  }
}

function refuseLast(change: RequestedChange, facts: LeaderFacts): Refusal | undefined {
  if (votersAfter(change, facts).count > 0) return undefined
  return atRisk('this is the last voter: without it there is no cluster. Delete the cluster instead', facts)
}

/** The old voters must commit the change, and those after it must be able to go on. */
function refuseQuorum(change: RequestedChange, facts: LeaderFacts): Refusal | undefined {
  const after = votersAfter(change, facts)
  // A single voter can only grow by a second one that is not there yet; etcd allows that too.
  if (change.kind === 'add' && facts.voters.length === 1) return undefined
  const before = { count: facts.voters.length, healthy: healthy(facts.voters, facts) }
  for (const [voters, when] of [
    [before, 'to commit the change'],
    [after, 'after the change'],
  ] as const) {
    const quorum = quorumOf(voters.count)
    if (voters.healthy >= quorum) continue
    return atRisk(
      `${quorum} of ${voters.count} voters are needed ${when}, ${voters.healthy} are healthy: repair a member first`,
      facts,
    )
  }
  return undefined
}

function atRisk(message: string, facts: LeaderFacts): Refusal {
  return { problem: 'unhealthy-cluster', error: { code: 'QuorumAtRisk', message, configIndex: facts.configIndex } }
}

function healthy(voters: readonly MemberId[], facts: LeaderFacts): number {
  return voters.filter((id) => facts.answered.has(id)).length
}

function votersAfter(
  change: RequestedChange,
  facts: LeaderFacts,
): { readonly count: number; readonly healthy: number } {
  switch (change.kind) {
    case 'add':
      // Its process is not there yet, so it counts in the quorum only.
      return { count: facts.voters.length + Number(!change.isLearner), healthy: healthy(facts.voters, facts) }
    case 'promote': {
      const voters = [...facts.voters, change.memberId]
      return { count: voters.length, healthy: healthy(voters, facts) }
    }
    case 'remove': {
      const voters = facts.voters.filter((id) => id !== change.memberId)
      return { count: voters.length, healthy: healthy(voters, facts) }
    }
    default:
      return unreachable(change)
  }
}

function notAMember(id: MemberId, what: string, problem: NodeProblem): Refusal {
  return {
    problem,
    error: { code: 'NotFound', message: `there is no ${what} ${formatId(id)} in the configuration in force` },
  }
}
