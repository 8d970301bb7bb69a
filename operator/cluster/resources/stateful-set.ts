/**
 * The StatefulSet: pods of all ordinals at once (Parallel), replaced only when somebody deletes them (OnDelete), volumes
 * kept whatever happens (the operator alone deletes them). Nothing about membership is in it: a member starts waiting
 * and is told what to do.
 */
import { ANNOTATIONS, type RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject } from '../ports.ts'
import {
  CLUSTER_UID_LABEL,
  labels,
  LOOK_AGAIN_ANNOTATION,
  metadata,
  names,
  selectorLabels,
  TEMPLATE_HASH_ANNOTATION,
  VOLUME,
} from './names.ts'
import { podSpec } from './pod-spec.ts'
import { templateHash } from './template-hash.ts'

/** From the first ordinal up to the one before `end`. */
export interface PodRange {
  readonly start: number
  readonly end: number
}

export interface StatefulSetOptions {
  readonly pods: PodRange
  readonly defaultImage: string
  /** Instead of what spec and defaultImage give. */
  readonly image?: string | undefined
  /** Size in the volume claim template, which cannot change; undefined for a new StatefulSet. */
  readonly templateSize: string | undefined
  readonly lookAgainAt?: string | undefined
}

export function statefulSet(cluster: RaftCluster, options: StatefulSetOptions): ApplyObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      ...metadata(cluster, names.statefulSet(cluster)),
      ...(options.lookAgainAt !== undefined && { annotations: { [LOOK_AGAIN_ANNOTATION]: options.lookAgainAt } }),
    },
    spec: {
      replicas: options.pods.end - options.pods.start,
      ordinals: { start: options.pods.start },
      serviceName: names.headlessService(cluster),
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      selector: { matchLabels: selectorLabels(cluster) },
      template: {
        metadata: {
          labels: { ...cluster.spec.podTemplate.labels, ...labels(cluster) },
          annotations: templateAnnotations(cluster),
        },
        spec: podSpec(cluster, options.image ?? imageOf(cluster, options.defaultImage)),
      },
      volumeClaimTemplates: [volumeClaimTemplate(cluster, options.templateSize)],
    },
  }
}

export function imageOf(cluster: RaftCluster, defaultImage: string): string {
  const { repository, tag } = cluster.spec.image
  const colon = defaultImage.indexOf(':', defaultImage.lastIndexOf('/') + 1)
  const defaultRepository = colon === -1 ? defaultImage : defaultImage.slice(0, colon)
  if (repository === undefined && tag === undefined) return defaultImage
  if (tag === undefined) return repository ?? defaultImage
  return `${repository ?? defaultRepository}:${tag}`
}

function templateAnnotations(cluster: RaftCluster): Record<string, string> {
  const { restartedAt } = cluster.requests
  return {
    ...cluster.spec.podTemplate.annotations,
    [TEMPLATE_HASH_ANNOTATION]: templateHash(cluster),
    ...(restartedAt !== undefined && { [ANNOTATIONS.restartedAt]: restartedAt }),
  }
}

function volumeClaimTemplate(cluster: RaftCluster, templateSize: string | undefined): Record<string, unknown> {
  const { size, storageClassName } = cluster.spec.storage
  return {
    metadata: { name: VOLUME, labels: { ...labels(cluster), [CLUSTER_UID_LABEL]: cluster.uid } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(storageClassName !== undefined && { storageClassName }),
      resources: { requests: { storage: templateSize ?? size } },
    },
  }
}
