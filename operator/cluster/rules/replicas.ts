/**
 * How many pods the StatefulSet must have: derived from the member list, the spec and the operation in flight, never
 * from how many pods there are. Pure.
 */
import { isFormed, memberOrdinals, type Observed } from '../observed.ts'

/** Every member keeps its pod; ordinals that are to become members get theirs as soon as nothing old is in their place. */
export function desiredReplicas(observed: Observed): number {
  // Zero is the one count that takes pods from members: all of them, and none of their data.
  if (observed.cluster.spec.replicas === 0) return 0
  const kept = highestMember(observed) + 1
  const target = observed.cluster.spec.replicas
  for (let ordinal = kept; ordinal < target; ordinal++) {
    if (isOccupied(observed, ordinal)) return ordinal
  }
  return Math.max(kept, target)
}

function highestMember(observed: Observed): number {
  return Math.max(-1, ...memberOrdinals(observed))
}

/** What is left of an earlier member, or belongs to somebody else, must not become a new member's. */
function isOccupied(observed: Observed, ordinal: number): boolean {
  if (observed.foreignVolumes.has(ordinal)) return true
  return isBeingEmptied(observed, ordinal) || hasStaleVolume(observed, ordinal)
}

/** The member of this ordinal was removed, and its pod and volume go. */
function isBeingEmptied({ cluster }: Observed, ordinal: number): boolean {
  const operation = cluster.recorded.operation
  return operation?.type === 'ScaleDown' && operation.ordinal === ordinal
}

/** A volume outside the StatefulSet that is no member's: from an earlier scale-down. */
export function hasStaleVolume(observed: Observed, ordinal: number): boolean {
  if (!isFormed(observed) || !observed.volumes.has(ordinal)) return false
  const inUse = observed.objects.statefulSet?.replicas ?? 0
  return ordinal >= inUse && !memberOrdinals(observed).has(ordinal)
}
