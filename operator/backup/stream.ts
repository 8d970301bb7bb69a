/**
 * What to do about the change stream of one ScheduledRaftBackup, and what to say of it. Level-based, like the rest.
 *
 * Invariants: no Deployment is made while another one, or a pod of one, writes into the same place; what is not the schedule's is
 * left alone; nothing counts as kept unless the pod that keeps it says so.
 *
 * Pure: equal inputs, equal plan.
 */
import type { FollowStatus } from '../../lib/follow-status.ts'
import type { Finding } from '../api/conditions.ts'
import type { ScheduledRaftBackup, StreamStatus } from '../api/raft-backup.ts'
import type { ApplyObject } from '../cluster/ports.ts'
import { messageOf } from '../cluster/tool-jobs.ts'
import { followerDeployment, followerName, placeOf, SPEC_HASH_ANNOTATION } from './follower.ts'
import type { ObservedBackups, ObservedDeployment, ObservedFollower } from './observed.ts'

export const STREAM_READY = 'ChangeStreamReady'

/** What is older than so many intervals, and so long at least, is not kept as it should be. */
const LATE_INTERVALS = 3
const MIN_LATE_MS = 60_000

export interface StreamPlan {
  readonly schedule: ScheduledRaftBackup
  /** Changes are to be kept for this schedule, and there is a cluster that makes some. */
  readonly isDue: boolean
  /** As it should be; undefined where it is so, or should not be. */
  readonly apply: ApplyObject | undefined
  readonly remove: ObservedDeployment | undefined
  /** Undefined where nothing is known, or nobody wants to. */
  readonly status: StreamStatus | undefined
  readonly finding: Finding<typeof STREAM_READY> | undefined
  /** What was not known before. */
  readonly newGap: string | undefined
}

export interface Obstacle {
  readonly reason: string
  readonly message: string
  /** What follows the cluster has nothing to follow. */
  readonly isLasting: boolean
}

export function decideStream(
  observed: ObservedBackups,
  schedule: ScheduledRaftBackup,
  obstacle: Obstacle | undefined,
): StreamPlan {
  const deployment = observed.deployments.find(({ name }) => name === followerName(schedule))
  const own = deployment?.scheduleUid === schedule.metadata.uid ? deployment : undefined
  const removed = { schedule, isDue: false, apply: undefined, remove: own, newGap: undefined }
  if (!isEnabled(schedule)) return { ...removed, status: undefined, finding: undefined }
  const kept = { ...removed, status: schedule.status.changeStream }
  if (schedule.spec.suspend) return { ...kept, finding: not('Suspended', 'spec.suspend is set') }
  if (obstacle?.isLasting === true) return { ...kept, finding: not(obstacle.reason, obstacle.message) }
  const other = elsewhere(observed, schedule, own)
  if (other !== undefined) return { ...kept, finding: not('KeptByAnother', `${other} keeps the changes in that place`) }
  if (obstacle !== undefined) return { ...kept, remove: undefined, finding: not(obstacle.reason, obstacle.message) }
  if (deployment !== undefined && own === undefined) {
    const message = `Deployment ${deployment.name} exists and does not belong to this ScheduledRaftBackup: delete it, or choose another name`
    return { ...kept, isDue: true, finding: not('DeploymentRefused', message) }
  }
  const followers = observed.followers.filter(({ scheduleUid }) => scheduleUid === schedule.metadata.uid)
  const heard = followers.flatMap(({ status }) => status ?? []).at(-1)
  const status = statusOf(schedule.status.changeStream, heard)
  return {
    schedule,
    isDue: true,
    apply: toApply(observed, schedule, own),
    remove: undefined,
    status,
    finding: findingOf(observed, schedule, status, heard, followers),
    newGap: newGap(schedule.status.changeStream, status),
  }
}

export function isEnabled({ spec, metadata }: ScheduledRaftBackup): boolean {
  return spec.changeStream?.enabled === true && metadata.deletionTimestamp === undefined
}

/** Who writes there, or is to: of several schedules the first that was made. */
function elsewhere(
  observed: ObservedBackups,
  schedule: ScheduledRaftBackup,
  own: ObservedDeployment | undefined,
): string | undefined {
  const place = placeOf(schedule.spec.destination)
  const { uid } = schedule.metadata
  const rivals = observed.schedules
    .filter((one) => isEnabled(one) && !one.spec.suspend && placeOf(one.spec.destination) === place)
    .toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
  const [first] = rivals
  if (first !== undefined && first.metadata.uid !== uid) return `ScheduledRaftBackup ${first.metadata.name}`
  // Of one that was suspended, moved or deleted there may be a Deployment, or a pod that writes its last.
  const isAnother = (one: ObservedDeployment | ObservedFollower): boolean => one.scheduleUid !== uid
  const deployment = observed.deployments.find((one) => isAnother(one) && one.place === place)
  if (deployment !== undefined) return `Deployment ${deployment.name}`
  // The own ones, too, while no Deployment waits for them to end.
  const pod = observed.followers.find(
    (one) => (isAnother(one) || own === undefined) && one.place === place && !one.isOver,
  )
  return pod === undefined ? undefined : `pod ${pod.name}`
}

function orderOf({ metadata }: ScheduledRaftBackup): string {
  return `${metadata.creationTimestamp} ${metadata.name}`
}

function toApply(
  { cluster, defaultImage }: ObservedBackups,
  schedule: ScheduledRaftBackup,
  own: ObservedDeployment | undefined,
): ApplyObject | undefined {
  if (cluster === undefined || own?.isBeingDeleted === true) return undefined
  const wanted = followerDeployment(schedule, cluster, defaultImage)
  const hash = wanted.metadata.annotations?.[SPEC_HASH_ANNOTATION]
  if (own === undefined) return wanted
  if (own.specHash === hash && own.replicas === 1) return undefined
  return { ...wanted, metadata: { ...wanted.metadata, uid: own.uid } }
}

/** What was known stays known while nobody answers, and goes when what is kept is in another place or of another cluster. */
function statusOf(before: StreamStatus | undefined, heard: FollowStatus | undefined): StreamStatus | undefined {
  if (heard === undefined) return before
  const { place, clusterId, kept, lastSegment, gap } = heard
  const isSame = before?.place === place && (clusterId === undefined || (before.clusterID ?? clusterId) === clusterId)
  return {
    ...(isSame ? before : {}),
    place,
    ...(clusterId !== undefined && { clusterID: clusterId }),
    ...(kept !== undefined && { revision: kept.revision, ...(kept.at !== undefined && { time: kept.at }) }),
    ...(lastSegment !== undefined && { lastSegment }),
    ...(gap !== undefined && { lastGap: { time: gap.at, message: gap.message, closed: gap.isClosed } }),
  }
}

function newGap(before: StreamStatus | undefined, after: StreamStatus | undefined): string | undefined {
  if (after?.lastGap === undefined || after.lastGap.time === before?.lastGap?.time) return undefined
  return after.lastGap.message
}

function findingOf(
  { nowMs }: ObservedBackups,
  schedule: ScheduledRaftBackup,
  status: StreamStatus | undefined,
  heard: FollowStatus | undefined,
  followers: readonly ObservedFollower[],
): Finding<typeof STREAM_READY> {
  const type = STREAM_READY
  if (heard?.gap?.isClosed === false) return not('Gap', heard.gap.message)
  const lateMs = Math.max(MIN_LATE_MS, LATE_INTERVALS * 1000 * (schedule.spec.changeStream?.intervalSeconds ?? 0))
  const isOnTime = status?.time !== undefined && nowMs - Date.parse(status.time) <= lateMs
  if (isOnTime)
    return { type, status: 'True', reason: 'ChangesKept', message: `all changes are kept in ${status.place}` }
  if (heard?.failure !== undefined) return not('NotKept', heard.failure.message)
  const trouble = messageOf(followers)
  if (heard === undefined && trouble !== undefined) return not('PodNotReady', trouble)
  const silence = followers.find(({ silence }) => silence !== undefined)?.silence
  if (heard === undefined && silence !== undefined) return not('NoAnswer', silence)
  if (status?.revision === undefined)
    return { type, status: 'Unknown', reason: 'Starting', message: 'nothing has been kept yet' }
  if (heard === undefined) return not('NoPod', `no pod of Deployment ${followerName(schedule)} runs`)
  return not('CatchingUp', `changes are kept up to revision ${status.revision}, and newer ones not yet`)
}

function not(reason: string, message: string): Finding<typeof STREAM_READY> {
  return { type: STREAM_READY, status: 'False', reason, message }
}
