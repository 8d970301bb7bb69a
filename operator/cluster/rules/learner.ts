/** There is a learner: it joins, catches up and is promoted, or gives its place to another try. Pure. */
import type { Operation } from '../../api/status.ts'
import type { Membership, Observed, ObservedMember, ObservedPod } from '../observed.ts'
import { isOverdue, newOperation } from '../operation.ts'
import { inFlight, type Plan, waiting } from '../plan.ts'
import { hasOrdinal, removeMember } from './removal.ts'

type Learner = ObservedMember & { readonly ordinal: number }

export function finishLearner(observed: Observed): Plan | undefined {
  const { membership, cluster, pods, nowMs } = observed
  if (membership === undefined) return undefined
  // One that was added by hand has no ordinal and is let be.
  const learner = membership.members.filter(hasOrdinal).find(({ isLearner }) => isLearner)
  if (learner === undefined) return undefined
  if (learner.ordinal >= cluster.spec.replicas) return drop(observed, membership, learner)
  const pod = pods.get(learner.ordinal)
  const status = pod?.status
  const given = cluster.recorded.operation
  const isGivenUp = given?.type === 'ReplaceMember' && given.memberID === learner.id
  if (isGivenUp || isOverdue(operationOf(observed, learner, 'CatchUp'), nowMs))
    return giveUp(observed, membership, learner)
  if (status?.role === 'waiting' && pod !== undefined) return join(observed, membership, learner, pod)
  const peer = membership.peers.get(learner.id)
  const { maxLagEntries } = cluster.spec.scaling
  const isHeard = membership.activeIds.has(learner.id)
  if (isHeard && peer !== undefined && peer.matchIndex > 0 && peer.lag <= maxLagEntries)
    return promote(observed, membership, learner)
  const message =
    peer === undefined || peer.matchIndex === 0
      ? `${learner.name} has not answered the leader yet`
      : !isHeard
        ? `${learner.name} does not answer the leader`
        : `${learner.name} is ${peer.lag} entries behind`
  const operation = { ...operationOf(observed, learner, 'CatchUp'), message }
  return waiting('ScalingUp', message, operation)
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
    maxLagEntries: observed.cluster.spec.scaling.maxLagEntries,
  } as const
  return inFlight('ScalingUp', `${learner.name} has caught up and becomes a voter`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'change-membership', url: membership.leader.adminUrl, request },
  ])
}

/** No longer wanted, and before anything else: while it is there, no lost member can be replaced. */
function drop(observed: Observed, membership: Membership, learner: Learner): Plan {
  return removeMember(observed, membership, {
    type: 'ScaleDown',
    reason: 'ScalingDown',
    why: `${learner.name} is beyond the ${observed.cluster.spec.replicas} wanted members`,
    member: learner,
    volumeUID: observed.volumes.get(learner.ordinal)?.uid ?? '',
  })
}

/** Whatever keeps it from catching up may be in its volume, so it starts over with an empty one. */
function giveUp(observed: Observed, membership: Membership, learner: Learner): Plan {
  const isEmpty = observed.pods.get(learner.ordinal)?.status?.role === 'waiting'
  return removeMember(observed, membership, {
    type: 'ReplaceMember',
    reason: 'LearnerTimeout',
    why: `${learner.name} did not catch up in ${observed.cluster.spec.scaling.learnerTimeoutSeconds} s`,
    member: learner,
    volumeUID: isEmpty ? '' : (observed.volumes.get(learner.ordinal)?.uid ?? ''),
  })
}
