/** Writes `status`, on condition that nobody changed the RaftCluster meanwhile. I/O. */
import { isDeepStrictEqual } from 'node:util'
import { API_VERSION, KIND } from '../api/raft-cluster.ts'
import type { RaftClusterStatus } from '../api/status.ts'
import { KubeError, type KubeObject, type KubeWriter, type ReconcileDeps } from './ports.ts'

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

/**
 * Also where somebody edited the rest of the RaftCluster meanwhile: what was observed is so all the same, and as many edits
 * as there may be do not keep it from being told. Throws the conflict then, too: what is wanted now was not looked at.
 */
export async function reportStatus(deps: ReconcileDeps, latest: KubeObject, status: RaftClusterStatus): Promise<void> {
  try {
    await writeStatus(deps.writer, latest, status)
  } catch (error) {
    if (!(error instanceof KubeError) || error.problem.kind !== 'conflict') throw error
    const { name, namespace = '', uid } = latest.metadata
    const now = await deps.reader.get({ apiVersion: API_VERSION, kind: KIND, namespace, name })
    const isOurs = now?.metadata.uid === uid && isDeepStrictEqual(now?.['status'], latest['status'])
    if (now !== undefined && isOurs) await writeStatus(deps.writer, now, status)
    throw error
  }
}

/** An empty cluster ID means "none yet" and is left out: once it is there it can never change. */
export function wire(status: RaftClusterStatus): Readonly<Record<string, unknown>> {
  const { clusterID, ...rest } = status
  return clusterID === '' ? rest : { clusterID, ...rest }
}
