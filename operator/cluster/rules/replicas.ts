/**
 * Which pods the StatefulSet must have: derived from the member list, the spec and the operation in flight, never from
 * how many pods there are. A StatefulSet has those of one range of ordinals. Pure.
 */
import {
  awaitsAdoption,
  awaitsRestore,
  formerOrdinals,
  isFilling,
  isFormed,
  memberOrdinals,
  type Observed,
} from '../observed.ts'
import type { PodRange } from '../resources/stateful-set.ts'

/**
 * Every member keeps its pod; ordinals that are to become members get theirs as soon as nothing old is in their place.
 * What a recovery gave up does not run: together former members might still form a quorum of the configuration that they
 * know.
 */
export function desiredPods(observed: Observed): PodRange {
  // Zero is the one count that takes pods from members: all of them, and none of their data.
  if (observed.cluster.spec.replicas === 0 || awaitsAdoption(observed) || awaitsRestore(observed))
    return { start: 0, end: 0 }
  const former = formerOrdinals(observed)
  const kept = [...memberOrdinals(observed)].filter((ordinal) => !former.has(ordinal))
  const below = [...former].filter((ordinal) => ordinal < Math.min(...kept))
  const start = Math.max(-1, ...below) + 1
  const target = observed.cluster.spec.replicas
  let end = Math.max(start, Math.max(-1, ...kept) + 1)
  while (end < target && !isOccupied(observed, end)) end += 1
  return { start, end }
}

/** What is left of an earlier member, or belongs to somebody else, must not become a new member's. */
function isOccupied(observed: Observed, ordinal: number): boolean {
  if (observed.foreignVolumes.has(ordinal) || formerOrdinals(observed).has(ordinal)) return true
  return isBeingEmptied(observed, ordinal) || isBeingFilled(observed, ordinal) || hasStaleVolume(observed, ordinal)
}

/** The member of this ordinal was removed, and its pod and volume go. */
function isBeingEmptied({ cluster }: Observed, ordinal: number): boolean {
  const operation = cluster.recorded.operation
  return operation?.type === 'ScaleDown' && operation.ordinal === ordinal
}

/** Its volume is getting the data of a backup: nobody may use it before. */
function isBeingFilled({ cluster }: Observed, ordinal: number): boolean {
  return isFilling(cluster) && cluster.recorded.operation?.ordinal === ordinal
}

/** A volume outside the StatefulSet that is no member's: from an earlier scale-down. Those of a recovery wait for more. */
export function hasStaleVolume(observed: Observed, ordinal: number): boolean {
  if (!isFormed(observed) || !observed.volumes.has(ordinal) || formerOrdinals(observed).has(ordinal)) return false
  const inUse = observed.objects.statefulSet?.endOrdinal ?? 0
  return ordinal >= inUse && !memberOrdinals(observed).has(ordinal)
}
