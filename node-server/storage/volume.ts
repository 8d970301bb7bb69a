/**
 * A file system together with the databases on it: what the disk renames or removes by a store's path is that store, as a
 * whole. The simulation has a volume of its own, on its disk.
 */
import { randomBytes } from 'node:crypto'
import { lmdbEngine } from './backend.ts'
import { realDisk, type Disk } from './disk.ts'
import type { StoreEngine } from './store-engine.ts'
import { DEFAULT_WAL_SIZES, type WalSizes } from './wal.ts'

export interface Volume {
  readonly disk: Disk
  readonly walSizes: WalSizes
  readonly stores: StoreEngine
  /** Tells two directories apart that were made for the same member. */
  newIncarnation(): bigint
}

export const realVolume: Volume = {
  disk: realDisk,
  walSizes: DEFAULT_WAL_SIZES,
  stores: lmdbEngine,
  newIncarnation: () => randomBytes(8).readBigUInt64BE(),
}
