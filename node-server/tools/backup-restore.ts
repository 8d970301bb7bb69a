/**
 * `backup restore NAME`: the data directory of the first member of a new cluster, out of a backup. The cluster's ID is given, so that
 * whoever goes on after a crash makes the same one: a directory that has it already is left as it is, and what an attempt has left
 * half-way is begun again. With a course, what was changed after the backup is added to it, up to the revision that is wanted.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { ClusterId, formatId } from '../../lib/ids.ts'
import { readBackup, type StoredBackup } from '../backup/backup.ts'
import type { Course } from '../backup/changes/course.ts'
import { BackupFailed, type Destination } from '../backup/destination.ts'
import { readIdentity, RESTORING } from '../storage/data-directory.ts'
import { realDisk } from '../storage/disk.ts'
import { replayChanges } from './replay.ts'
import { restoreSnapshot } from './snapshot-restore.ts'

export interface FirstMember {
  readonly clusterId: bigint
  readonly name: string
  readonly dataDir: string
  readonly peerUrls: string
  readonly bumpRevision: number
}

export interface Chosen {
  readonly backup: StoredBackup
  /** Undefined: what is in the backup, and nothing later. */
  readonly course: Course | undefined
}

/** What was done, for a person. Rejects with {@link BackupFailed}; nothing that could be started is there then. */
export async function restoreBackup(
  choose: () => Promise<Chosen>,
  place: Destination,
  { clusterId, name, dataDir, peerUrls, bumpRevision }: FirstMember,
): Promise<string> {
  const file = `${dataDir}.fetched.db`
  if (await isRestored(dataDir, clusterId)) return `${dataDir} has cluster ${formatId(clusterId)} already\n`
  await rm(file, { force: true })
  await rm(`${dataDir}/${RESTORING}`, { recursive: true, force: true })
  await mkdir(dataDir, { recursive: true })
  try {
    const { backup, course } = await choose()
    await pipeline(readBackup(backup, place), createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }))
    const restored = await restoreSnapshot(file, {
      name,
      dataDir,
      initialCluster: peerUrls
        .split(',')
        .map((url) => `${name}=${url}`)
        .join(','),
      initialClusterToken: formatId(clusterId),
      initialAdvertisePeerUrls: peerUrls,
      skipHashCheck: false,
      bumpRevision,
      clusterId: ClusterId(clusterId),
      ...(course !== undefined && { change: (store) => replayChanges(store, course, place) }),
    })
    if (!restored.ok) throw new BackupFailed(restored.error)
    return course === undefined ? restored.value : `${restored.value}${describeCourse(course)}\n`
  } finally {
    await rm(file, { force: true })
  }
}

function describeCourse({ base, revision, seenAtMs }: Course): string {
  const seen = seenAtMs === undefined ? '' : `, where the cluster was seen at ${new Date(seenAtMs).toISOString()}`
  return `  from ${base.name} with what was changed up to revision ${revision}${seen}`
}

async function isRestored(dataDir: string, clusterId: bigint): Promise<boolean> {
  const identity = await readIdentity(realDisk, dataDir).catch(() => undefined)
  // What cannot be read may be half of a restore, or nothing yet: the restore itself looks at what it would overwrite.
  if (identity === undefined || !identity.ok || identity.value === undefined) return false
  if (identity.value.clusterId === clusterId) return true
  throw new BackupFailed(
    `${dataDir} has a member of cluster ${formatId(identity.value.clusterId)}: give the new cluster another volume`,
  )
}
