/** A learner joins, catches up and is promoted, or is removed for another try. Pure. */
import { timestamp } from '../../api/conditions.ts'
import type { Operation } from '../../api/status.ts'
import { because } from '../causes.ts'
import { allowedLag, catchingUp, type Peer } from '../lag.ts'
import type { Membership, Observed, ObservedMember, ObservedPod } from '../observed.ts'
import { isOverdue, newOperation } from '../operation.ts'
import { inFlight, type Plan, waiting } from '../plan.ts'
import { hasOrdinal, removeMember } from './removal.ts'

/** Bound of the list in status. */
const MAX_MESSAGE_LENGTH = 1024
/** Progress is recorded when it extends the deadline by this much, not in each reconcile. */
const WORTH_WRITING = 0.1

type Learner = ObservedMember & { readonly ordinal: number }

export function finishLearner(observed: Observed): Plan | undefined {
  const { membership, cluster, pods, nowMs } = observed
  if (membership === undefined) return undefined
  // One that was added by hand has no ordinal and is left alone.
  const learner = membership.members.filter(hasOrdinal).find(({ isLearner }) => isLearner)
  if (learner === undefined) return undefined
  if (learner.ordinal >= cluster.spec.replicas) return drop(observed, membership, learner)
  const pod = pods.get(learner.ordinal)
  const status = pod?.status
  const given = cluster.recorded.operation
  const isGivenUp = given?.type === 'ReplaceMember' && given.memberID === learner.id
  const peer = membership.peers.get(learner.id)
  const catchUp = withProgress(observed, operationOf(observed, learner, 'CatchUp'), peer)
  if (isGivenUp || isOverdue(catchUp, nowMs)) return giveUp(observed, membership, learner)
  if (status?.role === 'waiting' && pod !== undefined) return join(observed, membership, learner, pod)
  const isHeard = membership.activeIds.has(learner.id)
  if (isHeard && peer !== undefined && peer.matchIndex > 0 && peer.lag <= allowedLag(observed))
    return promote(observed, membership, learner)
  const message = because(observed, [learner.ordinal], `${learner.name} ${catchingUp(peer, isHeard)}`)
  return waiting('ScalingUp', message, { ...catchUp, message: message.slice(0, MAX_MESSAGE_LENGTH) })
}

/** The deadline is for a learner without progress: each progress gives it the whole time again. */
function withProgress({ cluster, nowMs }: Observed, operation: Operation, peer: Peer | undefined): Operation {
  const reached = peer?.snapshot === undefined ? (peer?.matchIndex ?? 0) : peer.snapshot.sentBytes
  const what = peer?.snapshot === undefined ? 'entries' : 'snapshot'
  const before = operation.progress
  if (before === undefined) return { ...operation, progress: { what, reached } }
  const isFurther =
    what === before.what ? reached > before.reached : what === 'entries' ? reached > 0 : before.reached === 0 // only the first snapshot: one after another is no progress
  const timeoutMs = cluster.spec.scaling.learnerTimeoutSeconds * 1000
  const deadlineMs = nowMs + timeoutMs
  const isWorthIt = deadlineMs - Date.parse(operation.deadline ?? '') >= WORTH_WRITING * timeoutMs
  if (!isFurther || !isWorthIt) return operation
  return { ...operation, progress: { what, reached }, deadline: timestamp(deadlineMs) }
}

function operationOf(observed: Observed, learner: Learner, step: Operation['step']): Operation {
  return newOperation(observed, {
    type: 'ScaleUp',
    step,
    ordinal: learner.ordinal,
    verb: step === 'Join' ? 'join' : 'promote',
    subject: learner.id,
    memberID: learner.id,
    deadlineSeconds: observed.cluster.spec.scaling.learnerTimeoutSeconds,
  })
}

function join(observed: Observed, membership: Membership, learner: Learner, pod: ObservedPod): Plan | undefined {
  if (pod.adminUrl === undefined || pod.isTerminating) return undefined
  const operation = operationOf(observed, learner, 'Join')
  const request = {
    operationId: operation.id,
    clusterId: observed.cluster.recorded.clusterID,
    memberId: learner.id,
    expectedConfigIndex: membership.configIndex,
    members: membership.members.map(({ id, name, peerURLs, clientURLs, isLearner }) => ({
      id,
      name,
      peerURLs,
      clientURLs,
      isLearner,
    })),
  }
  return inFlight('ScalingUp', `${pod.name} joins as learner ${learner.id}`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'join', url: pod.adminUrl, request },
  ])
}

function promote(observed: Observed, membership: Membership, learner: Learner): Plan | undefined {
  if (membership.leader === undefined) return undefined
  const operation = operationOf(observed, learner, 'Promote')
  const request = {
    kind: 'promote',
    operationId: operation.id,
    expectedConfigIndex: membership.configIndex,
    memberId: learner.id,
    maxLagEntries: allowedLag(observed),
  } as const
  return inFlight('ScalingUp', `${learner.name} has caught up and becomes a voter`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'change-membership', url: membership.leader.adminUrl, request },
  ])
}

/** A learner that is no longer wanted goes before anything else: while it exists, no lost member can be replaced. */
function drop(observed: Observed, membership: Membership, learner: Learner): Plan {
  return removeMember(observed, membership, {
    type: 'ScaleDown',
    reason: 'ScalingDown',
    why: `${learner.name} is beyond the ${observed.cluster.spec.replicas} wanted members`,
    member: learner,
    volumeUID: observed.volumes.get(learner.ordinal)?.uid ?? '',
  })
}

/** The cause may be in its volume, so it starts over with an empty one. */
function giveUp(observed: Observed, membership: Membership, learner: Learner): Plan {
  const isEmpty = observed.pods.get(learner.ordinal)?.status?.role === 'waiting'
  return removeMember(observed, membership, {
    type: 'ReplaceMember',
    reason: 'LearnerTimeout',
    why: `${learner.name} made no progress for ${observed.cluster.spec.scaling.learnerTimeoutSeconds} s`,
    member: learner,
    volumeUID: isEmpty ? '' : (observed.volumes.get(learner.ordinal)?.uid ?? ''),
  })
}
