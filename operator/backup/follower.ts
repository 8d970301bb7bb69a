/**
 * The Deployment that keeps the changes of a cluster: one pod in the members' image that runs `backup follow`, with no account at
 * the API server. It reports over HTTP what it has kept. Pure.
 *
 * A Deployment, since its pod is replaced when its node is gone. Two pods at once, one of them on a node that nobody hears of,
 * do no harm: a segment has the same changes whoever writes it.
 */
import { FOLLOW_STATUS_PATH } from '../../lib/follow-status.ts'
import type { BackupDestination } from '../api/backup-destination.ts'
import { SCHEDULE_KIND, type ScheduledRaftBackup } from '../api/raft-backup.ts'
import { API_VERSION, GROUP, type RaftCluster } from '../api/raft-cluster.ts'
import type { ApplyObject } from '../cluster/ports.ts'
import { hashOf } from '../cluster/resources/hash.ts'
import { changeStreamLabels, labelsText } from '../cluster/resources/names.ts'
import { placeAccess } from '../cluster/resources/place.ts'
import { toolPodSpec } from '../cluster/resources/tool-pod.ts'
import { clientAccess } from './access.ts'
import { besideOthers } from './beside.ts'
import { toolImage } from './job.ts'

/** On Deployments and pods: UID of the ScheduledRaftBackup. */
export const SCHEDULE_LABEL = `${GROUP}/schedule-uid`
/** On both: of where they write. */
export const PLACE_LABEL = `${GROUP}/place`
/** On a Deployment: of the spec that it was given. */
export const SPEC_HASH_ANNOTATION = `${GROUP}/spec-hash`

const STATUS_PORT = 8082
/** It ends once the segment that it is writing is written. */
const GRACE_SECONDS = 30

export function followerSelector(clusterName: string): string {
  return labelsText(changeStreamLabels({ name: clusterName }))
}

export function followerName({ metadata }: { readonly metadata: { readonly name: string } }): string {
  return `${metadata.name}-changes`
}

/** What it reports about itself. */
export function followerUrl(ip: string): string {
  return `http://${ip.includes(':') ? `[${ip}]` : ip}:${STATUS_PORT}${FOLLOW_STATUS_PATH}`
}

/** Equal for two destinations if they are the same place. */
export function placeOf({ s3, volume }: BackupDestination): string {
  if (volume !== undefined) return hashOf({ claim: volume.claimName, path: volume.path ?? '' })
  const { endpoint, bucket, prefix } = s3 ?? {}
  return hashOf({ endpoint: endpoint ?? '', bucket, prefix: (prefix ?? '').replaceAll(/^\/+|\/+$/g, '') })
}

export function followerDeployment(
  schedule: ScheduledRaftBackup,
  cluster: RaftCluster,
  defaultImage: string,
): ApplyObject {
  const { metadata, spec } = schedule
  const own = { ...changeStreamLabels(cluster), [SCHEDULE_LABEL]: metadata.uid }
  const labels = { ...own, [PLACE_LABEL]: placeOf(spec.destination) }
  const deployment = {
    replicas: 1,
    // The next pod starts once the one before has ended.
    strategy: { type: 'Recreate' },
    revisionHistoryLimit: 0,
    selector: { matchLabels: own },
    template: {
      metadata: { labels },
      spec: podSpec(schedule, cluster, defaultImage),
    },
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: followerName(schedule),
      namespace: metadata.namespace,
      labels,
      annotations: { [SPEC_HASH_ANNOTATION]: hashOf(deployment) },
      ownerReferences: [
        {
          apiVersion: API_VERSION,
          kind: SCHEDULE_KIND,
          name: metadata.name,
          uid: metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: deployment,
  }
}

function podSpec(
  { spec }: ScheduledRaftBackup,
  cluster: RaftCluster,
  defaultImage: string,
): Readonly<Record<string, unknown>> {
  const members = clientAccess(cluster)
  const place = placeAccess(spec.destination)
  return {
    ...toolPodSpec(cluster, {
      image: toolImage(cluster, defaultImage),
      args: [
        'backup',
        'follow',
        ...members.flags,
        ...place.flags,
        `--interval=${spec.changeStream?.intervalSeconds ?? 10}`,
        `--status-port=${STATUS_PORT}`,
      ],
      env: place.env,
      volumes: [...members.volumes, ...place.volumes],
      mounts: [...members.mounts, ...place.mounts],
      serviceAccountName: spec.serviceAccountName,
      resources: spec.resources,
      affinity: besideOthers(cluster, spec.destination),
      answers: { port: STATUS_PORT, path: FOLLOW_STATUS_PATH },
    }),
    terminationGracePeriodSeconds: GRACE_SECONDS,
  }
}
