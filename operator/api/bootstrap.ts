/** What a cluster begins with, if not with nothing: spec.bootstrap, which cannot change, and the restore of a recovery. Pure. */
import { z } from 'zod'
import { isOnePlace, S3, VolumePlace } from './backup-destination.ts'

const name = z.string().min(1).max(253)
const clusterID = z
  .string()
  .regex(/^[0-9a-f]{1,16}$/, 'must be an ID as members write it: 1 to 16 digits of 0-9 and a-f')

const Source = z
  .object({
    s3: S3.optional(),
    volume: VolumePlace.optional(),
    /** As `backup list` prints it. */
    name: z.string().min(1).max(1000).default('newest'),
    /** Of which cluster the newest is wanted. */
    clusterID: clusterID.optional(),
  })
  .refine(isOnePlace, 'must have either s3 or volume')

export const Restore = z
  .object({
    /** Name of a RaftBackup. */
    backup: name.optional(),
    source: Source.optional(),
    revision: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
    /** RFC 3339, or `latest`. */
    time: z
      .string()
      .max(64)
      .regex(/^(latest|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))$/)
      .optional(),
    bumpRevision: z.number().int().min(0).max(1_000_000_000_000).default(1_000_000_000),
    serviceAccountName: name.optional(),
  })
  .refine(
    ({ backup, source }) => (backup === undefined) !== (source === undefined),
    'must have either backup or source',
  )
  .refine(({ revision, time }) => revision === undefined || time === undefined, 'must not have both revision and time')

export const Bootstrap = z
  .object({ restore: Restore.optional(), adopt: z.object({ clusterID }).optional() })
  .refine(
    ({ restore, adopt }) => (restore === undefined) !== (adopt === undefined),
    'must have either restore or adopt',
  )

export type Restore = z.output<typeof Restore>
export type RestoreSource = z.output<typeof Source>
