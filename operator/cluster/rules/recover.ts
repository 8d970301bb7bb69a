/**
 * The quorum is lost for good, and somebody names the member to go on with and acknowledges what that may lose: it
 * becomes a cluster of itself alone; then the others, whose data is now another history, start over with empty volumes
 * and join one by one. Whose log is further than the survivor's is named instead. A request is for the loss at hand: one
 * that finds the quorum there is refused for ever.
 *
 * Until two voters have the survivor's data, the former members' volumes are kept, all but the one whose place the next
 * member takes: no pod runs on them (replicas.ts). Pure.
 */
import { conditionStatus } from '../../api/conditions.ts'
import { describeEnd, furthest, isAhead } from '../log-end.ts'
import { formerOrdinals, isFormed, memberOrdinals, type Observed, type ObservedPod } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { blocked, inFlight, type Plan, waiting } from '../plan.ts'
import { answersQuorum, isOnTwoVoters } from '../safety.ts'
import { names } from '../resources/names.ts'
import { deleteVolume } from './cleanup.ts'
import { hasOrdinal } from './removal.ts'
import { desiredPods } from './replicas.ts'

export function recover(observed: Observed): Plan | undefined {
  const { cluster, membership } = observed
  const { request } = cluster.spec.recovery
  if (request?.survivor === undefined || !isFormed(observed) || membership?.leader !== undefined) return undefined
  const { survivor: named } = request
  const { handledRequests, operation, conditions } = cluster.recorded
  const isBegun = operation?.type === 'Recover' && operation.request === request.id
  if (handledRequests.recovery === request.id && !isBegun) return undefined
  if (answersQuorum(observed)) return undefined
  // Said first, done at the next look: what is asked for on a moment's silence is not done.
  if (conditionStatus(conditions, 'QuorumLost') !== 'True') return undefined
  const answering = candidates(observed)
  const survivor = answering.find(({ name, status }) => [name, status.memberId].includes(named))
  const isEmpty = [...observed.pods.values()].some(
    ({ name, status }) => status?.lastIndex === 0 && [name, status.memberId].includes(named),
  )
  const lacks = isEmpty ? 'has no data yet' : 'does not answer: it must run to be recovered'
  const refusal =
    survivor === undefined
      ? `${named} was chosen to survive and ${lacks}${remains(observed)}`
      : refusalOf(survivor, answering)
  if (survivor === undefined || refusal !== undefined) return blocked('QuorumLost', refusal ?? '', operation)
  return recoverFrom(observed, survivor, request.id)
}

/** Of those that answer, which one to go on with, and what no longer answers; empty when nobody does. */
export function remains(observed: Observed): string {
  const best = furthest(candidates(observed), ({ status }) => status)
  if (best === undefined) return ''
  const lost = missing(observed, best)
  const loss = lost === 0 ? '' : `, and at least ${lost} acknowledged entries are on no member that answers`
  return `. Of those that answer, ${best.name} has most (${describeEnd(best.status)})${loss}`
}

type Candidate = ObservedPod & { readonly status: NonNullable<ObservedPod['status']> }

/** Members that answer and have data of the history in force: one that has just joined has none. */
function candidates(observed: Observed): readonly Candidate[] {
  const former = formerOrdinals(observed)
  return [...observed.pods.values()].filter(
    (pod): pod is Candidate =>
      pod.status?.clusterId === observed.cluster.recorded.clusterID &&
      !['waiting', 'removed'].includes(pod.status.role) &&
      pod.status.lastIndex > 0 &&
      !former.has(pod.ordinal),
  )
}

/** Entries up to the highest commit index that was ever told, of which the log has none. */
function missing({ cluster }: Observed, { status }: Candidate): number {
  return Math.max(0, cluster.recorded.commitIndex - status.lastIndex)
}

function refusalOf(survivor: Candidate, answering: readonly Candidate[]): string | undefined {
  const ahead = answering.filter(({ status }) => isAhead(status, survivor.status) === true)
  const best = furthest(ahead, ({ status }) => status)
  if (best !== undefined) {
    const ends = `it ends at ${describeEnd(best.status)}, and ${survivor.name} at ${describeEnd(survivor.status)}`
    return `${best.name} has more than ${survivor.name} (${ends}): name ${best.name} as the survivor`
  }
  const open = answering.find(({ status }) => isAhead(status, survivor.status) === undefined)
  if (open === undefined) return undefined
  const silent = [open, survivor].filter(({ status }) => status.lastTerm === undefined).map(({ name }) => name)
  const advice = 'set spec.image to one that does, and delete these pods; their volumes stay'
  return `whether ${open.name} has more than ${survivor.name} cannot be told: ${silent.join(' and ')} runs a version that does not report the term of its last entry: ${advice}`
}

function recoverFrom(observed: Observed, survivor: Candidate, requestId: string): Plan {
  const { status: own } = survivor
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
  const isEmpty = (ordinal: number): boolean => observed.pods.get(ordinal)?.status?.role === 'waiting'
  const stale = [...observed.volumes.values()].filter(
    ({ ordinal }) => ordinal !== survivor.ordinal && !isEmpty(ordinal),
  )
  const staleVolumes = stale.map(({ uid }) => uid)
  const history = { term: own.term, configIndex: own.configIndex, commitIndex: own.commitIndex }
  const lost = missing(observed, survivor)
  const loss = lost === 0 ? '' : `; at least ${lost} entries that were acknowledged are lost`
  return inFlight('Recovering', `${survivor.name} continues alone, as requested${loss}`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'recover', url: survivor.adminUrl ?? '', request, staleVolumes, history },
  ])
}

/** One by one while the survivor alone has the data, the rest at once when two voters have it. */
export function emptyFormer(observed: Observed): Plan | undefined {
  const { cluster, membership, volumes } = observed
  if (membership?.leader === undefined) return undefined
  const former = [...formerOrdinals(observed)]
  if (former.length === 0) return undefined
  const isSafe = isOnTwoVoters(observed)
  if (!isSafe && (isJoined(observed) || isPlaceFree(observed))) return undefined
  const places = isSafe ? former : nextPlaces(observed)
  const next = isSafe ? places : places.filter((ordinal) => isAbandoned(observed, ordinal)).slice(0, 1)
  if (next.length === 0) {
    const list = places.map((ordinal) => names.pod(cluster, ordinal)).join(' or ')
    return waiting('Recovering', `waits for ${list} to stop, to make a place for the next member`)
  }
  const toGo = [...volumes.values()].filter(({ ordinal }) => next.includes(ordinal))
  const actions = toGo.flatMap((volume) => deleteVolume(observed, volume))
  if (isSafe && actions.length === 0) return undefined
  const list = toGo.map(({ name }) => name).join(', ')
  return { ...waiting('Recovering', `what the former members had is deleted: ${list}`), actions }
}

/** Somebody is on the way to be the second voter. */
function isJoined({ membership }: Observed): boolean {
  const others = membership?.members.filter(({ id }) => id !== membership.leader?.memberId) ?? []
  return others.some(hasOrdinal)
}

/** A wanted member has a place beside or among the pods that run in which no former one was. */
function isPlaceFree(observed: Observed): boolean {
  const { start, end } = desiredPods(observed)
  const [members, former] = [memberOrdinals(observed), formerOrdinals(observed)]
  const { replicas } = observed.cluster.spec
  return Array.from({ length: Math.min(end + 1, replicas) }, (_, ordinal) => ordinal).some(
    (ordinal) => ordinal >= start && !members.has(ordinal) && !former.has(ordinal),
  )
}

/** Beside the pods that run, since a StatefulSet has one range; first the one whose volume is on its way already. */
function nextPlaces(observed: Observed): readonly number[] {
  const { start, end } = desiredPods(observed)
  const former = formerOrdinals(observed)
  const places = [...(end < observed.cluster.spec.replicas ? [end] : []), start - 1].filter((place) =>
    former.has(place),
  )
  const isGoing = (ordinal: number): boolean => observed.volumes.get(ordinal)?.isTerminating === true
  return places.toSorted((a, b) => Number(isGoing(b)) - Number(isGoing(a)))
}

/** No pod holds its volume: one whose node is gone would hold it for ever. */
function isAbandoned({ pods, volumes }: Observed, ordinal: number): boolean {
  return !pods.has(ordinal) || volumes.get(ordinal)?.isTerminating === true
}
