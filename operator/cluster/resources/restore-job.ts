/**
 * What a cluster out of a backup needs before its first pod: the claim of that pod, made like those of the StatefulSet, which
 * takes it over by its name, and a Job that fills it. Both say which cluster they are for. Pure.
 */
import type { Restore, RestoreSource } from '../../api/bootstrap.ts'
import { MOUNTS, VOLUMES } from '../../api/owned.ts'
import { GROUP, type RaftCluster } from '../../api/raft-cluster.ts'
import type { ClaimTemplate } from '../form.ts'
import type { ApplyObject } from '../ports.ts'
import { clusterIdAnnotation, names, ownerReference, peerUrl } from './names.ts'
import { placeAccess } from './place.ts'
import { toolPodSpec } from './tool-pod.ts'

/** The first member of a cluster out of a backup. */
export interface Seed {
  readonly ordinal: number
  readonly clusterID: string
}

/** A bucket that stumbles is asked again. What is wrong with a backup stays wrong. */
const RETRIES = 3
const KEPT_SECONDS = 86_400

export function restoreLabels(cluster: Pick<RaftCluster, 'name'>): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'raftkv-restore',
    'app.kubernetes.io/instance': cluster.name,
    'app.kubernetes.io/component': 'restore',
    'app.kubernetes.io/managed-by': 'raftcluster-operator',
    [`${GROUP}/cluster`]: cluster.name,
  }
}

export function seedClaim(
  cluster: RaftCluster,
  { ordinal, clusterID }: Seed,
  { metadata, spec }: ClaimTemplate,
): ApplyObject {
  const labels = Object.fromEntries(
    Object.entries(Object(metadata['labels'])).map(([key, value]) => [key, String(value)]),
  )
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: names.volume(cluster, ordinal),
      namespace: cluster.namespace,
      labels,
      annotations: clusterIdAnnotation(clusterID),
    },
    spec,
  }
}

export interface RestoreJobOptions {
  readonly seed: Seed
  readonly image: string
  readonly source: RestoreSource
  /** Up to which changes that came after the backup are added; of none where neither is given. */
  readonly moment: Pick<Restore, 'revision' | 'time'>
  readonly bumpRevision: number
  readonly serviceAccountName: string | undefined
}

export function restoreJob(cluster: RaftCluster, options: RestoreJobOptions): ApplyObject {
  const { image, source, moment, bumpRevision, serviceAccountName, seed } = options
  const place = placeAccess(source)
  const labels = restoreLabels(cluster)
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: names.restoreJob(cluster),
      namespace: cluster.namespace,
      labels,
      annotations: clusterIdAnnotation(seed.clusterID),
      ownerReferences: [ownerReference(cluster)],
    },
    spec: {
      backoffLimit: RETRIES,
      ttlSecondsAfterFinished: KEPT_SECONDS,
      // Two at a time would write into one volume.
      podReplacementPolicy: 'Failed',
      template: {
        metadata: { labels },
        spec: toolPodSpec(cluster, {
          image,
          args: [
            'backup',
            'restore',
            source.name,
            ...place.flags,
            ...(source.clusterID === undefined ? [] : [`--cluster=${source.clusterID}`]),
            ...(moment.revision === undefined ? [] : [`--revision=${moment.revision}`]),
            ...(moment.time === undefined ? [] : [`--time=${moment.time}`]),
            `--data-dir=${MOUNTS.data}/data`,
            `--name=${names.pod(cluster, seed.ordinal)}`,
            `--initial-advertise-peer-urls=${peerUrl(cluster, seed.ordinal)}`,
            `--cluster-id=${seed.clusterID}`,
            `--bump-revision=${bumpRevision}`,
          ],
          env: place.env,
          volumes: [
            { name: VOLUMES.data, persistentVolumeClaim: { claimName: names.volume(cluster, seed.ordinal) } },
            ...place.volumes,
          ],
          mounts: [{ name: VOLUMES.data, mountPath: MOUNTS.data }, ...place.mounts],
          serviceAccountName,
        }),
      },
    },
  }
}
