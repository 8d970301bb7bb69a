/** What the commands read of a RaftCluster. */
import { z } from 'zod'
import { parseStatus, type RaftClusterStatus } from '../operator/api/status.ts'
import type { Kubectl } from './kubectl.ts'

const Found = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    creationTimestamp: z.string().optional(),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.looseObject({ replicas: z.number().optional(), paused: z.boolean().default(false) }),
  status: z.unknown(),
})

export interface FoundCluster {
  readonly name: string
  readonly namespace: string
  readonly replicas: number
  readonly isPaused: boolean
  readonly status: RaftClusterStatus
}

export async function getCluster(kubectl: Kubectl, name: string): Promise<FoundCluster> {
  const text = await kubectl.text(['get', 'raftcluster', name, '--output=json'])
  const { metadata, spec, status } = Found.parse(JSON.parse(text))
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    replicas: spec.replicas ?? 0,
    isPaused: spec.paused,
    status: parseStatus(status),
  }
}
