/**
 * The names of a member's stores in its directory `db`; what is at them is the database's (`Volume.stores`):
 *
 *   store-<index>            began as the snapshot of that index, 0 as an empty store
 *   store-<index>.<count>    the same, replaced so often because it was damaged
 *   damaged-<index>…         a store that was found damaged, by the same name otherwise: nobody reads it any more
 *   received-<index>         a snapshot of that index which was taken in and is not the store yet
 *
 * A crash can leave two stores. The newest has the highest index, and of those the highest count; it is complete. A
 * running member knows by itself which one it uses, and never asks the directory: between the question and the answer
 * another may have come.
 */
import { join } from 'node:path'
import { LogIndex } from '../../../lib/ids.ts'
import type { MemberPaths } from '../../storage/data-directory.ts'
import type { Disk } from '../../storage/disk.ts'

export interface StoreName {
  /** Index of the snapshot that it began as. */
  readonly beganAt: number
  /** How often it was replaced since. */
  readonly generation: number
}

export const FIRST_STORE: StoreName = { beganAt: 0, generation: 0 }

const STORE_NAME = /^store-([0-9]+)(?:\.([0-9]+))?$/
const DAMAGED_PREFIX = 'damaged-'
const RECEIVED_NAME = /^received-([0-9]+)$/

export function nameOf({ beganAt, generation }: StoreName): string {
  return generation === 0 ? `store-${beganAt}` : `store-${beganAt}.${generation}`
}

export function storePath(paths: MemberPaths, name: StoreName): string {
  return join(paths.db, nameOf(name))
}

/** Newer than `before`, also where that one began at the same snapshot or a later one and could not be read. */
export function installedAs(index: LogIndex, before: StoreName | undefined): StoreName {
  const name = { beganAt: index, generation: 0 }
  if (before === undefined || isNewer(name, before)) return name
  return { ...before, generation: before.generation + 1 }
}

/** Undefined when there is none. */
export async function newestStore(disk: Disk, paths: MemberPaths): Promise<StoreName | undefined> {
  let newest: StoreName | undefined
  for (const entry of await disk.list(paths.db)) {
    const [, beganAt, generation = '0'] = STORE_NAME.exec(entry) ?? []
    if (beganAt === undefined) continue
    const name = { beganAt: Number(beganAt), generation: Number(generation) }
    if (newest === undefined || isNewer(name, newest)) newest = name
  }
  return newest
}

function isNewer(name: StoreName, other: StoreName): boolean {
  return name.beganAt === other.beganAt ? name.generation > other.generation : name.beganAt > other.beganAt
}

export function damagedPath(paths: MemberPaths, name: StoreName): string {
  return join(paths.db, nameOf(name).replace(/^store-/, DAMAGED_PREFIX))
}

/** Paths. */
export async function damagedStores(disk: Disk, paths: MemberPaths): Promise<readonly string[]> {
  const entries = await disk.list(paths.db)
  return entries.filter((entry) => entry.startsWith(DAMAGED_PREFIX)).map((entry) => join(paths.db, entry))
}

export function receivedPath(paths: MemberPaths, index: LogIndex): string {
  return join(paths.db, `received-${index}`)
}

/** Indexes of the snapshots that were taken in and not installed. */
export async function receivedSnapshots(disk: Disk, paths: MemberPaths): Promise<readonly LogIndex[]> {
  const names = await disk.list(paths.db)
  return names.flatMap((name) => {
    const index = RECEIVED_NAME.exec(name)?.[1]
    return index === undefined ? [] : [LogIndex(Number(index))]
  })
}
