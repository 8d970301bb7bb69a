/** Writes `status`, on condition that nobody changed the RaftCluster meanwhile. I/O. */
import { API_VERSION, KIND } from '../api/raft-cluster.ts'
import type { RaftClusterStatus } from '../api/status.ts'
import type { KubeObject, KubeWriter } from './ports.ts'

/**
 * `latest` is the object as last seen: an edit after that makes this a conflict, so an operation is never recorded, and
 * therefore never begun, on a spec that no longer is.
 */
export function writeStatus(writer: KubeWriter, latest: KubeObject, status: RaftClusterStatus): Promise<KubeObject> {
  const { name, namespace, resourceVersion } = latest.metadata
  return writer.applyStatus({
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name, namespace: namespace ?? '', ...(resourceVersion !== undefined && { resourceVersion }) },
    status: wire(status),
  })
}

/** An empty cluster ID means "none yet" and is left out: once it is there it can never change. */
export function wire(status: RaftClusterStatus): Readonly<Record<string, unknown>> {
  const { clusterID, ...rest } = status
  return clusterID === '' ? rest : { clusterID, ...rest }
}
