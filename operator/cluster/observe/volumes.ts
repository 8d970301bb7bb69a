/** Reads a RaftCluster's volumes. */
import { z } from 'zod'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { hasFields } from '../has-fields.ts'
import type { ObservedVolume } from '../observed.ts'
import type { KubeObject } from '../ports.ts'
import {
  claimMarks,
  CLUSTER_ID_ANNOTATION,
  CLUSTER_UID_LABEL,
  names,
  ordinalOf,
  VOLUME,
  volumeRef,
} from '../resources/names.ts'
import type { Reading } from './reading.ts'
import { stuckOf } from './stuck.ts'

export interface FoundVolume {
  readonly name: string
  readonly ours: ObservedVolume | undefined
  readonly foreign: readonly [ordinal: number, name: string] | undefined
}

/** Ours by label, and whatever else has a name that the StatefulSet is about to use: it would take that over. */
export async function readVolumes(
  reading: Reading,
  cluster: RaftCluster,
  nowMs: number,
): Promise<readonly FoundVolume[]> {
  const decode = (object: KubeObject): FoundVolume => foundVolume(cluster, object, nowMs)
  const labelled = await reading.list('PersistentVolumeClaim', decode)
  const found = new Set(labelled.map(({ name }) => name))
  const wanted = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => names.volume(cluster, ordinal))
  const { apiVersion, kind } = volumeRef(cluster, '')
  const others = await Promise.all(
    wanted.filter((name) => !found.has(name)).map((name) => reading.get(apiVersion, kind, name, decode)),
  )
  return [...labelled, ...others.filter((volume) => volume !== undefined)]
}

const Volume = z.object({
  spec: z.object({ resources: z.object({ requests: z.record(z.string(), z.string()).default({}) }).prefault({}) }),
  status: z
    .object({ capacity: z.record(z.string(), z.string()).default({}), phase: z.string().default('') })
    .prefault({}),
})

function foundVolume(cluster: RaftCluster, object: KubeObject, nowMs: number): FoundVolume {
  const { name } = object.metadata
  const ordinal = ordinalOf(`${VOLUME}-${cluster.name}`, name)
  if (ordinal === undefined) return { name, ours: undefined, foreign: undefined }
  if (!hasDataOf(cluster, object)) return { name, ours: undefined, foreign: [ordinal, name] }
  return { name, ours: volumeOf(cluster, ordinal, object, nowMs), foreign: undefined }
}

/** By the RaftCluster that it was made for, or by the cluster's own ID, which a restored RaftCluster still has. */
function hasDataOf({ uid, recorded }: RaftCluster, { metadata }: KubeObject): boolean {
  if (metadata.labels?.[CLUSTER_UID_LABEL] === uid) return true
  return recorded.clusterID !== '' && metadata.annotations?.[CLUSTER_ID_ANNOTATION] === recorded.clusterID
}

function volumeOf(cluster: RaftCluster, ordinal: number, object: KubeObject, nowMs: number): ObservedVolume {
  const { spec, status } = Volume.parse(object)
  return {
    ordinal,
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
    isTerminating: object.metadata.deletionTimestamp !== undefined,
    stuck: stuckOf(object.metadata, nowMs),
    isOwned: object.metadata.ownerReferences?.some(({ uid }) => uid === cluster.uid) ?? false,
    isMarked: hasFields(object.metadata, claimMarks(cluster)),
    clusterID: object.metadata.annotations?.[CLUSTER_ID_ANNOTATION],
    requestedSize: spec.resources.requests['storage'],
    capacity: status.capacity['storage'],
    phase: status.phase,
    refusal: undefined,
  }
}
