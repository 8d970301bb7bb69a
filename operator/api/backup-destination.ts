/** Where backups are kept: a bucket or a volume. Pure. */
import { z } from 'zod'

const name = z.string().min(1).max(253)

export const S3 = z.object({
  bucket: z
    .string()
    .min(3)
    .max(63)
    .regex(/^[a-z0-9][a-z0-9.-]*[a-z0-9]$/),
  prefix: z
    .string()
    .max(256)
    .regex(/^[A-Za-z0-9][A-Za-z0-9!_.*()/-]*$/)
    .optional(),
  endpoint: z
    .string()
    .max(512)
    .regex(/^https?:\/\/\S+$/)
    .optional(),
  region: z
    .string()
    .max(64)
    .regex(/^[A-Za-z0-9-]+$/)
    .optional(),
  forcePathStyle: z.boolean().default(false),
  caSecretRef: z
    .object({
      name,
      key: z
        .string()
        .max(253)
        .regex(/^[-._a-zA-Z0-9]+$/)
        .default('ca.crt'),
    })
    .optional(),
  credentialsSecretRef: z.object({ name }).optional(),
})

export const VolumePlace = z.object({
  claimName: z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/),
  /** Below the volume's root: no part of it may lead out again. */
  path: z
    .string()
    .max(256)
    .regex(/^\w[\w.-]*(\/\w[\w.-]*)*$/)
    .optional(),
})

/** Of two that there may be, one. */
export function isOnePlace({ s3, volume }: { readonly s3?: unknown; readonly volume?: unknown }): boolean {
  return (s3 === undefined) !== (volume === undefined)
}

export const BackupDestination = z
  .object({ s3: S3.optional(), volume: VolumePlace.optional() })
  .refine(isOnePlace, 'must have either s3 or volume')

export type BackupDestination = z.output<typeof BackupDestination>
