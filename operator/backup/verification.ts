/** Which backups of a schedule are restored to try it, and what came of it. Pure. */
import type { RaftBackup, ScheduledRaftBackup, ScheduleStatus } from '../api/raft-backup.ts'
import { COMPLETE, isTrue } from './outcome.ts'

export type VerifyStatus = Pick<ScheduleStatus, 'lastVerified' | 'backupsSinceVerified'>

/**
 * What its status says of it, with what its backups have told since then. They are told apart by the time that they were taken at:
 * the status has that of the last one it has counted.
 */
export function verifyStatus({ spec, status }: ScheduledRaftBackup, own: readonly RaftBackup[]): VerifyStatus {
  if (spec.verify === undefined) return status.lastVerified === undefined ? {} : { lastVerified: status.lastVerified }
  const counted = status.lastSuccessfulTime ?? ''
  const taken = own
    .flatMap(({ metadata: { name }, status: { conditions, revision, takenAt, verified } }) =>
      isTrue(conditions, COMPLETE) && revision !== undefined && takenAt !== undefined && takenAt > counted
        ? [{ name, revision, takenAt, verified }]
        : [],
    )
    .toSorted((a, b) => (a.takenAt < b.takenAt ? -1 : 1))
  let { lastVerified, backupsSinceVerified: since } = status
  for (const { verified, ...backup } of taken) {
    if (verified === true) lastVerified = backup
    if (verified !== undefined) since = verified ? 0 : undefined
    else if (since !== undefined) since += 1
  }
  return {
    ...(lastVerified !== undefined && { lastVerified }),
    ...(since !== undefined && { backupsSinceVerified: since }),
  }
}

/** Whether the next one is to be: the first, every Nth after one that was, and the next after one that could not be restored. */
export function isToVerify({ spec }: ScheduledRaftBackup, { backupsSinceVerified: since }: VerifyStatus): boolean {
  return spec.verify !== undefined && (since === undefined || since + 1 >= spec.verify.every)
}
