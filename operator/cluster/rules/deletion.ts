/** A RaftCluster that is being deleted. Its objects go by owner references; only volumes need the operator. Pure. */
import { FINALIZER } from '../../api/raft-cluster.ts'
import type { Observed } from '../observed.ts'
import { type Action, type Plan, waiting } from '../plan.ts'
import { controllerOf, names, volumeRef } from '../resources/names.ts'

export function deletion(observed: Observed): Plan | undefined {
  const { cluster } = observed
  if (!cluster.isBeingDeleted) return undefined
  const plan = waiting('Deleting', 'the RaftCluster is being deleted', cluster.recorded.operation)
  if (!cluster.finalizers.includes(FINALIZER)) return plan
  const isOver = cluster.spec.storage.retention.whenDeleted === 'Retain' || isEmpty(observed)
  const finalizers = cluster.finalizers.filter((name) => name !== FINALIZER)
  if (isOver) return { ...plan, actions: [{ kind: 'set-finalizers', finalizers }] }
  return { ...plan, message: 'members are stopped, then their volumes are deleted', actions: stopThenDelete(observed) }
}

function isEmpty({ objects, pods, volumes, cluster }: Observed): boolean {
  const { statefulSet } = objects
  const isStopped = statefulSet === undefined || controllerOf(statefulSet.object) !== cluster.uid
  return isStopped && pods.size === 0 && volumes.size === 0
}

/** Volumes go after the pods: until then a member may still write, and a StatefulSet would recreate them. */
function stopThenDelete({ objects, pods, volumes, cluster }: Observed): readonly Action[] {
  const { statefulSet } = objects
  if (statefulSet !== undefined && controllerOf(statefulSet.object) === cluster.uid) {
    if (statefulSet.object.metadata.deletionTimestamp !== undefined) return []
    const name = names.statefulSet(cluster)
    const ref = { apiVersion: 'apps/v1', kind: 'StatefulSet', namespace: cluster.namespace, name }
    return [{ kind: 'delete-object', ref, uid: statefulSet.uid }]
  }
  if (pods.size > 0) return []
  return [...volumes.values()]
    .filter(({ isTerminating }) => !isTerminating)
    .map(({ name, uid, ordinal }) => ({ kind: 'delete-volume', ref: volumeRef(cluster, name), uid, ordinal }))
}
