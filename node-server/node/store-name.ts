/**
 * The names of a member's store files in its directory `db`:
 *
 *   store-<index>.mdb            began as the snapshot of that index, 0 as an empty store
 *   store-<index>.<count>.mdb    the same, defragmented so often since
 *
 * A crash can leave two of them. The newest has the highest index, and of those the highest count; it is complete.
 */
import { join } from 'node:path'
import type { MemberPaths } from '../storage/data-directory.ts'
import type { Disk } from '../storage/disk.ts'

export interface StoreFile {
  /** Index of the snapshot that it began as. */
  readonly beganAt: number
  /** How often it was defragmented since. */
  readonly generation: number
}

export const FIRST_STORE: StoreFile = { beganAt: 0, generation: 0 }

const STORE_NAME = /^store-([0-9]+)(?:\.([0-9]+))?\.mdb$/

export function storeName({ beganAt, generation }: StoreFile): string {
  return generation === 0 ? `store-${beganAt}.mdb` : `store-${beganAt}.${generation}.mdb`
}

export function storePath(paths: MemberPaths, file: StoreFile): string {
  return join(paths.db, storeName(file))
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
