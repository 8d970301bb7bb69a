/** How a Job's pod reaches the members of a cluster as a client. Pure. */
import { PORTS } from '../api/owned.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import { hostName } from '../cluster/resources/names.ts'

type Json = Readonly<Record<string, unknown>>

export interface ClientAccess {
  /** Flags of `backup take`. */
  readonly flags: readonly string[]
  readonly volumes: readonly Json[]
  readonly mounts: readonly Json[]
}

/** Each member by its own name: which of them follows, the one who asks finds out. */
export function clientAccess(cluster: RaftCluster): ClientAccess {
  const ordinals = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => ordinal)
  const urls = ordinals.map((ordinal) => `http://${hostName(cluster, ordinal)}:${PORTS.client}`)
  return { flags: [`--endpoints=${urls.join(',')}`], volumes: [], mounts: [] }
}
