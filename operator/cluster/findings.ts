/** What the conditions say. Pure; conditions.ts keeps when each last changed. */
import type { ConditionStatus, ConditionType, Finding } from '../api/conditions.ts'
import type { Refusal } from '../api/status.ts'
import type { Failure } from './act.ts'
import { isFormed, type Observed, podsWithForeignData } from './observed.ts'
import type { Plan } from './plan.ts'
import { subjectOfUnread } from './refusals.ts'
import { names } from './resources/names.ts'
import { isOutdated } from './rules/rollout.ts'
import { templateHold } from './rules/template.ts'
import { healthyVoters, quorumOf } from './safety.ts'
import { tlsReady } from './tls-status.ts'
import { type Explanation, storageTroublesOf, troublesOf } from './troubles.ts'

/** So long a condition stays as it was while what it hangs on cannot be read; then it is unknown. */
const MEMORY_MS = 15_000

export function findings(
  observed: Observed,
  plan: Plan,
  failure: Failure | undefined,
  refusals: readonly Refusal[],
  users: readonly Finding[],
): readonly Finding[] {
  const found = [
    ...users,
    ready(observed, plan),
    available(observed),
    progressing(plan),
    degraded(observed, plan, failure, refusals),
    quorumLost(observed),
    scaleComplete(observed, plan),
    upToDate(observed, plan),
    storageReady(observed, refusals),
    clusterIdMismatch(observed),
    finding('Paused', observed.cluster.spec.paused, ['Paused', 'spec.paused is set'], ['NotPaused', '']),
    tlsReady(observed),
  ]
  return found.flatMap((one) => asFarAsSeen(observed, refusals, one))
}

const MEMBERS = ['StatefulSet', 'Pod']
const VOLUMES = [...MEMBERS, 'PersistentVolumeClaim']

/** Kinds without which a condition has nothing to say. */
const HANGS_ON: Readonly<Record<ConditionType, readonly string[]>> = {
  Ready: MEMBERS,
  Available: MEMBERS,
  Progressing: [],
  Degraded: [],
  QuorumLost: MEMBERS,
  ScaleComplete: MEMBERS,
  UpToDate: MEMBERS,
  StorageReady: VOLUMES,
  ClusterIDMismatch: VOLUMES,
  Paused: [],
  AuthReady: MEMBERS,
  TLSReady: [...MEMBERS, 'Secret', 'Certificate'],
}

function asFarAsSeen(observed: Observed, refusals: readonly Refusal[], found: Finding): readonly Finding[] {
  const { unread, cluster, nowMs } = observed
  const missing = unread.find(({ kind }) => HANGS_ON[found.type].includes(kind))
  if (missing === undefined) return [found]
  const known = refusals.find(({ subject }) => subject === subjectOfUnread(missing))
  const sinceMs = Date.parse(known?.since ?? '')
  const isKnown = cluster.recorded.conditions.some(({ type }) => type === found.type)
  if (isKnown && nowMs - sinceMs < MEMORY_MS) return []
  return [{ type: found.type, status: 'Unknown', reason: 'NotObserved', message: missing.error.problem.message }]
}

function finding(type: ConditionType, is: boolean | undefined, whenTrue: Explanation, otherwise: Explanation): Finding {
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

/** Of plans that members serve through as ever. */
const QUIET = ['Paused', 'NotObserved', 'DeletingVolumes', 'MovingLeader', 'Defragmenting', 'ReclaimingSpace']

/** All wanted members are voters, their pods serve, one leads. */
function ready(observed: Observed, plan: Plan): Finding {
  const notReady = wantedOrdinals(observed).filter((ordinal) => observed.pods.get(ordinal)?.isReady !== true)
  const isReady = isComplete(observed) && notReady.length === 0 && observed.membership?.leader !== undefined
  const isQuiet = plan.isSettled || QUIET.includes(plan.reason)
  if (isReady && isQuiet) return finding('Ready', true, ['Ready', 'all members are voters and serve'], ['', ''])
  if (!plan.isSettled || isScaledToZero(observed)) return finding('Ready', false, ['', ''], [plan.reason, plan.message])
  const list = notReady.map((ordinal) => names.pod(observed.cluster, ordinal)).join(', ')
  return finding('Ready', false, ['', ''], ['MembersNotReady', `not ready: ${list}`])
}

/** Why no member is to run; undefined: they are to. */
function whyStopped({ cluster }: Observed): Explanation | undefined {
  if (cluster.isBeingDeleted) return ['Deleting', 'the RaftCluster is being deleted']
  return cluster.spec.replicas === 0 ? ['ScaledToZero', 'spec.replicas is 0'] : undefined
}

function isScaledToZero({ cluster }: Observed): boolean {
  return cluster.spec.replicas === 0
}

function available(observed: Observed): Finding {
  const { membership } = observed
  const healthy = membership === undefined ? 0 : healthyVoters(membership).length
  const voters = membership?.voters.length ?? observed.cluster.recorded.voters
  const isAvailable = membership?.leader !== undefined && healthy >= quorumOf(voters)
  const noLeader: Explanation = isFormed(observed)
    ? ['NoLeader', `no leader; ${healthy} of ${voters} voters answer`]
    : ['NotFormed', 'the cluster is not formed yet']
  const why = whyStopped(observed) ?? noLeader
  return finding('Available', isAvailable, ['QuorumHealthy', `${healthy} of ${voters} voters are healthy`], why)
}

function progressing(plan: Plan): Finding {
  const isProgressing = !plan.isSettled && !plan.isBlocked && !['Paused', 'NotObserved'].includes(plan.reason)
  return finding('Progressing', isProgressing, [plan.reason, plan.message], [plan.reason, plan.message])
}

function degraded(observed: Observed, plan: Plan, failure: Failure | undefined, refusals: readonly Refusal[]): Finding {
  const troubles = [...refused(observed, refusals), ...troublesWith(observed, plan, failure)]
  const [first = ['AsExpected', '']] = troubles
  const explanation: Explanation = [first[0], troubles.map(([, message]) => message).join('; ')]
  return finding('Degraded', troubles.length > 0, explanation, ['AsExpected', ''])
}

function troublesWith(observed: Observed, plan: Plan, failure: Failure | undefined): readonly Explanation[] {
  // What is wrong with the members themselves is told all the same.
  if (failure !== undefined && plan.reason !== 'Defragmenting') return [[failure.reason, failure.message]]
  if (plan.isBlocked) return [[plan.reason, plan.message]]
  return troublesOf(observed)
}

/** More of them are only counted: status has them all. */
const REFUSALS_TOLD = 2

function refused({ unread }: Observed, refusals: readonly Refusal[]): readonly Explanation[] {
  const told = refusals.slice(0, REFUSALS_TOLD).map(({ subject, message, since }): Explanation => {
    const read = unread.find((one) => subjectOfUnread(one) === subject)
    if (read === undefined) return [reasonOf(subject), `${subject} has been refused since ${since}: ${message}`]
    const reason = read.error.problem.kind === 'forbidden' ? 'Forbidden' : 'NotObserved'
    return [reason, `${subject} has been unreadable since ${since}: ${message}`]
  })
  const more = refusals.length - told.length
  return more > 0 ? [...told, ['', `${more} more in status.refusals`]] : told
}

function reasonOf(subject: string): string {
  return isVolume(subject) ? 'ExpansionRefused' : 'ApiServerRefused'
}

function isVolume(subject: string): boolean {
  return subject.startsWith('PersistentVolumeClaim ')
}

function quorumLost(observed: Observed): Finding {
  const { membership, cluster } = observed
  if (!isFormed(observed)) return finding('QuorumLost', false, ['', ''], ['NotFormed', ''])
  const stopped = whyStopped(observed)
  if (stopped !== undefined) return finding('QuorumLost', false, ['', ''], stopped)
  const voters = membership?.voters.length ?? cluster.recorded.voters
  const healthy = membership === undefined ? 0 : healthyVoters(membership).length
  const message = `${healthy} of ${voters} voters answer, ${quorumOf(voters)} are needed`
  const request = cluster.spec.recovery.request?.id
  const { handledRequests, operation } = cluster.recorded
  const isAnswered = request !== undefined && request === handledRequests.recovery && operation?.request !== request
  const note = isAnswered ? `. The recovery ${request} is over: another loss needs a request with another id` : ''
  const isLost = healthy < quorumOf(voters)
  return finding('QuorumLost', isLost, ['TooFewVoters', message + note], ['QuorumHolds', message + note])
}

function scaleComplete(observed: Observed, plan: Plan): Finding {
  if (isScaledToZero(observed)) {
    const explanation: Explanation = ['ScaledToZero', 'spec.replicas is 0; members and their volumes stay']
    return finding('ScaleComplete', observed.pods.size === 0, explanation, [plan.reason, plan.message])
  }
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

function upToDate(observed: Observed, plan: Plan): Finding {
  const { objects, pods, cluster } = observed
  if (objects.statefulSet === undefined) return finding('UpToDate', undefined, ['', ''], ['NotObserved', ''])
  const hold = templateHold(observed)
  if (hold !== undefined)
    return finding('UpToDate', undefined, ['', ''], ['TemplateKept', `the pod template stays as it is: ${hold}`])
  const old = [...pods.values()].filter((pod) => isOutdated(observed, pod)).map(({ name }) => name)
  const message = `made from an earlier spec of ${cluster.name}: ${old.join(', ')}`
  const isManual = cluster.spec.update.strategy === 'Manual'
  const why: Explanation = isManual
    ? ['PodsOutdated', `${message}. Delete them one by one to replace them`]
    : [plan.reason === 'RollingOut' ? 'RollingOut' : 'RolloutPending', `${message}. ${plan.message}`]
  return finding('UpToDate', old.length === 0, ['UpToDate', ''], why)
}

function storageReady(observed: Observed, refusals: readonly Refusal[]): Finding {
  const ofVolumes = refusals.filter(({ subject }) => isVolume(subject))
  const all = [...refused(observed, ofVolumes), ...storageTroublesOf(observed)]
  const message = all.map(([, text]) => text).join('; ')
  return finding('StorageReady', all.length === 0, ['VolumesBound', ''], [all[0]?.[0] ?? '', message])
}

function clusterIdMismatch(observed: Observed): Finding {
  const found = podsWithForeignData(observed).map(
    ({ name, status }) => `${name} has data of cluster ${status?.clusterId}`,
  )
  const volumes = [...observed.foreignVolumes]
    .filter(([ordinal]) => ordinal < observed.cluster.spec.replicas)
    .map(([, name]) => `${name} is a volume of another RaftCluster, or of a deleted one of this name`)
  const all = [...found, ...volumes]
  const message = `${all.join(', ')}: delete the PersistentVolumeClaim, and its pod, if that data is not needed`
  return finding('ClusterIDMismatch', all.length > 0, ['ForeignData', message], ['AsExpected', ''])
}
