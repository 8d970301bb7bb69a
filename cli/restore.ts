/** kubectl raft restore: a new RaftCluster whose first volume is filled from a backup. */
import { z } from 'zod'
import type { BackupDestination } from '../operator/api/backup-destination.ts'
import { API_VERSION, KIND } from '../operator/api/raft-cluster.ts'
import { KubectlFailed, type Kubectl } from './kubectl.ts'

export interface RestoreFrom {
  /** Name of a RaftBackup. */
  readonly backup?: string | undefined
  /** Where none is left. */
  readonly place?: BackupDestination | undefined
  /** At that place, as `backup list` prints it. */
  readonly name?: string | undefined
  /** There, whose newest is wanted. */
  readonly clusterID?: string | undefined
  readonly revision?: number | undefined
  readonly time?: string | undefined
}

/** What belongs to one cluster alone: where it came from, and what was asked of it. */
const NOT_COPIED = new Set(['bootstrap', 'recovery', 'paused'])

const Backup = z.object({ spec: z.object({ clusterName: z.string() }) })
const Cluster = z.object({ spec: z.looseObject({}) })

/** The spec of the cluster to be like: the one given, or the one that the backup is of; undefined where that is gone. */
export async function specLike(
  kubectl: Kubectl,
  like: string | undefined,
  backup: string | undefined,
): Promise<object | undefined> {
  // prettier-ignore
  const cluster = like ?? (await clusterOf(kubectl, backup))
  if (cluster === undefined) return undefined
  const text = await kubectl.text(['get', 'raftcluster', cluster, '--ignore-not-found', '--output=json'])
  if (text.trim() === '') {
    if (like !== undefined) throw new KubectlFailed(`RaftCluster ${like} does not exist, so --like cannot use its spec`)
    return undefined
  }
  const { spec } = Cluster.parse(JSON.parse(text))
  return Object.fromEntries(Object.entries(spec).filter(([field]) => !NOT_COPIED.has(field)))
}

async function clusterOf(kubectl: Kubectl, backup: string | undefined): Promise<string | undefined> {
  if (backup === undefined) return undefined
  return Backup.parse(JSON.parse(await kubectl.text(['get', 'raftbackup', backup, '--output=json']))).spec.clusterName
}

export function restoredCluster(
  name: string,
  spec: object,
  { backup, place, name: what, clusterID, revision, time }: RestoreFrom,
): object {
  // prettier-ignore
  if ((backup === undefined) === (place === undefined))
    throw new KubectlFailed('give either --backup, the name of a RaftBackup, or --from, the place where backups are')
  if (revision !== undefined && time !== undefined) throw new KubectlFailed('give either --revision or --time')
  if (place === undefined && (what !== undefined || clusterID !== undefined))
    throw new KubectlFailed('--name and --cluster-id are of a backup at the place of --from')
  const restore = {
    ...(backup !== undefined && { backup }),
    ...(place !== undefined && {
      source: { ...place, ...(what !== undefined && { name: what }), ...(clusterID !== undefined && { clusterID }) },
    }),
    ...(revision !== undefined && { revision }),
    ...(time !== undefined && { time }),
  }
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name }, spec: { ...spec, bootstrap: { restore } } }
}
