/** A lost pod comes back as itself; a member whose volume was lost cannot: its ID is removed, the pod joins again. Pure. */
import type { Membership, Observed, ObservedMember } from '../observed.ts'
import type { Plan } from '../plan.ts'
import { hasOrdinal, removeMember } from './removal.ts'

export function heal(observed: Observed): Plan | undefined {
  const { membership, pods, cluster } = observed
  if (membership === undefined || !cluster.spec.repair.enabled) return undefined
  for (const member of membership.members.filter(hasOrdinal)) {
    const pod = pods.get(member.ordinal)
    if (pod?.status?.role !== 'waiting' || pod.isTerminating || !wasMember(membership, member)) continue
    return removeMember(observed, membership, {
      type: 'ReplaceMember',
      reason: 'ReplacingMember',
      why: `${pod.name} lost its volume`,
      member,
      volumeUID: '', // the volume that is there now is new
    })
  }
  return undefined
}

/** It had data of the cluster; a learner without any waits because it has not been told to join. */
function wasMember(membership: Membership, member: ObservedMember): boolean {
  return !member.isLearner || (membership.peers.get(member.id)?.matchIndex ?? 0) > 0
}
