/** `backup take`: a backup, what a restore of it was like where that was asked for, and what retention leaves of older ones. */
import { writeFile } from 'node:fs/promises'
import { type BackupResult, encodeBackupResult, isOlder } from '../../lib/backup-result.ts'
import { listBackups, pruneBackups, takeBackup, type StoredBackup } from '../backup/backup.ts'
import { BackupFailed, type Destination } from '../backup/destination.ts'
import { hashOf, withSnapshot } from '../backup/source.ts'
import { sourceOf, type MemberOptions, type PlaceOptions } from './backup-place.ts'
import { rehearse } from './rehearsal.ts'
import type { ToolIo } from './tool-io.ts'
import { humanSize } from './words.ts'

export interface RetentionOptions {
  readonly keep?: number
  readonly maxAge?: number
}

export interface TakeOptions extends PlaceOptions, MemberOptions, RetentionOptions {
  readonly rehearse?: string
  readonly rehearseBytes?: number
  readonly resultFile?: string
}

export async function take(io: ToolIo, options: TakeOptions, place: Destination): Promise<void> {
  const { rehearse: directory, rehearseBytes: maxBytes, resultFile } = options
  const { taken, hash } = await withSnapshot(sourceOf(options), async (snapshot, member) => {
    // While it is read: a compaction may soon be beyond that revision.
    const hash = directory === undefined ? undefined : hashOf(member, snapshot.revision)
    const taken = await takeBackup(snapshot, place, new Date())
    return { taken, hash: await hash }
  })
  await io.out.write(`${lineOf(taken)}\n`)
  const rehearsal =
    directory === undefined || hash === undefined
      ? undefined
      : await rehearse(taken, place, hash, { directory, maxBytes })
  if (rehearsal?.isVerified === true) await io.out.write(`${rehearsal.message}\n`)
  // One that cannot be restored takes no other's place.
  const retained = rehearsal?.isVerified === false ? {} : await retain(io, taken, options, place)
  const result: BackupResult = { ...resultOf(taken, place), ...retained, ...(rehearsal !== undefined && { rehearsal }) }
  if (resultFile !== undefined) await writeFile(resultFile, encodeBackupResult(result))
  if (rehearsal?.isVerified !== false) return
  const words = `the backup was read back and is kept, but not verified: ${rehearsal.message}`
  if (resultFile === undefined) throw new BackupFailed(words)
  await io.err.write(`Warning: ${words}\n`) // the result says so, too
}

type Retained = Pick<BackupResult, 'oldest' | 'retentionFailure'>

/** The backup is there and counts, whatever becomes of older ones. */
async function retain(
  io: ToolIo,
  { manifest }: StoredBackup,
  options: TakeOptions,
  place: Destination,
): Promise<Retained> {
  if (options.keep === undefined && options.maxAge === undefined) return {}
  try {
    await prune(io, manifest.clusterId, options, place)
    const left = (await listBackups(place, manifest.clusterId)).map(({ manifest }) => manifest)
    const { revision, takenAt } = left.reduce((oldest, one) => (isOlder(one, oldest) ? one : oldest), manifest)
    return { oldest: { revision, takenAt } }
  } catch (error) {
    if (!(error instanceof BackupFailed)) throw error
    await io.err.write(`Warning: the backup is whole, but older ones were not removed: ${error.message}\n`)
    return { retentionFailure: error.message }
  }
}

function resultOf({ name, manifest }: StoredBackup, { url: place }: Destination): BackupResult {
  const { clusterId, memberId, revision, takenAt, version, databaseBytes, databaseSha256, storedBytes } = manifest
  const database = { databaseBytes, databaseSha256, storedBytes }
  return { isReadBack: true, place, name, clusterId, memberId, revision, takenAt, version, ...database }
}

export async function prune(
  io: ToolIo,
  cluster: string,
  { keep, maxAge }: RetentionOptions,
  place: Destination,
): Promise<void> {
  const maxAgeMs = maxAge === undefined ? undefined : maxAge * 24 * 60 * 60 * 1000
  for (const name of await pruneBackups(place, cluster, { keep, maxAgeMs }, new Date()))
    await io.out.write(`removed ${name}\n`)
}

export function lineOf({ name, manifest }: StoredBackup): string {
  const { revision, databaseBytes, storedBytes } = manifest
  return `${name}  revision ${revision}, ${humanSize(databaseBytes)}, ${humanSize(storedBytes)} stored`
}
