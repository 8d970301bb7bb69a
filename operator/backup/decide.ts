/**
 * What to do about the backups of one cluster. Level-based like the cluster's own decision: everything is looked at each time,
 * and the names of what is made follow from what is there, so that a repeat makes nothing a second time.
 *
 * Invariants: a backup counts when its Job ended well and said that everything was read back; no Job begins while one of the
 * cluster is under way, or a pod of one; a RaftBackup goes by itself only where its data has gone before it, or it never
 * had any.
 *
 * Pure: equal inputs, equal plan.
 */
import { isOlder } from '../../lib/backup-result.ts'
import { type Condition, type Finding, BACKUP_READY, setCondition, timestamp } from '../api/conditions.ts'
import { API_VERSION, GROUP, type RaftCluster } from '../api/raft-cluster.ts'
import {
  BACKUP_KIND,
  SCHEDULE_KIND,
  type BackupStatus,
  type RaftBackup,
  type ScheduledRaftBackup,
  type ScheduleStatus,
} from '../api/raft-backup.ts'
import { parseSchedule, type Schedule } from '../api/schedule.ts'
import type { ApplyObject } from '../cluster/ports.ts'
import { backupJob } from './job.ts'
import type { ObservedBackups } from './observed.ts'
import { backupStatus, COMPLETE, FAILED, isFinished, isTrue, VERIFY_FAILED, rehearsalMessage } from './outcome.ts'
import { isToVerify, verifyStatus } from './verification.ts'
import { decideStream, type Obstacle, STREAM_READY, type StreamPlan } from './stream.ts'

/** On a RaftBackup that a schedule made: the time that it is for. */
export const SCHEDULED_AT_ANNOTATION = `${GROUP}/scheduled-at`

/** Of a schedule's failed backups the newest of these stay, to be looked at. */
const KEPT_FAILURES = 3
/** While a Job is under way, or one is held up. */
const UNDER_WAY_MS = 3_000
/** While a schedule waits for its cluster, and while changes are kept. */
const WATCHED_MS = 15_000
/** Nothing is to be done before then, if nobody does anything; a timer cannot wait for years. */
const SETTLED_MS = 600_000

export interface BackupPlan {
  readonly backups: readonly { readonly backup: RaftBackup; readonly status: BackupStatus }[]
  readonly schedules: readonly { readonly schedule: ScheduledRaftBackup; readonly status: ScheduleStatus }[]
  /** RaftBackups whose time has come. */
  readonly due: readonly ApplyObject[]
  /** The first that the API server takes is the one that is made. */
  readonly jobs: readonly { readonly backup: RaftBackup; readonly job: ApplyObject }[]
  readonly superseded: readonly RaftBackup[]
  readonly streams: readonly StreamPlan[]
  /** Undefined: the cluster has none. */
  readonly condition: Finding<typeof BACKUP_READY> | undefined
  readonly requeueAfterMs: number
}

export function decideBackups(observed: ObservedBackups): BackupPlan {
  const obstacle = obstacleOf(observed)
  const busy = underWay(observed)
  const waiting = obstacle?.message ?? (busy === undefined ? 'it is about to begin' : `it waits for ${busy} to end`)
  const backups = observed.backups.map((backup) => ({ backup, status: backupStatus(observed, backup, waiting) }))
  const known = backups.map(({ backup, status }) => ({ ...backup, status }))
  const streams = observed.schedules.map((schedule) => decideStream(observed, schedule, obstacle))
  const schedules = streams.map((stream) => lookAt(observed, stream, known, obstacle))
  const nextMs = Math.min(...schedules.map(({ nextMs }) => nextMs ?? Infinity)) - observed.nowMs
  const isOpen = busy !== undefined || known.some((backup) => !isFinished(backup))
  const isCalm = obstacle === undefined && streams.every(({ finding }) => finding === undefined)
  const latestMs = isCalm ? SETTLED_MS : WATCHED_MS
  return {
    backups,
    schedules,
    due: schedules.flatMap(({ due }) => due ?? []),
    jobs: obstacle !== undefined || busy !== undefined ? [] : nextJobs(observed, known),
    superseded: observed.schedules.flatMap((schedule) => supersededOf(schedule, known)),
    streams,
    condition: observed.backups.length + observed.schedules.length === 0 ? undefined : readiness(known, streams),
    requeueAfterMs: isOpen ? UNDER_WAY_MS : Math.min(latestMs, Math.max(1, nextMs)),
  }
}

/** Also the pod of a Job that is gone: it may still write. */
function underWay({ jobs, pods }: ObservedBackups): string | undefined {
  const job = jobs.find(({ end }) => end === undefined)
  const pod = pods.find(({ isOver }) => !isOver)
  if (job !== undefined) return `Job ${job.name}`
  return pod === undefined ? undefined : `pod ${pod.name}`
}

/** Why no backup can be taken of the cluster now. That it is paused is none: a backup changes nothing of it. */
function obstacleOf({ cluster, clusterName, isClusterThere }: ObservedBackups): Obstacle | undefined {
  const because = (reason: string, message: string, isLasting: boolean): Obstacle => ({ reason, message, isLasting })
  if (cluster === undefined || cluster.isBeingDeleted) {
    const message = `RaftCluster ${clusterName} does not exist or cannot be read`
    return because('ClusterNotFound', message, !isClusterThere || cluster !== undefined)
  }
  if (!isFormed(cluster)) return because('NotFormed', `RaftCluster ${clusterName} is not formed yet`, false)
  if (cluster.spec.replicas === 0)
    return because('ScaledToZero', `RaftCluster ${clusterName} has no member that runs`, true)
  return undefined
}

function isFormed({ recorded }: RaftCluster): boolean {
  return recorded.configIndex > 0
}

/** In the order in which they were made. */
function nextJobs({ cluster, jobs, defaultImage }: ObservedBackups, known: readonly RaftBackup[]): BackupPlan['jobs'] {
  if (cluster === undefined) return []
  const isMade = ({ metadata }: RaftBackup): boolean => jobs.some(({ backupUid }) => backupUid === metadata.uid)
  return known
    .filter((backup) => !isFinished(backup) && backup.metadata.deletionTimestamp === undefined && !isMade(backup))
    .toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
    .map((backup) => ({ backup, job: backupJob(backup, cluster, defaultImage) }))
}

function orderOf({ metadata }: RaftBackup): string {
  return `${metadata.creationTimestamp} ${metadata.name}`
}

interface Look {
  readonly schedule: ScheduledRaftBackup
  readonly status: ScheduleStatus
  readonly due: ApplyObject | undefined
  /** Of the next backup, while it is known. */
  readonly nextMs: number | undefined
}

function lookAt(
  observed: ObservedBackups,
  stream: StreamPlan,
  known: readonly RaftBackup[],
  obstacle: Obstacle | undefined,
): Look {
  const { schedule } = stream
  const { spec, metadata, status } = schedule
  const own = known.filter((backup) => isOf(schedule, backup))
  const parsed = parseSchedule(spec.schedule, spec.timeZone)
  const times = own.flatMap(({ metadata }) => metadata.annotations[SCHEDULED_AT_ANNOTATION] ?? [])
  const last = [status.lastScheduleTime ?? '', ...times].toSorted().at(-1) || undefined
  const isActive = parsed.ok && !spec.suspend && metadata.deletionTimestamp === undefined && obstacle === undefined
  const dueMs = isActive && own.every(isFinished) ? dueTime(schedule, parsed.value, last, observed.nowMs) : undefined
  const nextMs = parsed.ok && !spec.suspend ? parsed.value.nextMs(observed.nowMs) : undefined
  const lastSuccessfulTime = own
    .flatMap(({ status }) => (isTrue(status.conditions, COMPLETE) ? (status.takenAt ?? []) : []))
    .concat(status.lastSuccessfulTime ?? [])
    .toSorted()
    .at(-1)
  const verify = verifyStatus(schedule, own)
  const finding = readyOf(schedule, parsed.ok ? undefined : parsed.error, obstacle)
  // That of a stream that nobody wants any more goes.
  const before = status.conditions.filter(({ type }) => type !== STREAM_READY || stream.finding !== undefined)
  let conditions: readonly Condition[] = before
  for (const one of [finding, ...(stream.finding === undefined ? [] : [stream.finding])])
    conditions = setCondition(conditions, one, metadata.generation, observed.nowMs)
  return {
    schedule,
    due: dueMs === undefined ? undefined : scheduledBackup(schedule, dueMs, isToVerify(schedule, verify)),
    nextMs: isActive ? nextMs : undefined,
    status: {
      ...(last !== undefined && { lastScheduleTime: last }),
      ...(lastSuccessfulTime !== undefined && { lastSuccessfulTime }),
      ...verify,
      ...(nextMs !== undefined && { nextScheduleTime: timestamp(nextMs) }),
      ...(stream.status !== undefined && { changeStream: stream.status }),
      conditions: [...conditions],
    },
  }
}

function isOf({ metadata }: ScheduledRaftBackup, backup: RaftBackup): boolean {
  return backup.metadata.ownerReferences.some(({ uid }) => uid === metadata.uid)
}

/** However many times have passed meanwhile, the last of them is made up for, and no other. */
function dueTime(
  { spec, metadata }: ScheduledRaftBackup,
  schedule: Schedule,
  last: string | undefined,
  nowMs: number,
): number | undefined {
  const createdMs = Date.parse(metadata.creationTimestamp)
  if (last === undefined && spec.immediate) return createdMs
  const lastMs = schedule.lastMs(nowMs)
  return lastMs !== undefined && lastMs > Date.parse(last ?? metadata.creationTimestamp) ? lastMs : undefined
}

function readyOf(
  { spec }: ScheduledRaftBackup,
  problem: string | undefined,
  obstacle: Obstacle | undefined,
): Finding<'Ready'> {
  const not = (reason: string, message: string): Finding<'Ready'> => ({
    type: 'Ready',
    status: 'False',
    reason,
    message,
  })
  if (problem !== undefined) return not('InvalidSchedule', problem)
  if (spec.suspend) return not('Suspended', 'spec.suspend is set')
  if (obstacle !== undefined) return not(obstacle.reason, obstacle.message)
  return { type: 'Ready', status: 'True', reason: 'Scheduled', message: '' }
}

/** Its name says the time that it is for: however often it is made, there is one. */
function scheduledBackup({ metadata, spec }: ScheduledRaftBackup, dueMs: number, isToVerify: boolean): ApplyObject {
  const at = timestamp(dueMs)
  const { schedule: _, timeZone: __, suspend: ___, immediate: ____, changeStream: _____, verify, ...template } = spec
  const sizeLimit = isToVerify ? verify?.sizeLimit : undefined
  return {
    apiVersion: API_VERSION,
    kind: BACKUP_KIND,
    metadata: {
      name: `${metadata.name}-${at.replaceAll(/\D/g, '')}`,
      namespace: metadata.namespace,
      annotations: { [SCHEDULED_AT_ANNOTATION]: at },
      ownerReferences: [
        { apiVersion: API_VERSION, kind: SCHEDULE_KIND, name: metadata.name, uid: metadata.uid, controller: true },
      ],
    },
    spec: { ...template, ...(sizeLimit !== undefined && { verify: { sizeLimit } }) },
  }
}

/** Those of a schedule whose data retention has removed, and failures that nobody has looked at for long. */
function supersededOf(schedule: ScheduledRaftBackup, known: readonly RaftBackup[]): readonly RaftBackup[] {
  const own = known.filter((backup) => isOf(schedule, backup) && backup.metadata.deletionTimestamp === undefined)
  const failures = own
    .filter(({ status }) => isTrue(status.conditions, FAILED))
    .toSorted((a, b) => (orderOf(a) < orderOf(b) ? 1 : -1))
  return [...own.filter((backup) => isDataGone(backup, known)), ...failures.slice(KEPT_FAILURES)]
}

/** A later backup of the same cluster in the same place has told which was the oldest there. */
function isDataGone({ status }: RaftBackup, known: readonly RaftBackup[]): boolean {
  const { place, clusterID, revision, takenAt } = status
  if (revision === undefined || takenAt === undefined) return false
  return known.some(
    ({ status: later }) =>
      later.place === place &&
      later.clusterID === clusterID &&
      later.oldest !== undefined &&
      isOlder({ revision, takenAt }, later.oldest),
  )
}

/** As the last backup that has ended, and the last restore that was tried; and where changes are to be kept, as that goes. */
function readiness(known: readonly RaftBackup[], streams: readonly StreamPlan[]): Finding<typeof BACKUP_READY> {
  const backup = ofBackups(known)
  const due = streams.filter(({ isDue }) => isDue)
  const wrong = due.find(({ finding }) => finding?.status === 'False')
  const right = due.find(({ finding }) => finding?.status === 'True')
  const told = backup.status === 'False' ? undefined : (wrong ?? (backup.status === 'Unknown' ? right : undefined))
  if (told?.finding === undefined) return backup
  const { reason, message } = told.finding
  const words = `ScheduledRaftBackup ${told.schedule.metadata.name}: ${message}`
  return { type: BACKUP_READY, status: told.finding.status, reason, message: words }
}

function ofBackups(known: readonly RaftBackup[]): Finding<typeof BACKUP_READY> {
  const ended = known.filter(isFinished).toSorted((a, b) => (endOf(a) < endOf(b) ? 1 : -1))
  const type = BACKUP_READY
  const [last] = ended
  if (last === undefined)
    return { type, status: 'Unknown', reason: 'NoBackupYet', message: 'no backup of the cluster has ended yet' }
  const tried = ended.find(({ status }) => status.verified !== undefined)
  if (tried?.status.verified === false && isTrue(last.status.conditions, COMPLETE))
    return { type, status: 'False', reason: VERIFY_FAILED, message: rehearsalMessage(tried) }
  const { name } = last.metadata
  const said = last.status.conditions.find((condition: Condition) => condition.type === COMPLETE)
  const message = `RaftBackup ${name}: ${said?.message ?? ''}`
  return { type, status: said?.status ?? 'Unknown', reason: said?.reason ?? 'NotObserved', message }
}

function endOf({ status, metadata }: RaftBackup): string {
  return `${status.completedAt ?? ''} ${metadata.name}`
}
