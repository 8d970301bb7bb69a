/** The highest ordinal beyond the wanted ones goes: leadership moves away first, then the member is removed. Pure. */
import type { Observed } from '../observed.ts'
import type { Plan } from '../plan.ts'
import { hasOrdinal, removeMember } from './removal.ts'
import { moveLeader } from './transfer.ts'

export function scaleDown(observed: Observed): Plan | undefined {
  const { cluster, membership, volumes } = observed
  if (membership?.leader === undefined) return undefined
  const member = membership.members
    .filter(hasOrdinal)
    .filter(({ ordinal }) => ordinal >= cluster.spec.replicas)
    .toSorted((a, b) => b.ordinal - a.ordinal)[0]
  if (member === undefined) return undefined
  if (membership.leader.memberId === member.id) {
    return moveLeader(observed, membership, {
      type: 'ScaleDown',
      reason: 'ScalingDown',
      leaving: member,
      isPreferred: ({ ordinal }) => (ordinal ?? 0) < cluster.spec.replicas,
      volumeUID: volumes.get(member.ordinal)?.uid ?? '',
    })
  }
  return removeMember(observed, membership, {
    type: 'ScaleDown',
    reason: 'ScalingDown',
    why: `${member.name} is beyond the ${cluster.spec.replicas} wanted members`,
    member,
    volumeUID: volumes.get(member.ordinal)?.uid ?? '',
  })
}
