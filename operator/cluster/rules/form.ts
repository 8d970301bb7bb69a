/**
 * Forming: one seed, ordinal 0, becomes the whole cluster; the others join it. The cluster ID is recorded first, so that
 * the operator uses the same one after a crash. Once anything shows that the cluster was formed, this rule never applies
 * again: an empty disk never forms a second cluster. Pure.
 */
import { because } from '../causes.ts'
import { isFormed, type Observed, podsWithForeignData } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { blocked, IN_FLIGHT_MS, inFlight, type Plan, waiting } from '../plan.ts'
import { names, peerUrl } from '../resources/names.ts'
import { adopt } from './adopt.ts'
import { restore } from './restore.ts'

const SEED = 0

export function form(observed: Observed): Plan | undefined {
  if (isFormed(observed)) return undefined
  const { cluster, foreignVolumes, pods } = observed
  const { clusterID, operation } = cluster.recorded
  const adopting = adopt(observed)
  if (adopting !== undefined) return adopting
  const inPlace = [...foreignVolumes].filter(([ordinal]) => ordinal < cluster.spec.replicas).map(([, name]) => name)
  if (inPlace.length > 0) return foreignVolume(inPlace, observed)
  const foreign = podsWithForeignData(observed)[0]
  if (foreign !== undefined) {
    return blocked(
      'ClusterIDMismatch',
      `${foreign.name} has data of cluster ${foreign.status?.clusterId}: this cluster is not formed over it`,
    )
  }
  if (clusterID === '') {
    return {
      ...waiting('Forming', 'the cluster gets its ID'),
      actions: [{ kind: 'mint-cluster-id' }],
      requeueAfterMs: IN_FLIGHT_MS,
    }
  }
  const volume = observed.volumes.get(SEED)
  // During a restore the volume exists already; otherwise it may be created with the pod.
  const isLost = volume === undefined ? operation?.step === 'Restore' : volume.uid !== operation?.volumeUID
  if (operation?.type === 'Form' && isLost) return seedLost(observed)
  const restoring = restore(observed)
  if (restoring !== undefined) return restoring
  const seed = pods.get(SEED)
  const isWaiting = seed?.status?.role === 'waiting' && !seed.isTerminating
  if (isWaiting && cluster.spec.bootstrap !== undefined) return seedLost(observed)
  if (!isWaiting || seed.adminUrl === undefined || volume === undefined) {
    return waiting('Forming', because(observed, [SEED], `waits for ${names.pod(cluster, SEED)} to start`), operation)
  }
  const next = newOperation(observed, {
    type: 'Form',
    step: 'Bootstrap',
    ordinal: SEED,
    verb: 'bootstrap',
    subject: clusterID,
    volumeUID: volume.uid,
  })
  const member = { name: seed.name, peerURLs: [peerUrl(cluster, SEED)] }
  const request = { operationId: next.id, clusterId: clusterID, expectedConfigIndex: 0, member }
  return inFlight('Forming', `${seed.name} becomes the first member`, next, [
    { kind: 'record-operation', operation: next },
    { kind: 'bootstrap', url: seed.adminUrl, request },
  ])
}

export function foreignVolume(inPlace: readonly string[], { cluster }: Observed): Plan {
  return blocked(
    'ForeignVolume',
    `PersistentVolumeClaim ${inPlace.join(', ')} has data that is not this cluster's: delete it, or give the RaftCluster another name; bootstrap.adopt takes over what a deleted RaftCluster of this name left`,
    cluster.recorded.operation,
  )
}

/** It is not known whether the seed was formed before its volume was lost; a second cluster with the same ID would be worse. */
function seedLost({ cluster }: Observed): Plan {
  return blocked(
    'SeedVolumeLost',
    'the first member’s volume was replaced while the cluster was being formed: delete the RaftCluster and create it again',
    cluster.recorded.operation,
  )
}
