/** What is wrong though the plan goes on, each with what to do about it. Pure. */
import { ANNOTATIONS } from '../api/raft-cluster.ts'
import type { Observed, ObservedMember, ObservedVolume } from './observed.ts'
import { names } from './resources/names.ts'
import { isSmaller } from './rules/objects.ts'
import { memberNamed } from './rules/replace.ts'

export type Words = readonly [reason: string, message: string]

/** A volume may take this long to be attached before it counts as stuck. */
const ATTACH_MS = 120_000

/** The worst first. */
export function troublesOf(observed: Observed): readonly Words[] {
  if (observed.cluster.spec.replicas === 0) return unknownFields(observed)
  return [
    ...corrupt(observed),
    ...contradictions(observed),
    ...unhealthy(observed),
    ...unscheduled(observed),
    ...unanswerable(observed),
    ...unknownFields(observed),
  ]
}

function corrupt({ membership }: Observed): readonly Words[] {
  const ids = (membership?.alarms ?? []).filter(({ type }) => type === 'CORRUPT').map(({ memberId }) => memberId)
  if (ids.length === 0) return []
  const list = (membership?.members ?? []).filter(({ id }) => ids.includes(id)).map(({ name }) => name)
  const who = list.length > 0 ? list.join(', ') : ids.join(', ')
  const todo = `replace it (annotation ${ANNOTATIONS.replaceMember}), then etcdctl alarm disarm`
  return [['CorruptMember', `the data of ${who} differs from the others', and nothing is written until then: ${todo}`]]
}

function contradictions({ pods }: Observed): readonly Words[] {
  return [...pods.values()]
    .filter(({ contradiction }) => contradiction !== undefined)
    .map(({ name, contradiction }) => ['ImplausibleMember', `what ${name} says is not believed: ${contradiction}`])
}

/** A learner is not there yet, which is progress; it has no vote to be missed. */
function unhealthy({ membership, cluster, pods }: Observed): readonly Words[] {
  const isSick = ({ id, ordinal, isLearner }: ObservedMember): boolean =>
    ordinal === undefined || (!isLearner && membership?.activeIds.has(id) !== true)
  const sick = (membership?.members ?? []).filter(isSick)
  if (sick.length === 0) return []
  const list = sick.map(({ name, id }) => name || id).join(', ')
  const empty = sick.find(({ ordinal }) => ordinal !== undefined && pods.get(ordinal)?.status?.role === 'waiting')
  const { enabled, allowVolumeReplacement } = cluster.spec.repair
  const hint =
    empty !== undefined && !enabled
      ? `. ${empty.name} lost its volume and is not replaced while spec.repair.enabled is false`
      : allowVolumeReplacement
        ? ''
        : `. One that stays away can be replaced: annotation ${ANNOTATIONS.replaceMember}`
  return [['MembersUnhealthy', `unhealthy or not ours: ${list}${hint}`]]
}

function unscheduled({ pods }: Observed): readonly Words[] {
  return [...pods.values()].flatMap(({ name, stuck }) =>
    stuck?.kind === 'unschedulable' ? [['Unschedulable', `${name} has no node: ${stuck.message}`] as const] : [],
  )
}

/** Annotations that name nobody who could be meant. */
function unanswerable({ cluster, membership }: Observed): readonly Words[] {
  if (membership?.leader === undefined) return []
  const { requests, recorded } = cluster
  const troubles: Words[] = []
  const unknown = (annotation: string, name: string): Words => [
    'UnknownMember',
    `annotation ${annotation} names ${name}, which is no member`,
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

function unknownFields({ cluster }: Observed): readonly Words[] {
  const { unknownFields: fields } = cluster
  if (fields.length === 0) return []
  const list = fields.slice(0, 8).join(', ')
  return [
    ['UnknownFields', `this operator does not know ${list}, and the CRD does: install the operator of its version`],
  ]
}

/** What is wrong with volumes and the room in them. */
export function storageTroublesOf(observed: Observed): readonly Words[] {
  const { cluster, volumes, pods, nowMs } = observed
  const wanted = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => ordinal)
  return [
    ...noSpace(observed),
    ...[...pods.values()].flatMap(({ name, stuck }): readonly Words[] => {
      if (stuck?.kind !== 'volume' || !(nowMs - stuck.sinceMs >= ATTACH_MS)) return []
      const todo = `kubectl describe pod ${name} has the reason. If its volume is lost: annotation ${ANNOTATIONS.replaceMember}`
      return [['VolumeStuck', `${name} has a node and does not start, as while a volume cannot be attached: ${todo}`]]
    }),
    ...wanted.flatMap((ordinal) => volumeTrouble(observed, names.volume(cluster, ordinal), volumes.get(ordinal))),
  ]
}

function noSpace({ membership, cluster }: Observed): readonly Words[] {
  const ids = (membership?.alarms ?? []).filter(({ type }) => type === 'NOSPACE').map(({ memberId }) => memberId)
  if (ids.length === 0) return []
  const list = (membership?.members ?? []).filter(({ id }) => ids.includes(id)).map(({ name }) => name)
  const quota = cluster.spec.options.quotaBytes === undefined ? '' : ` (now ${cluster.spec.options.quotaBytes})`
  const todo = `compact and defragment (etcdctl compact, etcdctl defrag), or raise spec.options.quotaBytes${quota} and spec.storage.size; then etcdctl alarm disarm`
  return [['NoSpace', `${list.join(', ')} has outgrown its quota, and puts are refused: ${todo}`]]
}

function volumeTrouble({ cluster }: Observed, name: string, volume: ObservedVolume | undefined): readonly Words[] {
  const { size } = cluster.spec.storage
  if (volume === undefined) return [['VolumesPending', `${name} is not there yet`]]
  if (volume.phase === 'Lost') {
    return [
      [
        'VolumeLost',
        `${name} has lost its PersistentVolume: annotation ${ANNOTATIONS.replaceMember} replaces the member`,
      ],
    ]
  }
  if (volume.capacity === undefined || volume.phase === 'Pending') {
    return [['VolumesPending', `${name} is not bound: kubectl describe pvc ${name} has the reason`]]
  }
  if (!isSmaller(volume.capacity, size)) return []
  return [['VolumesGrowing', `${name} has ${volume.capacity} and is to have ${size}`]]
}
