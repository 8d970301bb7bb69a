/**
 * Snapshots from the leader, in the store's own directory: from when one is taken in it is found again after a crash, and
 * it becomes the store by a change of one directory only. Here is what a start and a running member do alike; what a
 * running member does beside it, and in which order, is in `store-files.ts`.
 */
import { join } from 'node:path'
import type { LogIndex } from '../../../lib/ids.ts'
import { readMeta } from '../../mvcc/meta.ts'
import { Store } from '../../mvcc/store.ts'
import type { MemberPaths } from '../../storage/data-directory.ts'
import type { Disk } from '../../storage/disk.ts'
import type { Volume } from '../../storage/volume.ts'
import {
  damagedPath,
  FIRST_STORE,
  installedAs,
  nameOf,
  newestStore,
  receivedPath,
  receivedSnapshots,
  storePath,
  type StoreName,
} from './store-name.ts'

export interface NamedStore {
  readonly store: Store
  readonly name: StoreName
}

/** Whether a snapshot of that entry was received, was not installed, and is still intact. */
export async function hasReceived(volume: Volume, paths: MemberPaths, index: LogIndex): Promise<boolean> {
  if (!(await receivedSnapshots(volume.disk, paths)).includes(index)) return false
  try {
    const { appliedIndex } = await volume.stores.read(receivedPath(paths, index), readMeta)
    return appliedIndex === index
  } catch {
    return false // damaged since: as if it were not there
  }
}

/** Makes the snapshot that was taken in the newest store. `before` is the newest so far. */
export async function installSnapshot(
  volume: Volume,
  paths: MemberPaths,
  index: LogIndex,
  before: StoreName | undefined,
): Promise<NamedStore> {
  const name = installedAs(index, before)
  const path = storePath(paths, name)
  await volume.disk.rename(receivedPath(paths, index), path)
  await volume.disk.syncDirectory(paths.db)
  return { name, store: new Store(await volume.stores.open(path)) }
}

/** Of a directory that no process uses: its newest store, or a new one when there is none. */
export async function openStore(volume: Volume, paths: MemberPaths): Promise<Store> {
  const name = (await newestStore(volume.disk, paths)) ?? FIRST_STORE
  return new Store(await volume.stores.open(storePath(paths, name)))
}

/** Sets a damaged store aside: nobody reads it any more, and every later start knows. It must not be open. */
export async function markDamaged(disk: Disk, paths: MemberPaths, store: StoreName): Promise<void> {
  if (!(await disk.list(paths.db)).includes(nameOf(store))) return
  await disk.rename(storePath(paths, store), damagedPath(paths, store))
  await disk.syncDirectory(paths.db)
}

/** At the start of a process nobody needs anything but the store. */
export async function removeAllBut(disk: Disk, paths: MemberPaths, store: StoreName): Promise<void> {
  for (const name of await disk.list(paths.snapshots)) await disk.remove(join(paths.snapshots, name))
  for (const name of await disk.list(paths.db)) if (name !== nameOf(store)) await disk.remove(join(paths.db, name))
}
