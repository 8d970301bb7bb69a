/**
 * Claims of volumes: how large they are, and who takes them along. With whenDeleted Delete the RaftCluster owns them: Kubernetes deletes
 * them after it, each once no pod uses it. A claim has no owner before the look after it was made, so as long as any is still to be made or
 * to get its owner a finalizer holds the RaftCluster. It goes then: a RaftCluster that has all it needs is deleted without an operator. Pure.
 */
import { FINALIZER } from '../../api/raft-cluster.ts'
import { parseQuantity } from '../../../lib/quantity.ts'
import { memberOrdinals, type Observed, type ObservedVolume } from '../observed.ts'
import type { Action } from '../plan.ts'
import { claimMarks, type ClaimMarks, ownerReference } from '../resources/names.ts'
import { wantedSize } from './autogrow.ts'
import { desiredPods } from './replicas.ts'

export function restoreFinalizer(observed: Observed): readonly Action[] {
  const { cluster } = observed
  const isWanted = goWithCluster(observed) && !isEachOwned(observed)
  if (isWanted === cluster.finalizers.includes(FINALIZER)) return []
  const others = cluster.finalizers.filter((name) => name !== FINALIZER)
  return [{ kind: 'set-finalizers', finalizers: isWanted ? [...others, FINALIZER] : others }]
}

/** Also those of pods that are to be made now: the finalizer comes before them. */
function isEachOwned(observed: Observed): boolean {
  const { volumes, objects } = observed
  const { start, end } = desiredPods(observed)
  const { endOrdinal = 0, podCount = 0 } = objects.statefulSet ?? {}
  const ordinals = [...ordinalsOf(start, end), ...ordinalsOf(endOrdinal - podCount, endOrdinal)]
  const isSafe = (volume: ObservedVolume | undefined): boolean => volume?.isOwned === true && !volume.isTerminating
  return ordinals.every((ordinal) => isSafe(volumes.get(ordinal))) && [...volumes.values()].every(isSafe)
}

function ordinalsOf(start: number, end: number): readonly number[] {
  return Array.from({ length: end - start }, (_, index) => start + index)
}

function goWithCluster({ cluster }: Observed): boolean {
  return cluster.spec.storage.retention.whenDeleted === 'Delete'
}

/** The claim template cannot change, so the claims themselves are resized, which they can be once they are bound. */
export function restoreClaims(observed: Observed): readonly Action[] {
  return [...observed.volumes.values()]
    .filter((volume) => !volume.isTerminating && isToWrite(observed, volume))
    .map((volume) => ({ kind: 'apply', object: claim(observed, volume) }))
}

function isToWrite(observed: Observed, volume: ObservedVolume): boolean {
  return isToResize(observed, volume) || volume.isOwned !== goWithCluster(observed) || !isMarked(observed, volume)
}

/** All that we say of it, since what an apply leaves out is taken back. */
function claim(observed: Observed, volume: ObservedVolume): Extract<Action, { kind: 'apply' }>['object'] {
  const { cluster } = observed
  const storage = isToResize(observed, volume) ? wantedSize(cluster) : volume.requestedSize
  const { controller: _, blockOwnerDeletion: __, ...owner } = ownerReference(cluster)
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: volume.name,
      namespace: cluster.namespace,
      ...marksOf(observed, volume),
      ownerReferences: goWithCluster(observed) ? [owner] : [],
    },
    ...(storage !== undefined && { spec: { resources: { requests: { storage } } } }),
  }
}

function isMarked(observed: Observed, volume: ObservedVolume): boolean {
  return volume.isMarked || hasOtherData(observed, volume)
}

function marksOf(observed: Observed, volume: ObservedVolume): ClaimMarks {
  const { cluster } = observed
  if (!hasOtherData(observed, volume)) return claimMarks(cluster)
  return claimMarks(cluster, volume.clusterID)
}

/** Of the cluster that a restore in place has replaced, or is about to make: what the claim says of its data stays true. */
function hasOtherData(observed: Observed, { ordinal, clusterID }: ObservedVolume): boolean {
  const { recorded } = observed.cluster
  return clusterID !== undefined && clusterID !== recorded.clusterID && !memberOrdinals(observed).has(ordinal)
}

/** What was asked for and not granted is taken back as far as Kubernetes takes it: to more than a volume has. */
function isToResize({ cluster }: Observed, { capacity, requestedSize }: ObservedVolume): boolean {
  const size = wantedSize(cluster)
  const isTakenBack = isSmaller(size, requestedSize ?? size) && isSmaller(capacity, size)
  return capacity !== undefined && (isSmaller(requestedSize, size) || isTakenBack)
}

export function isSmaller(present: string | undefined, wanted: string): boolean {
  const now = present === undefined ? undefined : parseQuantity(present)
  return now !== undefined && now < (parseQuantity(wanted) ?? 0)
}
