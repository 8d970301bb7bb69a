/**
 * The quorum is lost for good, and somebody names the member to go on with and acknowledges what that may lose: it
 * becomes a cluster of itself alone; then the others, whose data is now another history, start over with empty volumes
 * and join one by one. A request is for the loss at hand: one that finds the quorum there is refused for ever. Pure.
 */
import { conditionStatus } from '../../api/conditions.ts'
import { isFormed, type Observed, type ObservedPod } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { type Action, blocked, inFlight, type Plan, waiting } from '../plan.ts'
import { podRef } from '../resources/names.ts'
import { healthyVoters, quorumOf } from '../safety.ts'
import { deleteVolume } from './cleanup.ts'

export function recover(observed: Observed): Plan | undefined {
  const { cluster, membership } = observed
  const { request } = cluster.spec.recovery
  if (request === undefined || !isFormed(observed) || membership?.leader !== undefined) return undefined
  const { handledRequests, operation, conditions, voters } = cluster.recorded
  const isBegun = operation?.type === 'Recover' && operation.request === request.id
  if (handledRequests.recovery === request.id && !isBegun) return undefined
  if (membership !== undefined && healthyVoters(membership).length >= quorumOf(membership.voters.length || voters))
    return undefined
  // Said first, done at the next look: what is asked for on a moment's silence is not done.
  if (conditionStatus(conditions, 'QuorumLost') !== 'True') return undefined
  const answering = [...observed.pods.values()].filter((pod) => hasData(observed, pod))
  const survivor = answering.find(({ name, status }) => [name, status?.memberId].includes(request.survivor))
  if (survivor?.status === undefined || survivor.adminUrl === undefined)
    return blocked(
      'QuorumLost',
      `${request.survivor} is to survive and does not answer: it must run to be recovered`,
      operation,
    )
  const own = survivor.status
  const ahead = answering.find(({ status }) => (status?.lastIndex ?? 0) > own.lastIndex)
  if (ahead !== undefined) {
    const message = `${ahead.name} has more than ${survivor.name} (log index ${ahead.status?.lastIndex}, not ${own.lastIndex}): name it as the survivor`
    return blocked('QuorumLost', message, operation)
  }
  return recoverFrom(observed, survivor, own, request.id)
}

function recoverFrom(observed: Observed, survivor: ObservedPod, own: Member, requestId: string): Plan {
  const operation = newOperation(observed, {
    type: 'Recover',
    step: 'Recover',
    ordinal: survivor.ordinal,
    verb: 'recover',
    subject: `${requestId}:${own.memberId}`,
    memberID: own.memberId,
    request: requestId,
    configIndex: own.configIndex,
  })
  const request = {
    operationId: operation.id,
    clusterId: own.clusterId,
    memberId: own.memberId,
    expectedConfigIndex: own.configIndex,
  }
  const others = [...observed.volumes.values()].filter(({ ordinal }) => ordinal !== survivor.ordinal)
  const staleVolumes = others.map(({ uid }) => uid)
  return inFlight('Recovering', `${survivor.name} goes on alone, as was asked for`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'recover', url: survivor.adminUrl ?? '', request, staleVolumes },
  ])
}

type Member = NonNullable<ObservedPod['status']>

function hasData({ cluster }: Observed, { status }: ObservedPod): boolean {
  return status?.clusterId === cluster.recorded.clusterID && !['waiting', 'removed'].includes(status.role)
}

/** All at once: together, former members might still form a quorum of the configuration that they know. */
export function emptyFormer(observed: Observed): Plan | undefined {
  const { cluster, membership, pods, volumes } = observed
  if (membership?.leader === undefined) return undefined
  const members = new Set(membership.members.map(({ ordinal }) => ordinal))
  const stale = [...volumes.values()].filter(
    ({ uid, ordinal }) => cluster.recorded.staleVolumes.includes(uid) && !members.has(ordinal),
  )
  const actions = stale.flatMap((volume): readonly Action[] => {
    const pod = pods.get(volume.ordinal)
    if (pod === undefined || pod.isTerminating) return deleteVolume(observed, volume)
    const podGoes = { kind: 'delete-object', ref: podRef(cluster, pod.name), uid: pod.uid } as const
    return [...deleteVolume(observed, volume), podGoes]
  })
  if (actions.length === 0) return undefined
  const list = stale.map(({ name }) => name).join(', ')
  return { ...waiting('Recovering', `what the former members had is deleted: ${list}`), actions }
}
