/**
 * The Job that takes one backup: the tools in the members' own image, and nothing of the API server. What it found out it writes
 * where Kubernetes takes the container's termination message from, and that stands in the status of its pod: no account that may
 * write anything, no second object that could be missing or somebody else's. Pure.
 */
import { API_VERSION, GROUP, type RaftCluster } from '../api/raft-cluster.ts'
import { BACKUP_KIND, type RaftBackup } from '../api/raft-backup.ts'
import type { ApplyObject } from '../cluster/ports.ts'
import { backupLabels, labelsText } from '../cluster/resources/names.ts'
import { placeAccess } from '../cluster/resources/place.ts'
import { imageOf } from '../cluster/resources/stateful-set.ts'
import { RESULT_FILE, toolPodSpec } from '../cluster/resources/tool-pod.ts'
import { clientAccess } from './access.ts'
import { besideOthers } from './beside.ts'
import { rehearsalRoom } from './rehearsal-room.ts'

/** On Jobs and pods: UID of the RaftBackup. */
export const BACKUP_LABEL = `${GROUP}/backup-uid`
/** A bucket that stumbles is asked again, by a pod of its own: after 10 s, then 20 s. */
const RETRIES = 2
/** Then the Job goes, and its pods with it. Until then they can be looked at, and an operator that was away can read them. */
const KEPT_SECONDS = 86_400

export function backupSelector(clusterName: string): string {
  return labelsText(backupLabels({ name: clusterName }))
}

export function jobName(backup: RaftBackup): string {
  return `${backup.metadata.name}-backup`
}

export function backupJob(backup: RaftBackup, cluster: RaftCluster, defaultImage: string): ApplyObject {
  const { metadata, spec } = backup
  const labels = { ...backupLabels(cluster), [BACKUP_LABEL]: metadata.uid }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(backup),
      namespace: metadata.namespace,
      labels,
      ownerReferences: [
        {
          apiVersion: API_VERSION,
          kind: BACKUP_KIND,
          name: metadata.name,
          uid: metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      backoffLimit: RETRIES,
      activeDeadlineSeconds: spec.deadlineSeconds,
      ttlSecondsAfterFinished: KEPT_SECONDS,
      // The next pod starts once the one before has ended: never two at a time.
      podReplacementPolicy: 'Failed',
      template: { metadata: { labels }, spec: podSpec(backup, cluster, defaultImage) },
    },
  }
}

/** What members are made from, or are to be. */
export function toolImage(cluster: RaftCluster, defaultImage: string): string {
  return cluster.recorded.image || imageOf(cluster, cluster.recorded.base.image || defaultImage)
}

function podSpec({ spec }: RaftBackup, cluster: RaftCluster, defaultImage: string): Readonly<Record<string, unknown>> {
  const members = clientAccess(cluster)
  const place = placeAccess(spec.destination)
  const { count, maxAgeDays } = spec.retention ?? {}
  const rehearsal = rehearsalRoom(spec.verify)
  return toolPodSpec(cluster, {
    image: toolImage(cluster, defaultImage),
    args: [
      'backup',
      'take',
      ...members.flags,
      ...place.flags,
      ...(count === undefined ? [] : [`--keep=${count}`]),
      ...(maxAgeDays === undefined ? [] : [`--max-age=${maxAgeDays}`]),
      ...rehearsal.flags,
      `--result-file=${RESULT_FILE}`,
    ],
    env: place.env,
    volumes: [...members.volumes, ...place.volumes, ...rehearsal.volumes],
    mounts: [...members.mounts, ...place.mounts, ...rehearsal.mounts],
    serviceAccountName: spec.serviceAccountName,
    resources: spec.resources,
    affinity: besideOthers(cluster, spec.destination),
  })
}
