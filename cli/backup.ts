/** kubectl raft backup: makes a RaftBackup, and waits until it is complete or has failed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { BackupDestination } from '../operator/api/backup-destination.ts'
import { BACKUP_KIND, MAX_BACKUP_NAME_LENGTH } from '../operator/api/raft-backup.ts'
import { API_VERSION } from '../operator/api/raft-cluster.ts'
import { KubectlFailed, type Kubectl } from './kubectl.ts'
import { sizeOf } from './status.ts'

export const LOOK_EVERY_MS = 2000

const Schedules = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.looseObject({ clusterName: z.string(), destination: z.looseObject({}) }),
    }),
  ),
})

/** Of a schedule alone: all the rest a RaftBackup shares with the one that it is taken after. */
const OF_SCHEDULES = new Set(['schedule', 'timeZone', 'suspend', 'immediate', 'changeStream', 'verify'])

/** `name` of the schedule; undefined: the only one that the cluster has. */
export async function specAfter(kubectl: Kubectl, cluster: string, name?: string): Promise<object> {
  const { items } = Schedules.parse(JSON.parse(await kubectl.text(['get', 'scheduledraftbackups', '--output=json'])))
  const own = items.filter(({ spec }) => spec.clusterName === cluster)
  const names = own.map(({ metadata }) => metadata.name).join(', ')
  const [found, ...more] = own.filter(({ metadata }) => name === undefined || metadata.name === name)
  if (found === undefined) {
    const there = names === '' ? '' : `; there is ${names}`
    throw new KubectlFailed(
      name === undefined
        ? `${cluster} has no ScheduledRaftBackup that says where to: give --to s3://BUCKET/PREFIX or pvc://CLAIM/PATH`
        : `${cluster} has no ScheduledRaftBackup ${name}${there}`,
    )
  }
  if (more.length > 0) throw new KubectlFailed(`${cluster} has several schedules: give --like one of ${names}, or --to`)
  return Object.fromEntries(Object.entries(found.spec).filter(([field]) => !OF_SCHEDULES.has(field)))
}

export function backupObject(
  cluster: string,
  spec: { readonly destination?: BackupDestination } | object,
  nowMs: number,
): object {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+Z$/g, '').replace('T', '-') // prettier-ignore
  const name = `${cluster.slice(0, MAX_BACKUP_NAME_LENGTH - time.length - 1)}-${time}`
  return { apiVersion: API_VERSION, kind: BACKUP_KIND, metadata: { name }, spec: { ...spec, clusterName: cluster } }
}

/** The name of what was made. */
export async function create(kubectl: Kubectl, object: object): Promise<string> {
  const text = await kubectl.text(['create', '--filename=-', '--output=name'], JSON.stringify(object))
  return text.trim().split('/').at(-1) ?? ''
}

const Backup = z.object({
  status: z
    .object({
      place: z.string().default(''),
      name: z.string().default(''),
      revision: z.number().optional(),
      storedBytes: z.number().optional(),
      durationSeconds: z.number().optional(),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string().default('') }))
        .default([]),
    })
    .prefault({}),
})

/** What it has become. Rejects when it has failed, or is not complete in time. `tell` hears of each step. */
export async function awaitBackup(
  kubectl: Kubectl,
  name: string,
  timeoutSeconds: number,
  tell: (line: string) => void,
): Promise<string> {
  let told = ''
  for (let waitedMs = 0; waitedMs <= timeoutSeconds * 1000; waitedMs += LOOK_EVERY_MS) {
    if (waitedMs > 0) await sleep(LOOK_EVERY_MS)
    const { status } = Backup.parse(JSON.parse(await kubectl.text(['get', 'raftbackup', name, '--output=json'])))
    const condition = (type: string) => status.conditions.find((one) => one.type === type)
    const complete = condition('Complete')
    const failed = condition('Failed')
    if (failed?.status === 'True') throw new KubectlFailed(`${name} has failed: ${failed.reason}: ${failed.message}`)
    if (complete?.status === 'True') {
      const { place, revision, storedBytes, durationSeconds } = status
      return `${name} is complete: revision ${revision}, ${sizeOf(storedBytes)}, ${durationSeconds} s, in ${place} as ${status.name}`
    }
    const words = complete === undefined ? 'waits for the operator' : `${complete.reason}${complete.message === '' ? '' : `: ${complete.message}`}` // prettier-ignore
    if (words !== told) tell(`${name}: ${words}`)
    told = words
  }
  throw new KubectlFailed(`${name} is not complete after ${timeoutSeconds} s: ${told}. It may still become so: kubectl get raftbackup ${name}`) // prettier-ignore
}
