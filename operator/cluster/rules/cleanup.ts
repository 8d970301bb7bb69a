/** What follows a removal, once the member list confirms it: the pod goes, then its volume. Pure. */
import { unreachable } from '../../../lib/assert.ts'
import type { Operation } from '../../api/status.ts'
import type { Observed, ObservedVolume } from '../observed.ts'
import { memberOrdinals } from '../observed.ts'
import { type Action, inFlight, type Plan, waiting } from '../plan.ts'
import { podsOf } from '../refusals.ts'
import { names, podRef, volumeRef } from '../resources/names.ts'
import { hasStaleVolume } from './replicas.ts'

/** Finishes the operation in flight when its member is gone from the member list. */
export function finishRemoval(observed: Observed): Plan | undefined {
  const operation = observed.cluster.recorded.operation
  if (operation === undefined || memberOrdinals(observed).has(operation.ordinal)) return undefined
  switch (operation.type) {
    case 'ScaleDown':
      return finishScaleDown(observed, operation)
    case 'ReplaceMember':
      return operation.ordinal < observed.cluster.spec.replicas ? emptyInPlace(observed, operation) : undefined
    case 'Form':
    case 'ScaleUp':
    case 'Rollout':
    case 'MoveLeader':
    case 'Recover':
    case 'Defragment':
    case 'ReclaimSpace':
      return undefined
    default:
      return unreachable(operation.type)
  }
}

function finishScaleDown(observed: Observed, operation: Operation): Plan | undefined {
  const { objects, pods, volumes, cluster } = observed
  const { ordinal } = operation
  // While a higher ordinal is a member, this one's pod cannot go: deleteStaleVolumes follows when it is gone.
  if ([...memberOrdinals(observed)].some((other) => other > ordinal)) return undefined
  if (pods.has(ordinal) || (objects.statefulSet?.endOrdinal ?? 0) > ordinal) {
    const message = `member ${operation.memberID} is removed, its pod ${names.pod(cluster, ordinal)} stops`
    const plan = inFlight('ScalingDown', message, { ...operation, step: 'RemovePod' }, [])
    const isStuck = pods.get(ordinal)?.stuck !== undefined
    return { ...plan, waitsFor: podsOf(cluster), yields: isStuck }
  }
  const volume = volumes.get(ordinal)
  const isToGo = cluster.spec.storage.retention.whenScaled === 'Delete' && volume?.uid === operation.volumeUID
  if (volume === undefined || !isToGo) return undefined
  const message = `the volume of the removed member ${operation.memberID} is deleted`
  const plan = inFlight('ScalingDown', message, { ...operation, step: 'DeleteVolume' }, deleteVolume(observed, volume))
  return { ...plan, yields: volume.stuck !== undefined }
}

/** A StatefulSet cannot leave an ordinal out, so pod and volume are recreated in their place. */
function emptyInPlace(observed: Observed, operation: Operation): Plan | undefined {
  const { pods, volumes, cluster } = observed
  const pod = pods.get(operation.ordinal)
  const volume = volumes.get(operation.ordinal)
  if (volume === undefined || volume.uid !== operation.volumeUID) return undefined
  const message = `${names.pod(cluster, operation.ordinal)} starts again with an empty volume`
  const isStuck = pod?.stuck !== undefined || volume.stuck !== undefined
  const plan = inFlight('ReplacingMember', message, { ...operation, step: 'DeleteVolume' }, [
    ...deleteVolume(observed, volume),
    ...(pod === undefined || pod.isTerminating
      ? []
      : [{ kind: 'delete-object', ref: podRef(cluster, pod.name), uid: pod.uid } as const]),
  ])
  return { ...plan, yields: isStuck }
}

export function deleteVolume({ cluster }: Observed, volume: ObservedVolume): readonly Action[] {
  if (volume.isTerminating) return []
  const { name, uid, ordinal } = volume
  return [{ kind: 'delete-volume', ref: volumeRef(cluster, name), uid, ordinal }]
}

/** Volumes that no member and no pod uses, where they are not to be kept. */
export function deleteStaleVolumes(observed: Observed): Plan | undefined {
  const { cluster, volumes, pods, objects } = observed
  if (cluster.spec.storage.retention.whenScaled === 'Retain' || objects.statefulSet === undefined) return undefined
  const stale = [...volumes.values()].filter(({ ordinal }) => hasStaleVolume(observed, ordinal) && !pods.has(ordinal))
  if (stale.length === 0) return undefined
  const list = stale.map(({ name }) => name).join(', ')
  const plan = waiting('DeletingVolumes', `volumes of removed members are deleted: ${list}`)
  const isStuck = stale.some(({ stuck }) => stuck !== undefined)
  return { ...plan, actions: stale.flatMap((volume) => deleteVolume(observed, volume)), yields: isStuck }
}
