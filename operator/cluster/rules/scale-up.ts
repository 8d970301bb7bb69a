/** The lowest ordinal that is to be a member and is none is added as a learner, one at a time. Pure. */
import { because } from '../causes.ts'
import type { Membership, Observed, ObservedPod } from '../observed.ts'
import { memberOrdinals } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { blocked, inFlight, type Plan, waiting } from '../plan.ts'
import { names, peerUrl } from '../resources/names.ts'
import { deleteVolume } from './cleanup.ts'
import { foreignVolume } from './form.ts'
import { desiredPods, hasStaleVolume } from './replicas.ts'

export function scaleUp(observed: Observed): Plan | undefined {
  const { cluster, membership, pods, volumes, foreignVolumes } = observed
  if (membership === undefined) return undefined
  const members = memberOrdinals(observed)
  // After a recovery the places nearest to the survivor come first.
  const { start } = desiredPods(observed)
  const ordinal = Array.from({ length: cluster.spec.replicas }, (_, index) => index).find(
    (index) => index >= start && !members.has(index),
  )
  if (ordinal === undefined) return start === 0 ? undefined : awaitFormer(names.pod(cluster, start - 1))
  const foreign = foreignVolumes.get(ordinal)
  if (foreign !== undefined) return foreignVolume([foreign], observed)
  const pod = pods.get(ordinal)
  const volume = volumes.get(ordinal)
  const name = names.pod(cluster, ordinal)
  if (volume !== undefined && hasStaleVolume(observed, ordinal)) {
    const plan = waiting(
      'ScalingUp',
      `${volume.name} is left over from an earlier member and is deleted before ${name} starts`,
    )
    return { ...plan, actions: pod === undefined ? deleteVolume(observed, volume) : [] }
  }
  const pending = cluster.recorded.operation?.type === 'ScaleUp' ? cluster.recorded.operation : undefined
  const operation = pending?.ordinal === ordinal ? pending : undefined
  if (pod?.status === undefined || pod.isTerminating) {
    const plan = waiting('ScalingUp', because(observed, [ordinal], `waits for ${name} to start`), operation)
    return { ...plan, yields: pod?.stuck !== undefined }
  }
  const isOfOurs = pod.status.clusterId === cluster.recorded.clusterID
  if (pod.status.role === 'removed' && isOfOurs) return resetRemoved(observed, pod)
  if (pod.status.role !== 'waiting') {
    const reason = isOfOurs ? 'UnknownMember' : 'ClusterIDMismatch'
    return blocked(
      reason,
      `${name} has data of member ${pod.status.memberId} of cluster ${pod.status.clusterId}, which the member list does not have: delete its PersistentVolumeClaim and the pod`,
    )
  }
  return addLearner(observed, membership, pod)
}

function awaitFormer(name: string): Plan {
  return waiting('ScalingUp', `${name} starts once two voters have the data and its former volume is gone`)
}

function addLearner(observed: Observed, membership: Membership, pod: ObservedPod): Plan | undefined {
  const { cluster } = observed
  const others = membership.learners.join(', ')
  if (others !== '')
    return blocked(
      'LearnerInTheWay',
      `${pod.name} cannot be added while there is another learner: promote or remove ${others}`,
    )
  if (membership.leader === undefined) return undefined
  const operation = newOperation(observed, {
    type: 'ScaleUp',
    step: 'AddLearner',
    ordinal: pod.ordinal,
    verb: 'add',
    subject: pod.name,
  })
  const request = {
    kind: 'add-learner',
    operationId: operation.id,
    expectedConfigIndex: membership.configIndex,
    member: { name: pod.name, peerURLs: [peerUrl(cluster, pod.ordinal)] },
  } as const
  return inFlight('ScalingUp', `${pod.name} is added as a learner`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'change-membership', url: membership.leader.adminUrl, request },
  ])
}

/** Removed by hand, through the etcd API: its data is of no use, and the server refuses to start on it. */
function resetRemoved(observed: Observed, pod: ObservedPod): Plan {
  const operation = newOperation(observed, {
    type: 'ReplaceMember',
    step: 'DeleteVolume',
    ordinal: pod.ordinal,
    verb: 'remove',
    subject: pod.status?.memberId ?? '',
    memberID: pod.status?.memberId ?? '',
    volumeUID: observed.volumes.get(pod.ordinal)?.uid ?? '',
  })
  return inFlight(
    'ReplacingMember',
    `the member of ${pod.name} was removed: it starts again with an empty volume`,
    operation,
    [{ kind: 'record-operation', operation }],
  )
}
