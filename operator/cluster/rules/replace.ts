/**
 * A member that is to be replaced in place, volume and all: leadership moves away, its ID is removed, volume and pod go
 * (cleanup.ts), and the new pod of that ordinal joins as a learner. Somebody asks for it by annotation, or spec.repair
 * allows it for a member that stays away. Pure.
 */
import type { Membership, Observed, ObservedMember } from '../observed.ts'
import type { Plan } from '../plan.ts'
import { hasOrdinal, removeMember } from './removal.ts'
import { moveLeader } from './transfer.ts'

type OwnMember = ObservedMember & { readonly ordinal: number }

interface Replacement {
  readonly member: OwnMember
  readonly why: string
  readonly request: string
}

export function replaceMember(observed: Observed): Plan | undefined {
  const { membership, volumes } = observed
  if (membership?.leader === undefined) return undefined
  const replacement = requested(observed, membership) ?? unhealthy(observed, membership)
  if (replacement === undefined) return undefined
  const { member, why, request } = replacement
  const volumeUID = volumes.get(member.ordinal)?.uid ?? ''
  const shared = { type: 'ReplaceMember', reason: 'ReplacingMember', volumeUID, request } as const
  const plan =
    membership.leader.memberId === member.id
      ? moveLeader(observed, membership, { ...shared, leaving: member, isPreferred: () => true })
      : removeMember(observed, membership, { ...shared, why, member })
  // What was begun is finished; what cannot be begun now holds up nothing.
  return { ...plan, yields: plan.isBlocked && observed.cluster.recorded.operation?.type !== 'ReplaceMember' }
}

/** Why a replacement that is asked for is answered with no, once and for all; undefined when it is not. */
export function replacementRefusal({ cluster, membership }: Observed): string | undefined {
  const request = cluster.requests.replaceMember
  if (request === undefined || membership?.leader === undefined) return undefined
  const { handledRequests } = cluster.recorded
  const member = memberNamed(membership, request)
  const isOnly = membership.voters.length === 1 && member?.id === membership.voters[0]
  if (!isOnly || handledRequests.replaceMember === request) return undefined
  return `${request} is the only voter, and no other has its data. Scale up first (spec.replicas), then ask again`
}

/** By the name of its pod or by its ID. */
export function memberNamed({ members }: Membership, name: string): ObservedMember | undefined {
  return members.find((member) => member.name === name || member.id === name)
}

function requested(observed: Observed, membership: Membership): Replacement | undefined {
  const { cluster } = observed
  const request = cluster.requests.replaceMember
  if (request === undefined) return undefined
  const { operation, handledRequests } = cluster.recorded
  const member = memberNamed(membership, request)
  if (member === undefined || !hasOrdinal(member) || member.ordinal >= cluster.spec.replicas) return undefined
  if (replacementRefusal(observed) !== undefined) return undefined
  // The name is soon another member's: what was begun for this one is not begun again for that one.
  const isBegun = operation?.request === request && operation.memberID === member.id
  if (handledRequests.replaceMember === request && !isBegun) return undefined
  return { member, why: `the replacement of ${member.name} was requested`, request }
}

function unhealthy({ cluster, nowMs }: Observed, membership: Membership): Replacement | undefined {
  const { enabled, allowVolumeReplacement, unhealthyAfterSeconds } = cluster.spec.repair
  if (!enabled || !allowVolumeReplacement) return undefined
  const sinceMs = new Map(
    cluster.recorded.members.map(({ id, unhealthySince }) => [id, Date.parse(unhealthySince ?? '')]),
  )
  const member = membership.members
    .filter(hasOrdinal)
    .filter(({ id, ordinal }) => ordinal < cluster.spec.replicas && !membership.activeIds.has(id))
    .find(({ id }) => nowMs - (sinceMs.get(id) ?? Number.NaN) >= unhealthyAfterSeconds * 1000)
  if (member === undefined) return undefined
  return { member, why: `${member.name} has not been heard from for ${unhealthyAfterSeconds} s`, request: '' }
}
