/** spec.maintenance and spec.storage.autogrow, and what status remembers of them. The API server has checked both by the schema in crds/. Pure. */
import { z } from 'zod'
import { parseQuantity } from '../../lib/quantity.ts'

export function isPositiveQuantity(text: string): boolean {
  return (parseQuantity(text) ?? 0) > 0
}

const size = z.string().max(32).refine(isPositiveQuantity, 'is not a quantity')

/** Of a whole, from 1 to 99. */
export const Percent = z.string().regex(/^[1-9][0-9]?%$/, 'must be a share from 1% to 99%')

export const Maintenance = z.object({
  defragmentation: z
    .object({
      schedule: z
        .string()
        .max(128)
        .regex(/^@[a-z]+$|^[^ ]+( +[^ ]+){4}$/, 'must have five fields, or be @hourly, @daily, @weekly or @monthly'),
      timeZone: z
        .string()
        .max(64)
        .regex(/^[A-Za-z0-9_+/-]+$/)
        .default('UTC'),
      onlyAbove: Percent.default('20%'),
    })
    .optional(),
  onNoSpace: z.enum(['Reclaim', 'Tell']).default('Reclaim'),
})

export const Autogrow = z.object({
  whenFull: Percent.default('80%'),
  by: size,
  to: size,
})

/** What volumes are to have beyond spec.storage.size. */
export const VolumeGrowth = z.object({
  size: z.string(),
  since: z.string(),
  /** The API server's answer; growth is then left alone until the spec changes. */
  refusal: z.string().optional(),
  refusedGeneration: z.number().int().optional(),
})

export type VolumeGrowth = z.output<typeof VolumeGrowth>

const Defragmented = z.object({
  name: z.string(),
  id: z.string(),
  startedAt: z.string(),
  /** Before. */
  sizeBytes: z.number().int(),
  /** Absent until it has ended. */
  freedBytes: z.number().int().optional(),
  /** Why it has failed. */
  problem: z.string().optional(),
})

const Run = z.object({
  scheduledAt: z.string(),
  startedAt: z.string(),
  /** Absent while it is under way. */
  endedAt: z.string().optional(),
  result: z.enum(['Succeeded', 'Failed', 'Incomplete', 'Missed']).optional(),
  message: z.string().default(''),
  /** Begun with, in their order. */
  members: z.array(Defragmented).default([]),
})

const Defragmentation = z.object({
  /** What the times below are of: with another schedule they begin again. */
  schedule: z.string(),
  /** The next run is for a time after this one. */
  dueAfter: z.string(),
  /** Under way, or the last one. */
  run: Run.optional(),
})

/** From the first NOSPACE alarm to the end of the last. */
const NoSpace = z.object({
  since: z.string(),
  /** The revision that history is compacted to, once that was decided. */
  compactTo: z.number().int().optional(),
  compactedAt: z.string().optional(),
  /** IDs of the members whose defragmentation has ended, well or not. */
  defragmented: z.array(z.string()).default([]),
  /** All was done, and there is no room yet. */
  exhaustedAt: z.string().optional(),
})

export const MaintenanceStatus = z.object({
  defragmentation: Defragmentation.optional(),
  noSpace: NoSpace.optional(),
})

export type MaintenanceStatus = z.output<typeof MaintenanceStatus>
export type DefragmentationStatus = z.output<typeof Defragmentation>
export type DefragmentationRun = z.output<typeof Run>
export type NoSpaceStatus = z.output<typeof NoSpace>

export function percentOf(share: string): number {
  return Number.parseInt(share, 10)
}
