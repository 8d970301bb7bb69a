/**
 * Pods made from an earlier spec are recreated, one at a time: unhealthy ones first, since that spec may be the reason and
 * nothing is lost with them; then followers from the highest ordinal down, each only while all others are
 * ready and caught up; the leader last, after leadership has moved away. Pure.
 */
import { because } from '../causes.ts'
import { allowedLag, catchingUp } from '../lag.ts'
import type { Membership, Observed, ObservedMember, ObservedPod } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { blocked, inFlight, type Plan, waiting } from '../plan.ts'
import { podRef } from '../resources/names.ts'
import { healthyVoters, quorumOf } from '../safety.ts'
import { hasOrdinal } from './removal.ts'
import { wantedHash } from './template.ts'
import { moveLeader } from './transfer.ts'

/** Made from another template, or before the last `kubectl rollout restart`. */
export function isOutdated(observed: Observed, pod: ObservedPod): boolean {
  const restartedAt = observed.objects.statefulSet?.restartedAt
  const isBefore = restartedAt !== undefined && pod.restartedAt !== restartedAt
  return isBefore || pod.templateHash !== wantedHash(observed)
}

/** A pod whose process does not run can be replaced at any time, so that a repaired spec reaches it whatever else is wrong. */
export function renewStopped(observed: Observed): Plan | undefined {
  const { cluster } = observed
  const pod = renewable(observed).find(({ isRunning, status }) => !isRunning && status === undefined)
  if (pod === undefined) return undefined
  const message = `${pod.name} does not run and is being replaced by a pod of the present spec`
  const action = { kind: 'delete-object', ref: podRef(cluster, pod.name), uid: pod.uid } as const
  return { ...waiting('RollingOut', message, cluster.recorded.operation), actions: [action] }
}

export function rollOut(observed: Observed): Plan | undefined {
  const { cluster, membership } = observed
  if (membership?.leader === undefined) return undefined
  const recorded = cluster.recorded.operation
  const inFlightNow = recorded?.type === 'Rollout' ? recorded : undefined
  const wanted = renewable(observed).filter(({ ordinal }) => ordinal < cluster.spec.replicas)
  const next = wanted.toSorted((a, b) => rank(observed, membership, a) - rank(observed, membership, b))[0]
  const unfit = membership.members
    .filter(hasOrdinal)
    .filter(({ ordinal }) => ordinal !== next?.ordinal && ordinal < cluster.spec.replicas)
    .filter((member) => !isFit(observed, membership, member))
  const list = unfit.map((member) => lagging(observed, membership, member)).join(', ')
  const waits = because(
    observed,
    unfit.map(({ ordinal }) => ordinal),
    `waits for ${list} to be ready and caught up${next === undefined ? '' : ` before ${next.name}`}`,
  )
  if (next === undefined) {
    if (inFlightNow === undefined || unfit.length === 0) return undefined
    return waiting('RollingOut', waits, inFlightNow)
  }
  const id = membership.members.find(({ ordinal }) => ordinal === next.ordinal)?.id
  if (isUnhealthy(membership, next, id)) return restartUnhealthy(observed, membership, next, id)
  if (unfit.length > 0) {
    return waiting('RollingOut', waits, inFlightNow)
  }
  return restartHealthy(observed, membership, next, id)
}

/**
 * One or two voters cannot spare any, and it is not known whether a pod of the current spec starts: the pods of members that
 * are to join try it first, and once they vote one voter can be spared.
 */
function growsFirst({ cluster }: Observed, { voters }: Membership, memberId: string | undefined): boolean {
  const isVoter = memberId !== undefined && voters.includes(memberId)
  return isVoter && voters.length <= 2 && voters.length < cluster.spec.replicas
}

/** The next voter to be replaced is needed for the quorum, so a dry run first checks whether its next pod can be created. */
export function isOnTrial(observed: Observed): boolean {
  const { cluster, membership } = observed
  if (membership?.leader === undefined || cluster.spec.paused || membership.voters.length > 2) return false
  const ordinals = membership.members.filter(({ id }) => membership.voters.includes(id)).map(({ ordinal }) => ordinal)
  const isNext = renewable(observed).some(({ ordinal }) => ordinals.includes(ordinal))
  return isNext && membership.voters.length >= cluster.spec.replicas
}

/** Its name, and how far it has caught up. */
function lagging(observed: Observed, membership: Membership, { id, name, ordinal }: ObservedMember): string {
  const peer = membership.peers.get(id)
  const isThere = ordinal !== undefined && observed.pods.get(ordinal)?.status !== undefined
  const isBehind = peer !== undefined && (peer.snapshot !== undefined || peer.lag > allowedLag(observed))
  return isThere && isBehind ? `${name} (${catchingUp(peer, membership.activeIds.has(id))})` : name
}

/** Outdated pods, if a new pod would be made from the current spec. */
function renewable(observed: Observed): readonly ObservedPod[] {
  const { cluster, objects, pods } = observed
  const { statefulSet } = objects
  const isCurrent = statefulSet?.templateHash === wantedHash(observed) && statefulSet?.isObserved === true
  if (!isCurrent || cluster.spec.update.strategy === 'Manual') return []
  return [...pods.values()].filter((pod) => !pod.isTerminating && isOutdated(observed, pod))
}

function rank(observed: Observed, membership: Membership, pod: ObservedPod): number {
  const { cluster } = observed
  const id = membership.members.find(({ ordinal }) => ordinal === pod.ordinal)?.id
  if (growsFirst(observed, membership, id)) return 2_000_000
  if (isUnhealthy(membership, pod, id)) return -1
  if (id === membership.leader?.memberId) return 1_000_000
  return cluster.spec.replicas + 1000 - pod.ordinal
}

function isUnhealthy(membership: Membership, pod: ObservedPod, memberId: string | undefined): boolean {
  return !pod.isReady || pod.status === undefined || memberId === undefined || !membership.activeIds.has(memberId)
}

/** The others suffice without the next one. */
export function isFit(observed: Observed, membership: Membership, member: ObservedMember): boolean {
  const { cluster, pods, nowMs } = observed
  const pod = member.ordinal === undefined ? undefined : pods.get(member.ordinal)
  if (pod === undefined || pod.isTerminating || isUnhealthy(membership, pod, member.id)) return false
  const { minReadySeconds } = cluster.spec.update
  if (nowMs - (pod.readySinceMs ?? nowMs) < minReadySeconds * 1000) return false
  if (member.id === membership.leader?.memberId) return true
  const peer = membership.peers.get(member.id)
  return peer !== undefined && peer.matchIndex > 0 && peer.lag <= allowedLag(observed)
}

/** If its vote counts, it is restarted only if the others suffice. */
function restartUnhealthy(
  observed: Observed,
  membership: Membership,
  pod: ObservedPod,
  memberId: string | undefined,
): Plan | undefined {
  if (memberId === undefined || !membership.activeIds.has(memberId)) return restart(observed, pod, memberId)
  return restartHealthy(observed, membership, pod, memberId)
}

function restartHealthy(
  observed: Observed,
  membership: Membership,
  pod: ObservedPod,
  memberId: string | undefined,
): Plan | undefined {
  if (growsFirst(observed, membership, memberId)) return undefined
  const { voters, leader } = membership
  const isVoter = memberId !== undefined && voters.includes(memberId)
  const healthy = healthyVoters(membership).length
  // One or two voters cannot spare any: the edit then means an outage.
  if (isVoter && voters.length > 2 && healthy - 1 < quorumOf(voters.length)) {
    // Fewer voters need fewer healthy ones: those to be removed may go first.
    if (membership.members.some(({ ordinal }) => (ordinal ?? 0) >= observed.cluster.spec.replicas)) return undefined
    const message = `${pod.name} has to be replaced, but ${healthy} of ${voters.length} voters are healthy: repair a member first`
    return blocked('QuorumAtRisk', message, observed.cluster.recorded.operation)
  }
  if (isVoter && voters.length <= 2 && observed.templateRefusal !== undefined) {
    const message = `${pod.name} has to be replaced, but no pod can be created from the present spec: ${observed.templateRefusal}. To replace it anyway, delete the pod`
    return { ...blocked('TemplateRefused', message, observed.cluster.recorded.operation), yields: true }
  }
  const leaving = membership.members.filter(hasOrdinal).find(({ id }) => id === memberId)
  if (leaving === undefined || leader?.memberId !== memberId || voters.length === 1)
    return restart(observed, pod, memberId)
  // It refuses every request, also this one, until it is restarted, which costs an election.
  if (isTokenRefused(observed, pod)) return restart(observed, pod, memberId)
  return moveLeader(observed, membership, {
    type: 'Rollout',
    reason: 'RollingOut',
    leaving,
    isPreferred: (member) => isFit(observed, membership, member),
  })
}

/** Long enough for the kubelet to have delivered a new token. */
const TOKEN_ARRIVES_MS = 120_000

/** The leader has refused the token for so long. */
function isTokenRefused({ cluster, nowMs }: Observed, { ordinal }: ObservedPod): boolean {
  const { operation } = cluster.recorded
  if (operation?.type !== 'Rollout' || operation.ordinal !== ordinal || operation.step !== 'TransferLeader')
    return false
  const isRefused = operation.attempts > 0 && operation.message.startsWith('Unauthorized')
  return isRefused && nowMs - Date.parse(operation.startedAt) >= TOKEN_ARRIVES_MS
}

function restart(observed: Observed, pod: ObservedPod, memberId: string | undefined): Plan {
  const operation = newOperation(observed, {
    type: 'Rollout',
    step: 'RestartPod',
    ordinal: pod.ordinal,
    verb: 'restart',
    subject: pod.uid,
    ...(memberId !== undefined && { memberID: memberId }),
  })
  return inFlight('RollingOut', `${pod.name} is being replaced by a pod of the present spec`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'delete-object', ref: podRef(observed.cluster, pod.name), uid: pod.uid },
  ])
}
