/**
 * Whether the leader may propose a membership change now. Pure. A refusal says what stands against it, so that the
 * caller can decide anew; what passes here is checked again when it is applied, which is where it counts.
 */
import type { AdminError } from '../../lib/admin-api.ts'
import { formatId, type LogIndex, type MemberId } from '../../lib/ids.ts'
import { unreachable } from '../../lib/assert.ts'

export type RequestedChange =
  | { readonly kind: 'add-learner'; readonly peerURLs: readonly string[] }
  | { readonly kind: 'promote'; readonly memberId: MemberId; readonly maxLagEntries: number }
  | { readonly kind: 'remove'; readonly memberId: MemberId }

export interface LeaderFacts {
  readonly configIndex: LogIndex
  /** A change is proposed and not applied, or the configuration is joint. */
  readonly isChangePending: boolean
  readonly voters: readonly MemberId[]
  readonly learners: readonly MemberId[]
  /** Members heard from within an election timeout, the leader among them. */
  readonly active: ReadonlySet<MemberId>
  readonly lastIndex: LogIndex
  readonly matchIndex: ReadonlyMap<MemberId, LogIndex>
  /** Peer URLs of the members there are, by member. */
  readonly peerURLs: ReadonlyMap<MemberId, readonly string[]>
}

/** etcd's default: more learners would slow the leader without making anything safer. */
export const MAX_LEARNERS = 1

export function quorumOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1
}

/** `expectedConfigIndex` undefined: the caller decides on whatever is in force (etcd's Cluster API has no fence). */
export function refuse(
  change: RequestedChange,
  expectedConfigIndex: LogIndex | undefined,
  facts: LeaderFacts,
): AdminError | undefined {
  if (expectedConfigIndex !== undefined && expectedConfigIndex !== facts.configIndex)
    return staleFence(expectedConfigIndex, facts.configIndex)
  if (facts.isChangePending) {
    return {
      code: 'ChangeInFlight',
      message: 'another membership change is in flight: wait until it is applied, then decide on the new configuration',
      configIndex: facts.configIndex,
    }
  }
  return refuseTarget(change, facts) ?? refuseQuorum(change, facts)
}

export function staleFence(expected: LogIndex, current: LogIndex): AdminError {
  return {
    code: 'ConfigIndexStale',
    message: `decided on the configuration of index ${expected}, but the one of index ${current} is in force: read the status and decide anew`,
    configIndex: current,
  }
}

function refuseTarget(change: RequestedChange, facts: LeaderFacts): AdminError | undefined {
  switch (change.kind) {
    case 'add-learner': {
      const taken = change.peerURLs.find((url) => [...facts.peerURLs.values()].some((urls) => urls.includes(url)))
      if (taken !== undefined)
        return { code: 'Conflict', message: `a member with the peer URL ${taken} exists already` }
      if (facts.learners.length < MAX_LEARNERS) return undefined
      return {
        code: 'Conflict',
        message: `there is a learner already (${facts.learners.map(formatId).join(', ')}): promote or remove it first`,
      }
    }
    case 'promote': {
      if (!facts.learners.includes(change.memberId)) return notAMember(change.memberId, 'learner')
      const match = facts.matchIndex.get(change.memberId) ?? 0
      const lag = facts.lastIndex - match
      if (match > 0 && lag <= change.maxLagEntries) return undefined
      return {
        code: 'LearnerLagging',
        message: `the learner is ${lag} entries behind, at most ${change.maxLagEntries} are allowed`,
        lag,
      }
    }
    case 'remove':
      return facts.voters.includes(change.memberId) || facts.learners.includes(change.memberId)
        ? undefined
        : notAMember(change.memberId, 'member')
    default:
      return unreachable(change)
  }
}

/** The old voters must commit the change, and those after it must be able to go on. */
function refuseQuorum(change: RequestedChange, facts: LeaderFacts): AdminError | undefined {
  const after = votersAfter(change, facts.voters)
  if (after.length === 0) {
    return {
      code: 'QuorumAtRisk',
      message: 'this is the last voter: without it there is no cluster. Delete the cluster instead',
    }
  }
  for (const [voters, when] of [
    [facts.voters, 'to commit the change'],
    [after, 'after the change'],
  ] as const) {
    const healthy = voters.filter((id) => facts.active.has(id)).length
    const quorum = quorumOf(voters.length)
    if (healthy >= quorum) continue
    return {
      code: 'QuorumAtRisk',
      message: `${quorum} of ${voters.length} voters are needed ${when}, ${healthy} are healthy: repair a member first`,
      configIndex: facts.configIndex,
    }
  }
  return undefined
}

function votersAfter(change: RequestedChange, voters: readonly MemberId[]): readonly MemberId[] {
  switch (change.kind) {
    case 'add-learner':
      return voters
    case 'promote':
      return [...voters, change.memberId]
    case 'remove':
      return voters.filter((id) => id !== change.memberId)
    default:
      return unreachable(change)
  }
}

function notAMember(id: MemberId, what: string): AdminError {
  return { code: 'NotFound', message: `there is no ${what} ${formatId(id)} in the configuration in force` }
}
