/** What the controller reads of a StatefulSet, its pods, claims and revisions; defaults are the API's. */
import { z } from 'zod'
import type { StoredObject } from '../../client/object.ts'
import { Selector } from '../../client/selector.ts'

const record = z.record(z.string(), z.unknown())
const labels = z.record(z.string(), z.string())

const Template = z.looseObject({
  metadata: z.looseObject({ labels: labels.default({}), annotations: labels.default({}) }).prefault({}),
  spec: record.default({}),
})

const ClaimTemplate = z.looseObject({
  metadata: z.looseObject({ name: z.string(), labels: labels.default({}), annotations: labels.default({}) }),
  spec: record,
})

const Spec = z.object({
  replicas: z.number().default(1),
  serviceName: z.string().default(''),
  selector: Selector,
  template: Template,
  volumeClaimTemplates: z.array(ClaimTemplate).default([]),
  podManagementPolicy: z.enum(['OrderedReady', 'Parallel']).default('OrderedReady'),
  updateStrategy: z
    .object({
      type: z.enum(['RollingUpdate', 'OnDelete']).default('RollingUpdate'),
      rollingUpdate: z.object({ partition: z.number().default(0) }).nullish(),
    })
    .prefault({}),
  persistentVolumeClaimRetentionPolicy: z
    .object({
      whenDeleted: z.enum(['Retain', 'Delete']).default('Retain'),
      whenScaled: z.enum(['Retain', 'Delete']).default('Retain'),
    })
    .prefault({}),
  minReadySeconds: z.number().default(0),
  revisionHistoryLimit: z.number().default(10),
  ordinals: z.object({ start: z.number().default(0) }).prefault({}),
})

const Status = z.looseObject({ currentRevision: z.string().default(''), collisionCount: z.number().optional() })

export interface StatefulSet {
  readonly object: StoredObject
  readonly spec: z.infer<typeof Spec>
  readonly status: z.infer<typeof Status>
}

export function statefulSetOf(object: StoredObject): StatefulSet {
  return { object, spec: Spec.parse(object['spec']), status: Status.parse(object['status'] ?? {}) }
}

const PodStatus = z.object({
  phase: z.string().default('Pending'),
  conditions: z
    .array(z.object({ type: z.string(), status: z.string(), lastTransitionTime: z.string().nullish() }))
    .default([]),
})

export interface SetPod {
  readonly object: StoredObject
  readonly ordinal: number
  readonly revision: string
  readonly phase: string
  readonly isTerminating: boolean
  /** Running, with the condition Ready. */
  readonly isReady: boolean
  /** Wall clock of the change to ready. */
  readonly readySinceMs: number
}

/** Undefined for a pod whose name is not `<set>-<ordinal>`. */
export function setPodOf(setName: string, object: StoredObject): SetPod | undefined {
  const { name, labels: podLabels, deletionTimestamp } = object.metadata
  const digits = name.startsWith(`${setName}-`) ? name.slice(setName.length + 1) : ''
  if (!/^(0|[1-9]\d*)$/.test(digits)) return undefined
  const { phase, conditions } = PodStatus.parse(object['status'] ?? {})
  const ready = conditions.find(({ type }) => type === 'Ready')
  return {
    object,
    ordinal: Number(digits),
    revision: podLabels?.['controller-revision-hash'] ?? '',
    phase,
    isTerminating: deletionTimestamp !== undefined,
    isReady: phase === 'Running' && ready?.status === 'True',
    readySinceMs: Date.parse(ready?.lastTransitionTime ?? '') || 0,
  }
}

export const Revision = z.object({ revision: z.number(), data: z.unknown().optional() })

export type Template = z.infer<typeof Template>
