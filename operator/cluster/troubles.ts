/** What is wrong though the plan goes on, each with what to do about it. Pure. */
import { timestamp } from '../api/conditions.ts'
import { ANNOTATIONS } from '../api/raft-cluster.ts'
import { causeOf } from './causes.ts'
import type { Observed, ObservedMember, ObservedPod, ObservedVolume, PodTrouble } from './observed.ts'
import { names } from './resources/names.ts'
import { growthProblem, wantedSize } from './rules/autogrow.ts'
import { isSmaller } from './rules/claims.ts'
import { scheduleProblem } from './rules/defragment.ts'
import { noSpaceMessage } from './rules/reclaim.ts'
import { memberNamed } from './rules/replace.ts'

/** Of a condition. */
export type Explanation = readonly [reason: string, message: string]

/** A volume may take this long to be attached before it counts as stuck. */
const ATTACH_MS = 120_000

/** The worst first. */
export function troublesOf(observed: Observed): readonly Explanation[] {
  const { spec, isBeingDeleted } = observed.cluster
  if (isBeingDeleted || spec.replicas === 0) return [...stuck(observed), ...unknownFields(observed)]
  return [
    ...corrupt(observed),
    ...contradictions(observed),
    ...failing(observed),
    ...stuck(observed),
    ...unhealthy(observed),
    ...unanswerable(observed),
    ...unfollowed(observed),
    ...unknownFields(observed),
  ]
}

function corrupt({ membership }: Observed): readonly Explanation[] {
  const ids = (membership?.alarms ?? []).filter(({ type }) => type === 'CORRUPT').map(({ memberId }) => memberId)
  if (ids.length === 0) return []
  const list = (membership?.members ?? []).filter(({ id }) => ids.includes(id)).map(({ name }) => name)
  const who = list.length > 0 ? list.join(', ') : ids.join(', ')
  const todo = `replace it (annotation ${ANNOTATIONS.replaceMember}), then etcdctl alarm disarm`
  return [
    [
      'CorruptMember',
      `the data of ${who} differs from the others', and writes are refused until that is repaired: ${todo}`,
    ],
  ]
}

function contradictions({ pods }: Observed): readonly Explanation[] {
  return [...pods.values()]
    .filter(({ contradiction }) => contradiction !== undefined)
    .map(({ name, contradiction }) => ['ImplausibleMember', `what ${name} says cannot be true: ${contradiction}`])
}

/** A learner is not there yet, which is progress; it has no vote to be missed. */
function unhealthy(observed: Observed): readonly Explanation[] {
  const { membership, cluster, pods } = observed
  const isUnhealthy = ({ id, ordinal, isLearner }: ObservedMember): boolean =>
    ordinal === undefined || (!isLearner && membership?.activeIds.has(id) !== true)
  const unwell = (membership?.members ?? []).filter(isUnhealthy)
  if (unwell.length === 0) return []
  const list = unwell.map(({ name, id }) => name || id).join(', ')
  const empty = unwell.find(({ ordinal }) => ordinal !== undefined && pods.get(ordinal)?.status?.role === 'waiting')
  const { enabled, allowVolumeReplacement } = cluster.spec.repair
  const hint =
    empty !== undefined && !enabled
      ? `. ${empty.name} lost its volume and is not replaced while spec.repair.enabled is false`
      : allowVolumeReplacement || unwell.every(({ ordinal }) => ordinal !== undefined && hasCause(observed, ordinal))
        ? ''
        : `. One that stays away can be replaced: annotation ${ANNOTATIONS.replaceMember}`
  return [['MembersUnhealthy', `unhealthy or unknown members: ${list}${hint}`]]
}

/** Nothing that a new volume would mend. */
function hasCause(observed: Observed, ordinal: number): boolean {
  return observed.pods.get(ordinal)?.trouble?.kind !== 'volume' && causeOf(observed, ordinal) !== undefined
}

/** Reason of Degraded, and the words between the pod's name and the quoted message. */
const FAILING: Readonly<Record<Exclude<PodTrouble['kind'], 'volume'>, Explanation>> = {
  unschedulable: ['Unschedulable', 'has no node'],
  image: ['ImagePullFailed', 'cannot pull its image'],
  container: ['ContainerNotCreated', 'does not start'],
  crash: ['ContainerCrashed', 'does not stay up'],
  memory: ['OutOfMemory', 'does not stay up'],
  failed: ['PodFailed', 'has failed'],
  'not-ready': ['NotReady', 'does not become ready'],
}

function stuck({ pods, volumes }: Observed): readonly Explanation[] {
  const machine = 'its node may be gone. If that is certain: kubectl delete pod --force'
  return [
    ...[...pods.values()].flatMap((pod) => stuckAs('pod', pod, machine)),
    ...[...volumes.values()].flatMap(stuckClaim),
  ]
}

function stuckClaim(volume: ObservedVolume): readonly Explanation[] {
  return stuckAs('claim', volume, 'Kubernetes does not release it')
}

/** Who could let it go, and since when it is to. */
function stuckAs(what: string, { name, stuck }: ObservedPod | ObservedVolume, advice: string): readonly Explanation[] {
  if (stuck === undefined) return []
  const keeper = stuck.finalizers.length === 0 ? advice : `its finalizers are ${stuck.finalizers.join(', ')}`
  return [['StuckTerminating', `${what} ${name} has been terminating since ${timestamp(stuck.sinceMs)}: ${keeper}`]]
}

function failing({ pods, creationRefusal }: Observed): readonly Explanation[] {
  const refused: readonly Explanation[] =
    creationRefusal === undefined ? [] : [['PodNotCreated', `a pod cannot be created: ${creationRefusal}`]]
  const failed = [...pods.values()].flatMap(({ name, trouble, status, isTerminating }): readonly Explanation[] => {
    if (trouble === undefined || trouble.kind === 'volume' || isTerminating) return []
    // One that is to join, or catches up, is on its way.
    if (trouble.kind === 'not-ready' && ['waiting', 'learner'].includes(status?.role ?? '')) return []
    const [reason, what] = FAILING[trouble.kind]
    return [[reason, `${name} ${what}: ${trouble.message}`]]
  })
  return [...refused, ...failed]
}

/** Annotations that name nobody who could be meant. */
function unanswerable({ cluster, membership }: Observed): readonly Explanation[] {
  if (membership?.leader === undefined) return []
  const { requests, recorded } = cluster
  const troubles: Explanation[] = []
  const unknown = (annotation: string, name: string): Explanation => [
    'UnknownMember',
    `annotation ${annotation} names ${name}, which is not a member`,
  ]
  const { replaceMember, moveLeader } = requests
  const isOpen = replaceMember !== recorded.handledRequests.replaceMember
  if (replaceMember !== undefined && isOpen && memberNamed(membership, replaceMember) === undefined)
    troubles.push(unknown(ANNOTATIONS.replaceMember, replaceMember))
  if (moveLeader === undefined || moveLeader === recorded.handledRequests.moveLeader) return troubles
  const target = memberNamed(membership, moveLeader)
  if (target === undefined) troubles.push(unknown(ANNOTATIONS.moveLeader, moveLeader))
  else if (target.isLearner || !membership.activeIds.has(target.id))
    troubles.push(['NoSuccessor', `${target.name} cannot lead: it has no vote, or the leader does not hear from it`])
  return troubles
}

function unfollowed({ cluster }: Observed): readonly Explanation[] {
  const problem = scheduleProblem(cluster)
  if (problem === undefined) return []
  return [['InvalidSchedule', `spec.maintenance.defragmentation cannot be followed: ${problem}`]]
}

function unknownFields({ cluster }: Observed): readonly Explanation[] {
  const { unknownFields: fields } = cluster
  if (fields.length === 0) return []
  const list = fields.slice(0, 8).join(', ')
  return [
    ['UnknownFields', `this operator does not know ${list}, and the CRD does: install the operator of its version`],
  ]
}

/** What is wrong with volumes and the room in them. */
export function storageTroublesOf(observed: Observed): readonly Explanation[] {
  const { cluster, volumes, pods, nowMs } = observed
  const wanted = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => ordinal)
  return [
    ...noSpace(observed),
    ...notGrowing(observed),
    ...[...pods.values()].flatMap((pod) => unattached(pod, nowMs)),
    ...wanted.flatMap((ordinal) => volumeTrouble(observed, ordinal, volumes.get(ordinal))),
  ]
}

function unattached({ name, trouble }: ObservedPod, nowMs: number): readonly Explanation[] {
  if (trouble?.kind !== 'volume') return []
  const advice = `If its volume is lost: annotation ${ANNOTATIONS.replaceMember}`
  if (trouble.message !== '')
    return [['VolumeStuck', `${name} does not start: ${trouble.message.replace(/\.$/, '')}. ${advice}`]]
  if (!(nowMs - trouble.sinceMs >= ATTACH_MS)) return []
  const todo = `kubectl describe pod ${name} has the reason. ${advice}`
  return [
    ['VolumeStuck', `${name} is scheduled but does not start, perhaps because a volume cannot be attached: ${todo}`],
  ]
}

function noSpace(observed: Observed): readonly Explanation[] {
  const { membership, cluster } = observed
  const ids = (membership?.alarms ?? []).filter(({ type }) => type === 'NOSPACE').map(({ memberId }) => memberId)
  if (ids.length === 0) return []
  const list = (membership?.members ?? []).filter(({ id }) => ids.includes(id)).map(({ name }) => name)
  const quota = cluster.spec.options.quotaBytes === undefined ? '' : ` (now ${cluster.spec.options.quotaBytes})`
  const message = noSpaceMessage(observed)
  if (message !== undefined)
    return [['NoSpace', `${list.join(', ')} has no room left, and puts are refused: ${message}`]]
  const todo = `compact and defragment (etcdctl compact, etcdctl defrag), or raise spec.options.quotaBytes${quota} and spec.storage.size; then etcdctl alarm disarm`
  return [['NoSpace', `${list.join(', ')} has outgrown its quota, and puts are refused: ${todo}`]]
}

function notGrowing(observed: Observed): readonly Explanation[] {
  const problem = growthProblem(observed)
  return problem === undefined ? [] : [['AutogrowEnded', problem]]
}

function volumeTrouble(
  { cluster, foreignVolumes }: Observed,
  ordinal: number,
  volume: ObservedVolume | undefined,
): readonly Explanation[] {
  const size = wantedSize(cluster)
  const name = names.volume(cluster, ordinal)
  if (foreignVolumes.has(ordinal))
    return [
      ['ForeignVolume', `${name} exists but does not belong to this RaftCluster: delete it if its data is not needed`],
    ]
  if (volume === undefined) return [['VolumesPending', `${name} does not exist yet`]]
  if (volume.stuck !== undefined) return stuckClaim(volume)
  if (volume.phase === 'Lost') {
    return [
      [
        'VolumeLost',
        `${name} has lost its PersistentVolume: annotation ${ANNOTATIONS.replaceMember} replaces the member`,
      ],
    ]
  }
  if (volume.refusal !== undefined) return [['ProvisioningFailed', `${name} cannot be provisioned: ${volume.refusal}`]]
  if (volume.capacity === undefined || volume.phase === 'Pending') {
    return [['VolumesPending', `${name} is not bound: kubectl describe pvc ${name} has the reason`]]
  }
  if (!isSmaller(volume.capacity, size)) return []
  return [['VolumesGrowing', `${name} should grow from ${volume.capacity} to ${size}`]]
}
