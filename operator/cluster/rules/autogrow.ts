/**
 * spec.storage.autogrow: once a member's volume is so full, all volumes are to be larger by a step, up to a maximum. spec.storage.size is left
 * alone: what is wanted beyond it stands in status. One step at a time: the next one is decided once every volume has the one before.
 *
 * Where the API server refuses to let a claim grow, as for a StorageClass without expansion, that is told, and not tried again
 * before somebody edits the spec. Pure.
 */
import { parseQuantity, quantityOf } from '../../../lib/quantity.ts'
import { timestamp } from '../../api/conditions.ts'
import { percentOf, type VolumeGrowth } from '../../api/maintenance.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { Refusal } from '../../api/status.ts'
import type { Observed } from '../observed.ts'
import { storeOf, votersIn } from './store-room.ts'

/** A claim is refused for so long before its growth is given up: a webhook may be away for a moment. */
const GIVE_UP_MS = 60_000
/** A volume may take so long to grow before nobody counts on it. */
const GROW_MS = 10 * 60_000
/** Of the size that the claim has, a file system shows at least so much once it has grown. */
const SHOWN_SHARE = 0.8

/** What every volume is to have. */
export function wantedSize({ spec, recorded, generation }: RaftCluster): string {
  const { size, autogrow } = spec.storage
  const growth = recorded.volumeGrowth
  if (autogrow === undefined || growth === undefined || isGivenUp(growth, generation)) return size
  return largest([size, smallest([growth.size, autogrow.to])])
}

/** After this look; undefined while spec.storage.size is enough. */
export function growthAfter(observed: Observed, refusals: readonly Refusal[]): VolumeGrowth | undefined {
  const { cluster, nowMs } = observed
  const { autogrow } = cluster.spec.storage
  const { volumeGrowth: known } = cluster.recorded
  if (autogrow === undefined) return undefined
  if (known !== undefined && isGivenUp(known, cluster.generation)) return known
  const growth = known && { size: known.size, since: known.since }
  const refused = refusals.find(
    ({ subject, since }) =>
      subject.startsWith('PersistentVolumeClaim ') && nowMs - Date.parse(since) >= GIVE_UP_MS && isGrowing(observed),
  )
  if (growth !== undefined && refused !== undefined)
    return { ...growth, refusal: refused.message, refusedGeneration: cluster.generation }
  const next = isGrowing(observed) || fullest(observed) === undefined ? undefined : nextSize(observed)
  return next === undefined ? growth : { size: next, since: timestamp(nowMs) }
}

/** Why the volumes do not grow though one is full; undefined where nothing is wrong. */
export function growthProblem(observed: Observed): string | undefined {
  const { cluster } = observed
  const { autogrow } = cluster.spec.storage
  const growth = cluster.recorded.volumeGrowth
  if (autogrow === undefined) return undefined
  if (growth !== undefined && isGivenUp(growth, cluster.generation))
    return `volumes should grow to ${growth.size} and cannot: ${growth.refusal}. It is tried again once spec.storage is edited; a StorageClass needs allowVolumeExpansion`
  const full = fullest(observed)
  if (full === undefined || isGrowing(observed) || nextSize(observed) !== undefined) return undefined
  return `the volume of ${full} is full to more than ${autogrow.whenFull}, and it has reached spec.storage.autogrow.to (${autogrow.to}): raise it, or delete keys`
}

/** A full disk is about to be a larger one. */
export function canGrow(observed: Observed): boolean {
  const { cluster } = observed
  const growth = cluster.recorded.volumeGrowth
  if (cluster.spec.storage.autogrow === undefined) return false
  if (growth !== undefined && isGivenUp(growth, cluster.generation)) return false
  if (isGrowing(observed)) return observed.nowMs - Date.parse(growth?.since ?? '') < GROW_MS
  return fullest(observed) !== undefined && nextSize(observed) !== undefined
}

function isGivenUp({ refusedGeneration }: VolumeGrowth, generation: number): boolean {
  return refusedGeneration === generation
}

/** Some volume does not have yet what it is to have, or its file system does not show it. */
function isGrowing(observed: Observed): boolean {
  const { cluster, volumes, membership } = observed
  const wanted = bytesOf(wantedSize(cluster))
  const isBehind = [...volumes.values()].some(
    ({ ordinal, capacity }) => ordinal < cluster.spec.replicas && bytesOf(capacity) < wanted,
  )
  if (isBehind || membership === undefined) return true
  return votersIn(membership).some((member) => {
    const store = storeOf(observed, member)
    return store !== undefined && store.volumeBytes < SHOWN_SHARE * bytesOf(volumes.get(member.ordinal)?.capacity)
  })
}

/** Name of a member whose volume is so full that it is to grow. */
function fullest(observed: Observed): string | undefined {
  const { cluster, membership } = observed
  const { autogrow } = cluster.spec.storage
  if (autogrow === undefined || membership?.leader === undefined) return undefined
  return votersIn(membership).find((member) => {
    const store = storeOf(observed, member)
    if (store === undefined || store.volumeBytes === 0) return false
    const takenBytes = store.volumeBytes - store.volumeFreeBytes
    return takenBytes * 100 >= percentOf(autogrow.whenFull) * store.volumeBytes
  })?.name
}

/** Undefined where all have the most that they may. */
function nextSize({ cluster, volumes }: Observed): string | undefined {
  const { autogrow } = cluster.spec.storage
  if (autogrow === undefined) return undefined
  const capacities = [...volumes.values()].flatMap(({ ordinal, capacity }) =>
    ordinal < cluster.spec.replicas && capacity !== undefined ? [capacity] : [],
  )
  const presentBytes = bytesOf(largest([wantedSize(cluster), ...capacities]))
  const nextBytes = Math.min(bytesOf(autogrow.to), presentBytes + bytesOf(autogrow.by))
  return nextBytes > presentBytes ? quantityOf(nextBytes) : undefined
}

function bytesOf(quantity: string | undefined): number {
  return parseQuantity(quantity ?? '') ?? 0
}

function largest(quantities: readonly [string, ...string[]]): string {
  return quantities.reduce((a, b) => (bytesOf(b) > bytesOf(a) ? b : a))
}

function smallest(quantities: readonly [string, ...string[]]): string {
  return quantities.reduce((a, b) => (bytesOf(b) < bytesOf(a) ? b : a))
}
