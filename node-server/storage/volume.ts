/**
 * A file system together with the databases on it: what the disk renames or removes by name is the database's file too.
 * The simulation has a volume of its own, on its disk.
 */
import { randomBytes } from 'node:crypto'
import { statfsSync } from 'node:fs'
import type { Backend } from '../mvcc/backend.ts'
import type { Meta } from '../mvcc/meta.ts'
import { LmdbBackend, readSnapshotMeta } from './backend.ts'
import { realDisk, type Disk } from './disk.ts'
import { DEFAULT_WAL_SIZES, type WalSizes } from './wal.ts'

/** For whoever may write there. */
export interface VolumeSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface Volume {
  readonly disk: Disk
  readonly walSizes: WalSizes
  /** Creates the file when it is missing. Throws when it is not a store. */
  openBackend(path: string): Backend
  /** Which state a file written by `Backend.writeSnapshot` holds. Rejects when it is not such a file. */
  readSnapshotMeta(path: string): Promise<Meta>
  /** Of what the folder is on. */
  space(directory: string): VolumeSpace
  /** Tells two directories apart that were made for the same member. */
  newIncarnation(): bigint
}

export const realVolume: Volume = {
  disk: realDisk,
  walSizes: DEFAULT_WAL_SIZES,
  openBackend: (path) => new LmdbBackend(path),
  readSnapshotMeta,
  space(directory) {
    const { bavail, blocks, bsize } = statfsSync(directory)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
  newIncarnation: () => randomBytes(8).readBigUInt64BE(),
}
