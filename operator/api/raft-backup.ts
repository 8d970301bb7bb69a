/**
 * RaftBackup and ScheduledRaftBackup as the operator works with them. The API server has checked them by the schemas in crds/
 * (raft-backup.test.ts keeps the two equal); what is read here may be older than those.
 */
import { z } from 'zod'
import type { Result } from '../../lib/result.ts'
import { err, ok } from '../../lib/result.ts'
import { BackupDestination } from './backup-destination.ts'
import { isPositiveQuantity } from './maintenance.ts'
import { Conditions } from './status.ts'

export const BACKUP_KIND = 'RaftBackup'
export const SCHEDULE_KIND = 'ScheduledRaftBackup'
/** A Job and its pods are named after it. */
export const MAX_BACKUP_NAME_LENGTH = 52

const name = z.string().min(1).max(253)

const quantities = z.record(z.string(), z.union([z.string(), z.number()]).transform(String))

/** A restore of the backup is rehearsed, on so much of the disk of the Job's machine. */
const Verify = z.object({
  sizeLimit: z.string().max(32).refine(isPositiveQuantity, 'is not a quantity').default('10Gi'),
})

/** What to back up, where to, and how. */
const Template = z.object({
  clusterName: z
    .string()
    .max(40)
    .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/),
  destination: BackupDestination,
  deadlineSeconds: z.number().int().min(10).max(604_800).default(3600),
  retention: z
    .object({
      count: z.number().int().min(1).max(100_000).optional(),
      maxAgeDays: z.number().int().min(1).max(100_000).optional(),
    })
    .optional(),
  serviceAccountName: name.optional(),
  resources: z.object({ requests: quantities.optional(), limits: quantities.optional() }).optional(),
})

const Backup = Template.extend({ verify: Verify.optional() })

export type BackupSpec = z.output<typeof Backup>

const Age = z.object({ revision: z.number().int(), takenAt: z.string() })

const BackupStatus = z.object({
  startedAt: z.string().optional(),
  completedAt: z.string().optional(),
  durationSeconds: z.number().int().optional(),
  place: z.string().optional(),
  name: z.string().optional(),
  clusterID: z.string().optional(),
  memberID: z.string().optional(),
  revision: z.number().int().optional(),
  takenAt: z.string().optional(),
  version: z.string().optional(),
  databaseBytes: z.number().int().optional(),
  databaseSHA256: z.string().optional(),
  storedBytes: z.number().int().optional(),
  oldest: Age.optional(),
  verified: z.boolean().optional(),
  verifyMessage: z.string().optional(),
  conditions: Conditions,
})

/** What is changed between two backups is kept too, by a pod of its own. */
const ChangeStream = z.object({
  enabled: z.boolean().default(false),
  intervalSeconds: z.number().int().min(1).max(3600).default(10),
})

const Schedule = Template.extend({
  schedule: z.string().min(1).max(128),
  timeZone: z.string().min(1).max(64).default('UTC'),
  suspend: z.boolean().default(false),
  immediate: z.boolean().default(false),
  changeStream: ChangeStream.optional(),
  verify: Verify.extend({ every: z.number().int().min(1).max(100_000).default(1) }).optional(),
})

const StreamStatus = z.object({
  place: z.string(),
  clusterID: z.string().optional(),
  revision: z.number().int().optional(),
  time: z.string().optional(),
  lastSegment: z.object({ name: z.string(), storedBytes: z.number().int() }).optional(),
  lastGap: z.object({ time: z.string(), message: z.string(), closed: z.boolean() }).optional(),
})

const ScheduleStatus = z.object({
  lastScheduleTime: z.string().optional(),
  lastSuccessfulTime: z.string().optional(),
  lastVerified: Age.extend({ name: z.string() }).optional(),
  backupsSinceVerified: z.number().int().optional(),
  nextScheduleTime: z.string().optional(),
  changeStream: StreamStatus.optional(),
  conditions: Conditions,
})

export type BackupStatus = z.output<typeof BackupStatus>
export type ScheduleSpec = z.output<typeof Schedule>
export type ScheduleStatus = z.output<typeof ScheduleStatus>
export type StreamStatus = z.output<typeof StreamStatus>

const Meta = z.object({
  name: z.string().min(1),
  namespace: z.string().min(1),
  uid: z.string().min(1),
  resourceVersion: z.string().min(1),
  generation: z.number().int().default(0),
  creationTimestamp: z.string(),
  deletionTimestamp: z.string().optional(),
  annotations: z.record(z.string(), z.string()).default({}),
  ownerReferences: z.array(z.object({ kind: z.string(), name: z.string(), uid: z.string() })).default([]),
})

export type BackupMeta = z.output<typeof Meta>

export interface RaftBackup {
  readonly metadata: BackupMeta
  readonly spec: BackupSpec
  readonly status: BackupStatus
}

export interface ScheduledRaftBackup {
  readonly metadata: BackupMeta
  readonly spec: ScheduleSpec
  readonly status: ScheduleStatus
}

/** A status that cannot be read counts as empty. */
function resource<Spec, Status>(
  spec: z.ZodType<Spec>,
  status: z.ZodType<Status>,
): (input: unknown) => Result<{ metadata: BackupMeta; spec: Spec; status: Status }, string> {
  const shape = z.object({ metadata: Meta, spec, status: z.unknown().optional() })
  return (input) => {
    const parsed = shape.safeParse(input)
    if (!parsed.success)
      return err(parsed.error.issues.map((one) => `${one.path.join('.')}: ${one.message}`).join('; '))
    const { data } = parsed
    const read = status.safeParse(data.status ?? {})
    return ok({ metadata: data.metadata, spec: data.spec, status: read.success ? read.data : status.parse({}) })
  }
}

export const parseRaftBackup = resource(Backup, BackupStatus)
export const parseScheduledRaftBackup = resource(Schedule, ScheduleStatus)
