/** What became of a backup, as its status says it. Pure. */
import { decodeBackupResult, type BackupResult } from '../../lib/backup-result.ts'
import { type Condition, type Finding, setCondition, timestamp } from '../api/conditions.ts'
import type { BackupStatus, RaftBackup } from '../api/raft-backup.ts'
import type { JobEnd } from '../cluster/tool-end.ts'
import { messageOf } from '../cluster/tool-jobs.ts'
import type { ObservedBackups, ObservedPod } from './observed.ts'

/** `Complete` and `Failed`, as a Job has them. */
export const COMPLETE = 'Complete'
export const FAILED = 'Failed'

/** Reason of the RaftCluster's condition, and of an event: a backup could not be restored, or its HashKV differed. */
export const VERIFY_FAILED = 'VerifyFailed'

export function isTrue(conditions: readonly Condition[], type: string): boolean {
  return conditions.some((condition) => condition.type === type && condition.status === 'True')
}

export function isFinished({ status }: RaftBackup): boolean {
  return isTrue(status.conditions, COMPLETE) || isTrue(status.conditions, FAILED)
}

/** Of a backup that is complete and was not verified. */
export function rehearsalMessage({ metadata, status }: RaftBackup): string {
  return `RaftBackup ${metadata.name} is there, but not verified: ${status.verifyMessage ?? ''}`
}

/** Its status as it is now. What has finished stays as it was written. */
export function backupStatus(observed: ObservedBackups, backup: RaftBackup, waiting: string): BackupStatus {
  if (isFinished(backup)) return backup.status
  const job = observed.jobs.find(({ backupUid }) => backupUid === backup.metadata.uid)
  const pods = observed.pods.filter(({ backupUid }) => backupUid === backup.metadata.uid)
  if (job === undefined) {
    if (backup.status.startedAt === undefined) return unfinished(observed, backup, 'Waiting', waiting)
    const message = 'its Job was deleted before it reported a result: create another RaftBackup'
    return failed(observed, backup, timestamp(observed.nowMs), 'JobLost', message)
  }
  const started = { ...backup, status: { ...backup.status, startedAt: job.startedAt } }
  if (job.end === undefined)
    return unfinished(observed, started, 'Running', messageOf(pods) ?? `Job ${job.name} is under way`)
  if (!job.end.isComplete)
    return failed(observed, started, job.end.at, reasonOf(job.end.reason), failureOf(job.end, pods))
  const result = resultIn(pods)
  if (result !== undefined) return completed(observed, started, job.end.at, result)
  const message = `Job ${job.name} ended without a result, so it is not known whether the backup is complete. Create another RaftBackup`
  return failed(observed, started, job.end.at, 'NoResult', message)
}

/** It says itself that everything was read back; nothing else counts. */
function resultIn(pods: readonly ObservedPod[]): BackupResult | undefined {
  return pods.flatMap(({ isSuccess, message }) => (isSuccess ? (decodeBackupResult(message) ?? []) : []))[0]
}

function reasonOf(reason: string): string {
  return reason === 'DeadlineExceeded' ? reason : 'BackupFailed'
}

/** What the tool wrote last says more than that the Job has failed. */
function failureOf({ reason, message }: JobEnd, pods: readonly ObservedPod[]): string {
  const cause = messageOf(pods)
  if (reason === 'DeadlineExceeded')
    return `it took longer than spec.deadlineSeconds${cause === undefined ? '' : `; last: ${cause}`}`
  return cause ?? `${reason}: ${message}`
}

function unfinished(observed: ObservedBackups, backup: RaftBackup, reason: string, message: string): BackupStatus {
  return withConditions(observed, backup, [{ type: COMPLETE, status: 'False', reason, message }])
}

function failed(
  observed: ObservedBackups,
  backup: RaftBackup,
  completedAt: string,
  reason: string,
  message: string,
): BackupStatus {
  const status = withConditions(observed, backup, [
    { type: COMPLETE, status: 'False', reason, message },
    { type: FAILED, status: 'True', reason, message },
  ])
  return { ...status, completedAt }
}

function completed(
  observed: ObservedBackups,
  backup: RaftBackup,
  completedAt: string,
  result: BackupResult,
): BackupStatus {
  const { place, name, clusterId, memberId, revision, takenAt, version, oldest, retentionFailure } = result
  const { databaseBytes, databaseSha256, storedBytes, rehearsal } = result
  const late = retentionFailure === undefined ? '' : `; expired backups could not be deleted: ${retentionFailure}`
  const message = `revision ${revision} of ${takenAt}, read back from ${place}${late}`
  const status = withConditions(observed, backup, [{ type: COMPLETE, status: 'True', reason: 'BackupTaken', message }])
  return {
    ...status,
    completedAt,
    durationSeconds: Math.max(0, Math.round((Date.parse(completedAt) - Date.parse(status.startedAt ?? '')) / 1000)),
    place,
    name,
    clusterID: clusterId,
    memberID: memberId,
    revision,
    takenAt,
    version,
    databaseBytes,
    databaseSHA256: databaseSha256,
    storedBytes,
    ...(oldest !== undefined && { oldest }),
    ...(rehearsal !== undefined && { verified: rehearsal.isVerified, verifyMessage: rehearsal.message }),
  }
}

function withConditions(
  { nowMs }: ObservedBackups,
  { metadata, status }: RaftBackup,
  findings: readonly Finding<string>[],
): BackupStatus {
  let conditions: readonly Condition[] = status.conditions
  for (const finding of findings) conditions = setCondition(conditions, finding, metadata.generation, nowMs)
  return { ...status, conditions: [...conditions] }
}
