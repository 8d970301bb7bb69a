/**
 * The StatefulSet: pods of all ordinals at once (Parallel), replaced only when somebody deletes them (OnDelete), volumes
 * kept whatever happens (the operator alone deletes them). Nothing about membership is in it: a member starts waiting
 * and is told what to do.
 */
import { ANNOTATIONS, type RaftCluster } from '../../api/raft-cluster.ts'
import type { ClaimTemplate, Form, MemberObjects } from '../form.ts'
import type { ApplyObject } from '../ports.ts'
import {
  CLUSTER_UID_LABEL,
  clusterIdAnnotation,
  FORM_ANNOTATION,
  labels,
  LOOK_AGAIN_ANNOTATION,
  metadata,
  names,
  selectorLabels,
  TEMPLATE_HASH_ANNOTATION,
  VOLUME,
} from './names.ts'
import { type PodDefaults, podSpec } from './pod-spec.ts'
import { templateHash } from './template-hash.ts'

/** From the first ordinal up to the one before `end`. */
export interface PodRange {
  readonly start: number
  readonly end: number
}

export interface StatefulSetOptions {
  readonly pods: PodRange
  readonly image: string
  readonly form: Form
  /** Its number, from 1. */
  readonly formNumber: number
  /** As it is, since it cannot change; undefined for a new StatefulSet. */
  readonly claimTemplate: ClaimTemplate | undefined
  readonly lookAgainAt?: string | undefined
}

export function statefulSet(cluster: RaftCluster, options: StatefulSetOptions): ApplyObject {
  const made = options.form(cluster, options.image)
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      ...metadata(cluster, names.statefulSet(cluster)),
      annotations: {
        ...clusterIdAnnotation(cluster.recorded.clusterID),
        ...(options.lookAgainAt !== undefined && { [LOOK_AGAIN_ANNOTATION]: options.lookAgainAt }),
      },
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
          labels: { ...cluster.spec.podTemplate.labels, ...made.labels, ...selectorLabels(cluster) },
          annotations: templateAnnotations(cluster, options.formNumber),
        },
        spec: made.pod,
      },
      volumeClaimTemplates: [options.claimTemplate ?? made.claim],
    },
  }
}

export function memberObjects(cluster: RaftCluster, image: string, defaults?: PodDefaults): MemberObjects {
  return { labels: labels(cluster), pod: podSpec(cluster, image, defaults), claim: claimTemplate(cluster) }
}

/** What spec.image leaves open is as in `base`. */
export function imageOf(cluster: RaftCluster, base: string): string {
  const { repository, tag } = cluster.spec.image
  if (tag !== undefined) return `${repository ?? repositoryOf(base)}:${tag}`
  return repository ?? base
}

/** Without tag and digest. */
function repositoryOf(image: string): string {
  const [named = ''] = image.split('@')
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  return colon === -1 ? named : named.slice(0, colon)
}

function templateAnnotations(cluster: RaftCluster, formNumber: number): Record<string, string> {
  const { restartedAt } = cluster.requests
  return {
    ...cluster.spec.podTemplate.annotations,
    [TEMPLATE_HASH_ANNOTATION]: templateHash(cluster),
    [FORM_ANNOTATION]: String(formNumber),
    ...(restartedAt !== undefined && { [ANNOTATIONS.restartedAt]: restartedAt }),
  }
}

function claimTemplate(cluster: RaftCluster): ClaimTemplate {
  const { size, storageClassName } = cluster.spec.storage
  return {
    metadata: { name: VOLUME, labels: { ...labels(cluster), [CLUSTER_UID_LABEL]: cluster.uid } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(storageClassName !== undefined && { storageClassName }),
      resources: { requests: { storage: size } },
    },
  }
}
