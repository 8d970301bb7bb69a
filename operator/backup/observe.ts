/** Reads what there is about the backups of one cluster, live. I/O. */
import { z } from 'zod'
import { API_VERSION, KIND, parseRaftCluster } from '../api/raft-cluster.ts'
import { BACKUP_KIND, parseRaftBackup, parseScheduledRaftBackup, SCHEDULE_KIND } from '../api/raft-backup.ts'
import type { KubeObject, KubeReader, ReconcileKey } from '../cluster/ports.ts'
import { jobEnd, jobStart, toolPod } from '../cluster/tool-jobs.ts'
import type { FollowStatus } from '../../lib/follow-status.ts'
import type { Result } from '../../lib/result.ts'
import {
  followerName,
  followerSelector,
  followerUrl,
  PLACE_LABEL,
  SCHEDULE_LABEL,
  SPEC_HASH_ANNOTATION,
} from './follower.ts'
import { BACKUP_LABEL, backupSelector } from './job.ts'
import type { ObservedBackups, ObservedDeployment, ObservedFollower, ObservedJob } from './observed.ts'

/** What a pod that keeps changes reports about itself; the error says why it did not. Bounded in time. */
export type AskFollower = (url: string) => Promise<Result<FollowStatus, string>>

export interface BackupObservation {
  readonly observed: ObservedBackups
  /** As it was read; undefined where there is none. */
  readonly cluster: KubeObject | undefined
  /** RaftBackups and ScheduledRaftBackups of the cluster, by UID. */
  readonly objects: ReadonlyMap<string, KubeObject>
  /** Those that cannot be understood, with what is wrong. */
  readonly invalid: readonly { readonly object: KubeObject; readonly message: string }[]
}

export async function observeBackups(
  { reader, askFollower }: { readonly reader: KubeReader; readonly askFollower: AskFollower },
  { namespace, name }: ReconcileKey,
  defaultImage: string,
  nowMs: number,
): Promise<BackupObservation> {
  const labelSelector = backupSelector(name)
  const list = async (kind: string): Promise<readonly KubeObject[]> => {
    const all = await reader.list({ apiVersion: API_VERSION, kind, namespace })
    return all.filter((object) => clusterOf(object) === name)
  }
  // In this order: a Job that a status speaks of is then missing because it is gone, and the pod of one that has ended has ended.
  const [backups, schedules, cluster] = await Promise.all([
    list(BACKUP_KIND),
    list(SCHEDULE_KIND),
    reader.get({ apiVersion: API_VERSION, kind: KIND, namespace, name }),
  ])
  const jobs = await reader.list({ apiVersion: 'batch/v1', kind: 'Job', namespace, labelSelector })
  const pods = await reader.list({ apiVersion: 'v1', kind: 'Pod', namespace, labelSelector })
  const deployments = await listDeployments(reader, namespace, name, schedules)
  const followers = await reader.list({ apiVersion: 'v1', kind: 'Pod', namespace, labelSelector: followerSelector(name) }) // prettier-ignore
  const readBackups = readAll(backups, parseRaftBackup)
  const readSchedules = readAll(schedules, parseScheduledRaftBackup)
  const parsed = cluster === undefined ? undefined : parseRaftCluster(cluster)
  return {
    observed: {
      nowMs,
      namespace,
      clusterName: name,
      cluster: parsed?.ok === true ? parsed.value : undefined,
      isClusterThere: cluster !== undefined,
      defaultImage,
      backups: readBackups.values,
      schedules: readSchedules.values,
      jobs: jobs.map(jobOf),
      pods: pods.map((pod) => ({ ...toolPod(pod, nowMs), backupUid: pod.metadata.labels?.[BACKUP_LABEL] ?? '' })),
      deployments: deployments.map(deploymentOf),
      followers: await Promise.all(followers.toSorted(byAge).map((pod) => followerOf(pod, askFollower, nowMs))),
    },
    cluster,
    objects: new Map([...backups, ...schedules].map((object) => [object.metadata.uid ?? '', object])),
    invalid: [...readBackups.invalid, ...readSchedules.invalid],
  }
}

const Named = z.object({ spec: z.object({ clusterName: z.string() }) })

/** Of which RaftCluster a RaftBackup or a ScheduledRaftBackup is. */
export function clusterOf(object: { readonly [field: string]: unknown }): string | undefined {
  return Named.safeParse(object).data?.spec.clusterName
}

function readAll<Value>(
  objects: readonly KubeObject[],
  parse: (object: unknown) => Result<Value, string>,
): { readonly values: readonly Value[]; readonly invalid: BackupObservation['invalid'] } {
  const read = objects.map((object) => ({ object, parsed: parse(object) }))
  return {
    values: read.flatMap(({ parsed }) => (parsed.ok ? [parsed.value] : [])),
    invalid: read.flatMap(({ object, parsed }) => (parsed.ok ? [] : [{ object, message: parsed.error }])),
  }
}

function jobOf(job: KubeObject): ObservedJob {
  const { name, ownerReferences } = job.metadata
  const owner = ownerReferences?.find(({ kind }) => kind === BACKUP_KIND)
  return { name, backupUid: owner?.uid ?? '', startedAt: jobStart(job), end: jobEnd(job) }
}

/** Before their pods: one that is not there makes none that the list of pods would miss. */
async function listDeployments(
  reader: KubeReader,
  namespace: string,
  clusterName: string,
  schedules: readonly KubeObject[],
): Promise<readonly KubeObject[]> {
  const kind = { apiVersion: 'apps/v1', kind: 'Deployment', namespace }
  const labelled = await reader.list({ ...kind, labelSelector: followerSelector(clusterName) })
  const missing = schedules.map(followerName).filter((name) => labelled.every(({ metadata }) => metadata.name !== name))
  const others = await Promise.all(missing.map((name) => reader.get({ ...kind, name })))
  return [...labelled, ...others.flatMap((one) => one ?? [])]
}

function deploymentOf(object: KubeObject): ObservedDeployment {
  const { name, uid = '', ownerReferences, labels, annotations, deletionTimestamp } = object.metadata
  return {
    name,
    uid,
    scheduleUid: ownerReferences?.find(({ kind }) => kind === SCHEDULE_KIND)?.uid ?? '',
    place: labels?.[PLACE_LABEL] ?? '',
    specHash: annotations?.[SPEC_HASH_ANNOTATION] ?? '',
    replicas: Replicas.safeParse(object).data?.spec.replicas ?? 1,
    isBeingDeleted: deletionTimestamp !== undefined,
  }
}

const Replicas = z.object({ spec: z.object({ replicas: z.number() }) })

function byAge(a: KubeObject, b: KubeObject): number {
  return (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1
}

async function followerOf(pod: KubeObject, ask: AskFollower, nowMs: number): Promise<ObservedFollower> {
  const { labels } = pod.metadata
  const tool = toolPod(pod, nowMs)
  const answer = tool.isOver || tool.ip === undefined ? undefined : await ask(followerUrl(tool.ip))
  return {
    ...tool,
    scheduleUid: labels?.[SCHEDULE_LABEL] ?? '',
    place: labels?.[PLACE_LABEL] ?? '',
    status: answer?.ok === true ? answer.value : undefined,
    silence: answer?.ok === false ? answer.error : undefined,
  }
}
