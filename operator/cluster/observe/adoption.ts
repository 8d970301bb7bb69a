/** Claims under the names of a cluster that is to adopt them, whoever they were made for, and which pods use them. */
import { z } from 'zod'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { awaitsAdoption, type ObservedClaim } from '../observed.ts'
import type { KubeObject } from '../ports.ts'
import { CLUSTER_ID_ANNOTATION, ordinalOf, VOLUME } from '../resources/names.ts'
import type { Reading } from './reading.ts'

const Pod = z.object({
  spec: z
    .object({
      volumes: z.array(z.object({ persistentVolumeClaim: z.object({ claimName: z.string() }).optional() })).default([]),
    })
    .prefault({}),
  status: z.object({ phase: z.string().default('') }).prefault({}),
})

/** Of the whole namespace: somebody may have mounted one to look into it. Undefined where nothing is to be adopted, or no more. */
export async function readClaims(
  reading: Reading,
  cluster: RaftCluster,
): Promise<readonly ObservedClaim[] | undefined> {
  if (!awaitsAdoption({ cluster })) return undefined
  const [claims, pods] = await Promise.all([
    reading.list('PersistentVolumeClaim', (object) => object, ''),
    reading.list('Pod', usesOf, ''),
  ])
  return claims.flatMap(({ metadata }): ObservedClaim[] => {
    const { name, annotations, deletionTimestamp } = metadata
    const ordinal = ordinalOf(`${VOLUME}-${cluster.name}`, name)
    if (ordinal === undefined) return []
    const users = pods.filter((pod) => pod.claims.includes(name)).map((pod) => pod.name)
    const isTerminating = deletionTimestamp !== undefined
    return [{ ordinal, name, clusterID: annotations?.[CLUSTER_ID_ANNOTATION], isTerminating, users }]
  })
}

/** One that has ended uses nothing. */
function usesOf(object: KubeObject): { readonly name: string; readonly claims: readonly string[] } {
  const { spec, status } = Pod.parse(object)
  const hasEnded = status.phase === 'Succeeded' || status.phase === 'Failed'
  const claims = spec.volumes.flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? [])
  return { name: object.metadata.name, claims: hasEnded ? [] : claims }
}
