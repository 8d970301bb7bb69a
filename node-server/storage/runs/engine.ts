/** Stores in runs as `Volume.stores` wants them. */
import { RUN_SIZES, type RunSizes } from '../../limits.ts'
import { readMeta, type Meta } from '../../mvcc/meta.ts'
import { realDisk, type Disk } from '../disk.ts'
import type { StoreEngine } from '../store-engine.ts'
import { receiveArchive } from './archive.ts'
import { RunsBackend } from './runs-backend.ts'
import { threadWriter, type StartWriter } from './writer-link.ts'

/** What differs from the others: a store is opened by asynchronous calls, and its writer is a thread that has to start. */
export type RunsEngine = Omit<StoreEngine, 'open'> & { open(path: string): Promise<RunsBackend> }

export function runsEngine(
  disk: Disk = realDisk,
  startWriter: StartWriter = threadWriter,
  sizes: RunSizes = RUN_SIZES,
): RunsEngine {
  const read = async <Value>(path: string, use: (store: RunsBackend) => Value): Promise<Value> => {
    const store = await RunsBackend.openReadOnly(disk, path, sizes)
    try {
      return use(store)
    } finally {
      await store.close()
    }
  }
  return {
    open: (path) => RunsBackend.open(disk, path, startWriter, sizes),
    read,
    receive: async (path, pieces): Promise<Meta> => {
      await receiveArchive(disk, path, pieces)
      return read(path, readMeta)
    },
    // There is no version before.
    former: () => Promise.resolve([]),
    takeOver: () => Promise.resolve(),
  }
}
