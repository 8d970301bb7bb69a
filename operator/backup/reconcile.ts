/**
 * One look at the backups of one cluster: observe → decide → act. Everything that it remembers is in the API server: status of
 * RaftBackups and schedules, written on condition that nobody changed them meanwhile, and Jobs whose names follow from
 * theirs. It may be ended at any await, or run twice at once by an operator that lost its lease.
 *
 * Neighbours: decide.ts (what to do), job.ts (what a Job does), observe.ts. A Job's pod does the work, with node-server/backup.
 */
import { isDeepStrictEqual } from 'node:util'
import { assert } from '../../lib/assert.ts'
import { BACKUP_READY, type Condition, type Finding, setCondition } from '../api/conditions.ts'
import { API_VERSION, KIND } from '../api/raft-cluster.ts'
import { BACKUP_KIND, type BackupMeta, type RaftBackup, SCHEDULE_KIND } from '../api/raft-backup.ts'
import { Conditions } from '../api/status.ts'
import {
  KubeError,
  type KubeObject,
  type KubeReader,
  type KubeWriter,
  type ReconcileKey,
  type ReconcileResult,
} from '../cluster/ports.ts'
import { type BackupPlan, decideBackups } from './decide.ts'
import { type AskFollower, type BackupObservation, observeBackups } from './observe.ts'
import { COMPLETE, isFinished, isTrue, VERIFY_FAILED, rehearsalMessage } from './outcome.ts'
import { statusWith, type StreamDeps, tellStream, tendStreams } from './tend-streams.ts'

export interface BackupDeps extends StreamDeps {
  readonly reader: KubeReader
  readonly askFollower: AskFollower
  readonly defaultImage: string
  /** Once for each backup that has failed, or was not verified when it was to be. */
  readonly onFailure: () => void
}

/** After a Job that the API server did not take, or somebody's edit. */
const AGAIN_MS = 3_000

export async function reconcileBackups(deps: BackupDeps, key: ReconcileKey): Promise<ReconcileResult> {
  try {
    const observation = await observeBackups(deps, key, deps.defaultImage, deps.nowMs())
    const plan = decideBackups(observation.observed)
    tellInvalid(deps, observation)
    const refusals = await startOne(deps, observation, plan)
    await reportBackups(deps, observation, plan, refusals)
    await makeDue(deps, plan)
    const streamRefusals = await tendStreams(deps, plan.streams)
    await reportSchedules(deps, observation, plan, streamRefusals)
    await reportCondition(deps, observation, plan.condition)
    for (const { metadata } of plan.superseded)
      await deps.writer.delete(refOf(BACKUP_KIND, metadata), { uid: metadata.uid })
    return { kind: 'done', requeueAfterMs: plan.requeueAfterMs, isIdle: true }
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    if (error.problem.kind === 'conflict') return { kind: 'done', requeueAfterMs: AGAIN_MS }
    return { kind: 'retry', error }
  }
}

function tellInvalid({ events }: BackupDeps, { invalid }: BackupObservation): void {
  for (const { object, message } of invalid) events.emit(object, 'Warning', 'InvalidSpec', 'Observe', message)
}

/**
 * The first that the API server takes; what it said of those before it, by UID. Where the outcome is not known, no other one is
 * tried: there would be two.
 */
async function startOne(
  { writer, events }: BackupDeps,
  { objects }: BackupObservation,
  { jobs }: BackupPlan,
): Promise<ReadonlyMap<string, string>> {
  const refusals = new Map<string, string>()
  for (const { backup, job } of jobs) {
    try {
      await writer.create(job)
      const object = objects.get(backup.metadata.uid)
      if (object !== undefined)
        events.emit(object, 'Normal', 'BackupStarted', 'Start', `Job ${job.metadata.name} begins`)
      return refusals
    } catch (error) {
      if (!(error instanceof KubeError)) throw error
      const { kind, message } = error.problem
      const isTaken = kind === 'conflict'
      if (kind === 'unavailable') throw error
      refusals.set(
        backup.metadata.uid,
        isTaken ? `Job ${job.metadata.name} exists and does not belong to this RaftBackup` : message,
      )
    }
  }
  return refusals
}

async function reportBackups(
  deps: BackupDeps,
  { objects, cluster }: BackupObservation,
  plan: BackupPlan,
  refusals: ReadonlyMap<string, string>,
): Promise<void> {
  for (const { backup, status } of plan.backups) {
    const refusal = refusals.get(backup.metadata.uid)
    const told = refusal === undefined ? status : { ...status, conditions: refused(status.conditions, refusal) }
    if (isDeepStrictEqual(told, backup.status)) continue
    await writeStatus(deps, BACKUP_KIND, backup.metadata, told)
    const ended = { ...backup, status: told }
    if (isFinished(backup) || !isFinished(ended)) continue
    tellEnd(deps, [objects.get(backup.metadata.uid), cluster], ended)
    if (!isTrue(told.conditions, COMPLETE) || told.verified === false) deps.onFailure()
  }
}

function refused(conditions: readonly Condition[], message: string): Condition[] {
  return conditions.map((condition) =>
    condition.type === COMPLETE ? { ...condition, reason: 'JobRefused', message: message.slice(0, 1024) } : condition,
  )
}

function tellEnd({ events }: BackupDeps, about: readonly (KubeObject | undefined)[], backup: RaftBackup): void {
  const { metadata, status } = backup
  const said = status.conditions.find(({ type }) => type === COMPLETE)
  const isGood = said?.status === 'True'
  for (const object of about) {
    if (object === undefined) continue
    const message = `RaftBackup ${metadata.name}: ${said?.message ?? ''}`
    events.emit(object, isGood ? 'Normal' : 'Warning', isGood ? 'BackupTaken' : 'BackupFailed', 'TakeBackup', message)
    if (status.verified === false)
      events.emit(object, 'Warning', VERIFY_FAILED, 'VerifyBackup', rehearsalMessage(backup))
  }
}

/** One that is there already is the one that was meant: its name has the schedule and the time in it. */
async function makeDue({ writer }: BackupDeps, { due }: BackupPlan): Promise<void> {
  for (const backup of due) {
    try {
      await writer.create(backup)
    } catch (error) {
      if (!(error instanceof KubeError) || error.problem.kind !== 'conflict') throw error
    }
  }
}

async function reportSchedules(
  deps: BackupDeps,
  { objects, cluster }: BackupObservation,
  { schedules, streams }: BackupPlan,
  refusals: ReadonlyMap<string, string>,
): Promise<void> {
  for (const [i, { schedule, status }] of schedules.entries()) {
    const stream = streams[i]
    assert(stream?.schedule === schedule, 'each schedule has its stream')
    const { uid } = schedule.metadata
    const told = statusWith(stream, status, refusals.get(uid), deps.nowMs())
    if (isDeepStrictEqual(told, schedule.status)) continue
    await writeStatus(deps, SCHEDULE_KIND, schedule.metadata, told)
    tellStream(deps, [objects.get(uid), cluster], stream, told)
  }
}

/** On the RaftCluster; without backups it is taken back, since an apply that no longer names it removes it. */
async function reportCondition(
  { writer, nowMs }: BackupDeps,
  { cluster }: BackupObservation,
  finding: Finding<typeof BACKUP_READY> | undefined,
): Promise<void> {
  if (cluster === undefined || cluster.metadata.deletionTimestamp !== undefined) return
  const { name, namespace = '', generation = 0, uid } = cluster.metadata
  const all = Conditions.safeParse(Object(cluster['status']).conditions).data ?? []
  const before = all.filter(({ type }) => type === BACKUP_READY)
  const after = finding === undefined ? [] : setCondition(before, finding, generation, nowMs())
  if (isDeepStrictEqual(after, before)) return
  // The UID alone: another RaftCluster of the name has other backups, and what the operator writes about members is no conflict.
  const metadata = { name, namespace, ...(uid !== undefined && { uid }) }
  await writer.applyStatus({ apiVersion: API_VERSION, kind: KIND, metadata, status: { conditions: after } })
}

async function writeStatus({ writer }: BackupDeps, kind: string, metadata: BackupMeta, status: object): Promise<void> {
  const { name, namespace, resourceVersion } = metadata
  await writer.applyStatus({ apiVersion: API_VERSION, kind, metadata: { name, namespace, resourceVersion }, status })
}

function refOf(kind: string, { name, namespace }: BackupMeta): Parameters<KubeWriter['delete']>[0] {
  return { apiVersion: API_VERSION, kind, namespace, name }
}
