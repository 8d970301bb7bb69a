/**
 * A file system together with the databases on it: what the disk renames or removes by a store's path is that store, as a
 * whole. The simulation has a volume of its own, on its disk.
 */
import { randomBytes } from 'node:crypto'
import { statfsSync } from 'node:fs'
import { realDisk, type Disk } from './disk.ts'
import { runsEngine } from './runs/engine.ts'
import type { StoreEngine } from './store-engine.ts'
import { DEFAULT_WAL_SIZES, type WalSizes } from './wal.ts'

/** For whoever may write there. */
export interface VolumeSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface Volume {
  readonly disk: Disk
  readonly walSizes: WalSizes
  readonly stores: StoreEngine
  /** Of what the folder is on. */
  space(directory: string): VolumeSpace
  /** Tells two directories apart that were made for the same member. */
  newIncarnation(): bigint
}

export const realVolume: Volume = {
  disk: realDisk,
  walSizes: DEFAULT_WAL_SIZES,
  stores: runsEngine(),
  space(directory) {
    const { bavail, blocks, bsize } = statfsSync(directory)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
  newIncarnation: () => randomBytes(8).readBigUInt64BE(),
}
