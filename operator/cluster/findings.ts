/** What the conditions say. Pure; conditions.ts keeps when each last changed. */
import type { ConditionStatus, ConditionType, Finding } from '../api/conditions.ts'
import type { Failure } from './act.ts'
import { isFormed, type Observed, strangers } from './observed.ts'
import type { Plan } from './plan.ts'
import { names } from './resources/names.ts'
import { isSmaller } from './rules/objects.ts'
import { healthyVoters, quorumOf } from './safety.ts'

export function findings(observed: Observed, plan: Plan, failure: Failure | undefined): readonly Finding[] {
  return [
    ready(observed, plan),
    available(observed),
    progressing(plan),
    degraded(observed, plan, failure),
    quorumLost(observed),
    scaleComplete(observed, plan),
    upToDate(observed),
    storageReady(observed),
    clusterIdMismatch(observed),
    finding('Paused', observed.cluster.spec.paused, ['Paused', 'spec.paused is set'], ['NotPaused', '']),
  ]
}

type Words = readonly [reason: string, message: string]

function finding(type: ConditionType, is: boolean | undefined, whenTrue: Words, otherwise: Words): Finding {
  const status: ConditionStatus = is === undefined ? 'Unknown' : is ? 'True' : 'False'
  const [reason, message] = is === true ? whenTrue : otherwise
  return { type, status, reason, message }
}

function wantedOrdinals({ cluster }: Observed): readonly number[] {
  return Array.from({ length: cluster.spec.replicas }, (_, ordinal) => ordinal)
}

function isComplete({ cluster, membership }: Observed): boolean {
  if (membership === undefined || membership.members.length !== cluster.spec.replicas) return false
  return membership.members.every(
    ({ ordinal, isLearner }) => ordinal !== undefined && ordinal < cluster.spec.replicas && !isLearner,
  )
}

/** All wanted members are voters, their pods serve, one leads. */
function ready(observed: Observed, plan: Plan): Finding {
  const notReady = wantedOrdinals(observed).filter((ordinal) => observed.pods.get(ordinal)?.isReady !== true)
  const isReady = isComplete(observed) && notReady.length === 0 && observed.membership?.leader !== undefined
  if (isReady && (plan.isSettled || plan.reason === 'Paused' || plan.reason === 'DeletingVolumes')) {
    return finding('Ready', true, ['Ready', 'all members are voters and serve'], ['', ''])
  }
  if (!plan.isSettled) return finding('Ready', false, ['', ''], [plan.reason, plan.message])
  const list = notReady.map((ordinal) => names.pod(observed.cluster, ordinal)).join(', ')
  return finding('Ready', false, ['', ''], ['MembersNotReady', `not ready: ${list}`])
}

function available(observed: Observed): Finding {
  const { membership } = observed
  const healthy = membership === undefined ? 0 : healthyVoters(membership).length
  const voters = membership?.voters.length ?? observed.cluster.recorded.voters
  const isAvailable = membership?.leader !== undefined && healthy >= quorumOf(voters)
  const why: Words = !isFormed(observed)
    ? ['NotFormed', 'the cluster is not formed yet']
    : ['NoLeader', `no leader; ${healthy} of ${voters} voters answer`]
  return finding('Available', isAvailable, ['QuorumHealthy', `${healthy} of ${voters} voters are healthy`], why)
}

function progressing(plan: Plan): Finding {
  const isProgressing = !plan.isSettled && !plan.isBlocked && plan.reason !== 'Paused'
  return finding('Progressing', isProgressing, [plan.reason, plan.message], [plan.reason, plan.message])
}

function degraded(observed: Observed, plan: Plan, failure: Failure | undefined): Finding {
  if (failure !== undefined) return finding('Degraded', true, [failure.reason, failure.message], ['', ''])
  if (plan.isBlocked) return finding('Degraded', true, [plan.reason, plan.message], ['', ''])
  const sick = (observed.membership?.members ?? []).filter(
    // A learner is not there yet, which is progress; it has no vote to be missed.
    ({ id, ordinal, isLearner }) =>
      ordinal === undefined || (!isLearner && observed.membership?.activeIds.has(id) !== true),
  )
  const list = sick.map(({ name, id }) => name || id).join(', ')
  return finding(
    'Degraded',
    sick.length > 0,
    ['MembersUnhealthy', `unhealthy or not ours: ${list}`],
    ['AsExpected', ''],
  )
}

function quorumLost(observed: Observed): Finding {
  const { membership, cluster } = observed
  if (!isFormed(observed)) return finding('QuorumLost', false, ['', ''], ['NotFormed', ''])
  const voters = membership?.voters.length ?? cluster.recorded.voters
  const healthy = membership === undefined ? 0 : healthyVoters(membership).length
  const message = `${healthy} of ${voters} voters answer, ${quorumOf(voters)} are needed`
  return finding('QuorumLost', healthy < quorumOf(voters), ['TooFewVoters', message], ['QuorumHolds', message])
}

function scaleComplete(observed: Observed, plan: Plan): Finding {
  const members = observed.membership?.members.length ?? observed.cluster.recorded.members.length
  const message = `${members} of ${observed.cluster.spec.replicas} members`
  const why = plan.isSettled ? 'ForeignMembers' : plan.reason
  return finding(
    'ScaleComplete',
    isComplete(observed),
    ['ScaleComplete', message],
    [why, `${message}: ${plan.message}`],
  )
}

function upToDate({ objects, pods, cluster }: Observed): Finding {
  const revision = objects.statefulSet?.updateRevision
  if (revision === undefined) return finding('UpToDate', undefined, ['', ''], ['NotObserved', ''])
  const old = [...pods.values()].filter((pod) => pod.revision !== revision).map(({ name }) => name)
  const message = `made from an earlier spec of ${cluster.name}: ${old.join(', ')}. Delete them one by one to renew them`
  return finding('UpToDate', old.length === 0, ['UpToDate', ''], ['PodsOutdated', message])
}

function storageReady(observed: Observed): Finding {
  const { size } = observed.cluster.spec.storage
  const unready = wantedOrdinals(observed).flatMap((ordinal) => {
    const volume = observed.volumes.get(ordinal)
    const isReady = volume?.capacity !== undefined && !isSmaller(volume.capacity, size)
    return isReady ? [] : [names.volume(observed.cluster, ordinal)]
  })
  const message = `not bound, or smaller than ${size}: ${unready.join(', ')}`
  return finding('StorageReady', unready.length === 0, ['VolumesBound', ''], ['VolumesPending', message])
}

function clusterIdMismatch(observed: Observed): Finding {
  const found = strangers(observed).map(({ name, status }) => `${name} has data of cluster ${status?.clusterId}`)
  const message = `${found.join(', ')}: delete its PersistentVolumeClaim and the pod if that data is not needed`
  return finding('ClusterIDMismatch', found.length > 0, ['ForeignData', message], ['AsExpected', ''])
}
