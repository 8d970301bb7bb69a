/**
 * The names of a member's store files in its directory `db`:
 *
 *   store-<index>.mdb            began as the snapshot of that index, 0 as an empty store
 *   store-<index>.<count>.mdb    the same, written anew so often since: defragmented, or replaced because it was damaged
 *   received-<index>.db          a snapshot of that index which was taken in and is not the store yet
 *
 * A crash can leave two stores. The newest has the highest index, and of those the highest count; it is complete. A
 * running member knows by itself which one it uses, and never asks the directory: between the question and the answer
 * another may have come.
 */
import { join } from 'node:path'
import { LogIndex } from '../../../lib/ids.ts'
import type { MemberPaths } from '../../storage/data-directory.ts'
import type { Disk } from '../../storage/disk.ts'

export interface StoreFile {
  /** Index of the snapshot that it began as. */
  readonly beganAt: number
  /** How often it was written anew since. */
  readonly generation: number
}

export const FIRST_STORE: StoreFile = { beganAt: 0, generation: 0 }

const STORE_NAME = /^store-([0-9]+)(?:\.([0-9]+))?\.mdb$/
const RECEIVED_NAME = /^received-([0-9]+)\.db$/

export function storeName({ beganAt, generation }: StoreFile): string {
  return generation === 0 ? `store-${beganAt}.mdb` : `store-${beganAt}.${generation}.mdb`
}

export function storePath(paths: MemberPaths, file: StoreFile): string {
  return join(paths.db, storeName(file))
}

export function writtenAnew({ beganAt, generation }: StoreFile): StoreFile {
  return { beganAt, generation: generation + 1 }
}

/** Newer than `before`, also where that one began at the same snapshot or a later one and could not be read. */
export function installedAs(index: LogIndex, before: StoreFile | undefined): StoreFile {
  const file = { beganAt: index, generation: 0 }
  return before === undefined || isNewer(file, before) ? file : writtenAnew(before)
}

/** Undefined when there is none. */
export async function newestStore(disk: Disk, paths: MemberPaths): Promise<StoreFile | undefined> {
  let newest: StoreFile | undefined
  for (const name of await disk.list(paths.db)) {
    const [, beganAt, generation = '0'] = STORE_NAME.exec(name) ?? []
    if (beganAt === undefined) continue
    const file = { beganAt: Number(beganAt), generation: Number(generation) }
    if (newest === undefined || isNewer(file, newest)) newest = file
  }
  return newest
}

function isNewer(file: StoreFile, other: StoreFile): boolean {
  return file.beganAt === other.beganAt ? file.generation > other.generation : file.beganAt > other.beganAt
}

export function receivedPath(paths: MemberPaths, index: LogIndex): string {
  return join(paths.db, `received-${index}.db`)
}

/** Indexes of the snapshots that were taken in and not installed. */
export async function receivedSnapshots(disk: Disk, paths: MemberPaths): Promise<readonly LogIndex[]> {
  const names = await disk.list(paths.db)
  return names.flatMap((name) => {
    const index = RECEIVED_NAME.exec(name)?.[1]
    return index === undefined ? [] : [LogIndex(Number(index))]
  })
}
