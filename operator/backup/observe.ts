/** Reads what there is about the backups of one cluster, live. I/O. */
import { z } from 'zod'
import { API_VERSION, KIND, parseRaftCluster } from '../api/raft-cluster.ts'
import { BACKUP_KIND, parseRaftBackup, parseScheduledRaftBackup, SCHEDULE_KIND } from '../api/raft-backup.ts'
import { PodStatus, podTrouble } from '../cluster/pod-trouble.ts'
import type { KubeObject, KubeReader, ReconcileKey } from '../cluster/ports.ts'
import type { Result } from '../../lib/result.ts'
import { BACKUP_CONTAINER, BACKUP_LABEL, backupSelector } from './job.ts'
import type { JobEnd, ObservedBackups, ObservedJob, ObservedPod } from './observed.ts'

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
  reader: KubeReader,
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
  const readBackups = readAll(backups, parseRaftBackup)
  const readSchedules = readAll(schedules, parseScheduledRaftBackup)
  const parsed = cluster === undefined ? undefined : parseRaftCluster(cluster)
  return {
    observed: {
      nowMs,
      namespace,
      clusterName: name,
      cluster: parsed?.ok === true ? parsed.value : undefined,
      defaultImage,
      backups: readBackups.values,
      schedules: readSchedules.values,
      jobs: jobs.map(jobOf),
      pods: pods.map((pod) => podOf(pod, nowMs)),
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

const JobStatus = z.object({
  status: z
    .object({
      startTime: z.string().optional(),
      completionTime: z.string().optional(),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string().default(''),
            message: z.string().default(''),
            lastTransitionTime: z.string().optional(),
          }),
        )
        .default([]),
    })
    .prefault({}),
})

type JobStatus = z.output<typeof JobStatus>['status']

function jobOf(object: KubeObject): ObservedJob {
  const { metadata } = object
  const status = JobStatus.parse(object).status
  const owner = metadata.ownerReferences?.find(({ kind }) => kind === BACKUP_KIND)
  const startedAt = status.startTime ?? metadata.creationTimestamp ?? ''
  return { name: metadata.name, backupUid: owner?.uid ?? '', startedAt, end: endOf(status, startedAt) }
}

function endOf({ conditions, completionTime }: JobStatus, startedAt: string): JobEnd | undefined {
  const last = conditions.find(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True')
  if (last === undefined) return undefined
  const { type, reason, message, lastTransitionTime } = last
  return { isComplete: type === 'Complete', at: completionTime ?? lastTransitionTime ?? startedAt, reason, message }
}

const Ended = z.object({
  status: z.object({
    containerStatuses: z
      .array(
        z.object({
          name: z.string(),
          state: z.object({
            terminated: z.object({ exitCode: z.number(), message: z.string().default('') }).optional(),
          }),
        }),
      )
      .default([]),
  }),
})

function podOf(object: KubeObject, nowMs: number): ObservedPod {
  const { metadata } = object
  const status = PodStatus.parse(object['status'] ?? {})
  const containers = Ended.safeParse(object).data?.status.containerStatuses ?? []
  const ended = containers.find(({ name }) => name === BACKUP_CONTAINER)?.state.terminated
  return {
    name: metadata.name,
    backupUid: metadata.labels?.[BACKUP_LABEL] ?? '',
    createdAt: metadata.creationTimestamp ?? '',
    isOver: status.phase === 'Succeeded' || status.phase === 'Failed',
    isSuccess: status.phase === 'Succeeded' && ended?.exitCode === 0,
    message: ended?.message ?? '',
    trouble: podTrouble(status, nowMs)?.message,
  }
}
