/** Removing a member, by its ID and never by count, only when a quorum stays. Pure. */
import type { Operation } from '../../api/status.ts'
import type { Membership, Observed, ObservedMember } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { blocked, inFlight, type Plan } from '../plan.ts'
import { canRemove, healthyVoters, quorumOf } from '../safety.ts'

export interface Removal {
  readonly type: Operation['type']
  readonly reason: string
  readonly why: string
  readonly member: ObservedMember & { readonly ordinal: number }
  /** Volume to delete once the removal is confirmed; empty when none is. */
  readonly volumeUID: string
  readonly request?: string
}

export function removeMember(observed: Observed, membership: Membership, removal: Removal): Plan {
  const { member, type, reason, why, volumeUID, request: asked } = removal
  const { leader, configIndex, voters } = membership
  if (leader === undefined || !canRemove(membership, member.id)) {
    const healthy = healthyVoters(membership).length
    return blocked(
      'QuorumAtRisk',
      `${why}, but ${healthy} of ${voters.length} voters are healthy and ${quorumOf(voters.length)} are needed: repair a member first`,
      observed.cluster.recorded.operation,
    )
  }
  const operation = newOperation(observed, {
    type,
    step: 'RemoveMember',
    ordinal: member.ordinal,
    verb: 'remove',
    subject: member.id,
    memberID: member.id,
    volumeUID,
    ...(asked !== undefined && { request: asked }),
  })
  const request = {
    kind: 'remove',
    operationId: operation.id,
    expectedConfigIndex: configIndex,
    memberId: member.id,
  } as const
  return inFlight(reason, `${why}: member ${member.id} is removed`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'change-membership', url: leader.adminUrl, request },
  ])
}

export function hasOrdinal(member: ObservedMember): member is ObservedMember & { readonly ordinal: number } {
  return member.ordinal !== undefined
}
