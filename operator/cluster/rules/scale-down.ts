/** The highest ordinal beyond the wanted ones goes: leadership moves away first, then the member is removed. Pure. */
import type { Membership, Observed, ObservedMember } from '../observed.ts'
import { isOverdue, newOperation } from '../operation.ts'
import { blocked, inFlight, type Plan } from '../plan.ts'
import { hasOrdinal, removeMember } from './removal.ts'

export function scaleDown(observed: Observed): Plan | undefined {
  const { cluster, membership, volumes } = observed
  if (membership?.leader === undefined) return undefined
  const member = membership.members
    .filter(hasOrdinal)
    .filter(({ ordinal }) => ordinal >= cluster.spec.replicas)
    .toSorted((a, b) => b.ordinal - a.ordinal)[0]
  if (member === undefined) return undefined
  if (membership.leader.memberId === member.id) return moveLeader(observed, membership, member)
  return removeMember(observed, membership, {
    type: 'ScaleDown',
    reason: 'ScalingDown',
    why: `${member.name} is beyond the ${cluster.spec.replicas} wanted members`,
    member,
    volumeUID: volumes.get(member.ordinal)?.uid ?? '',
  })
}

function moveLeader(
  observed: Observed,
  membership: Membership,
  member: ObservedMember & { readonly ordinal: number },
): Plan {
  const { cluster, nowMs, volumes } = observed
  const { leader, term, configIndex } = membership
  const candidates = successors(observed, membership, member)
  const recorded = cluster.recorded.operation
  const attempts = recorded?.step === 'TransferLeader' && recorded.ordinal === member.ordinal ? recorded.attempts : 0
  const target = candidates[attempts % Math.max(1, candidates.length)]
  if (target === undefined || leader === undefined) {
    return blocked(
      'NoSuccessor',
      `${member.name} leads and no healthy voter can take over: repair a member first`,
      recorded,
    )
  }
  const operation = newOperation(observed, {
    type: 'ScaleDown',
    step: 'TransferLeader',
    ordinal: member.ordinal,
    verb: 'transfer',
    subject: `${target.id}:${term}:${attempts}`,
    memberID: member.id,
    volumeUID: volumes.get(member.ordinal)?.uid ?? '',
    deadlineSeconds: cluster.spec.scaling.leaderTransferTimeoutSeconds,
  })
  const late = isOverdue(operation, nowMs) ? ', which takes longer than it should' : ''
  const request = { operationId: operation.id, expectedConfigIndex: configIndex, memberId: target.id }
  return inFlight(
    'ScalingDown',
    `leadership moves from ${member.name} to ${target.name}${late}`,
    { ...operation, attempts },
    [
      { kind: 'record-operation', operation: { ...operation, attempts } },
      { kind: 'transfer-leader', url: leader.adminUrl, request },
    ],
  )
}

/** Healthy voters that stay, the most caught-up first: it can lead at once. */
function successors({ cluster }: Observed, membership: Membership, leaving: ObservedMember): readonly ObservedMember[] {
  const stays = (member: ObservedMember): boolean => (member.ordinal ?? 0) < cluster.spec.replicas
  const matchIndex = (member: ObservedMember): number => membership.peers.get(member.id)?.matchIndex ?? 0
  const voters = membership.members.filter(
    ({ id }) => id !== leaving.id && membership.voters.includes(id) && membership.activeIds.has(id),
  )
  const staying = voters.filter(stays)
  return (staying.length > 0 ? staying : voters).toSorted((a, b) => matchIndex(b) - matchIndex(a))
}
