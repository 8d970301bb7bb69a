/** The RaftCluster as the test reads it: only what it holds against other observations. */
import { z } from 'zod'
import type { ClusterSeen, ConditionSeen } from '../checks/conditions.ts'

const Condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().default(''),
  message: z.string().default(''),
  observedGeneration: z.number().default(0),
})

const TlsSide = z.object({
  phase: z.string().default('Disabled'),
  /** When the first of its certificates ends, and when its CA does. */
  notAfter: z.string().default(''),
  authorityNotAfter: z.string().default(''),
})

const RaftCluster = z.object({
  metadata: z.object({ generation: z.number() }),
  spec: z.object({ replicas: z.number() }),
  status: z
    .object({
      observedGeneration: z.number().default(0),
      leader: z.string().default(''),
      voters: z.number().default(0),
      readyReplicas: z.number().default(0),
      members: z.array(z.object({ name: z.string(), id: z.string() })).default([]),
      handledRequests: z.object({ moveLeader: z.string().default('') }).prefault({}),
      operation: z.object({ type: z.string(), step: z.string(), ordinal: z.number() }).optional(),
      conditions: z.array(Condition).default([]),
      tls: z.object({ peer: TlsSide.prefault({}), client: TlsSide.prefault({}) }).prefault({}),
    })
    .prefault({}),
})

export type RaftCluster = z.output<typeof RaftCluster>

export function parseRaftCluster(object: unknown): RaftCluster {
  return RaftCluster.parse(object)
}

export function seen(cluster: RaftCluster, atMs: number): ClusterSeen {
  const { metadata, spec, status } = cluster
  const conditions: Record<string, ConditionSeen> = {}
  for (const condition of status.conditions) conditions[condition.type] = condition
  return {
    atMs,
    conditions,
    generation: metadata.generation,
    observedGeneration: status.observedGeneration,
    replicas: spec.replicas,
    voters: status.voters,
    readyReplicas: status.readyReplicas,
  }
}

/** What it lacks to be Ready as `spec` has it now; empty when it is. */
export function lacks(cluster: RaftCluster): string {
  const { metadata, spec, status } = cluster
  const ready = status.conditions.find(({ type }) => type === 'Ready')
  if (ready === undefined) return 'no condition Ready yet'
  if (ready.observedGeneration !== metadata.generation) return 'the operator has not seen the last change yet'
  if (ready.status !== 'True') return `Ready is ${ready.status}: ${ready.reason}: ${ready.message}`
  if (status.voters !== spec.replicas) return `${status.voters} voters of ${spec.replicas}`
  return ''
}
