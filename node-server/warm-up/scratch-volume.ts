/** A volume in memory for members that live for a moment. */
import { MemoryBackend } from '../mvcc/memory-backend.ts'
import type { StoreEngine } from '../storage/store-engine.ts'
import type { Volume } from '../storage/volume.ts'
import { scratchDisk, type ScratchDisk } from './scratch-disk.ts'

/** What is written in so short a life fits; a segment is never full. */
const SEGMENT_SIZE_BYTES = 64 * 1024 * 1024
const PREPARED_SIZE_BYTES = 64 * 1024

export function scratchVolume(): Volume {
  const disk = scratchDisk()
  return {
    disk,
    walSizes: { segmentSizeBytes: SEGMENT_SIZE_BYTES, preparedSizeBytes: PREPARED_SIZE_BYTES },
    stores: scratchStores(disk),
    space: () => ({ freeBytes: Infinity, totalBytes: Infinity }),
    newIncarnation: () => 1n,
  }
}

function scratchStores(disk: ScratchDisk): StoreEngine {
  const stores = new Map<object, ScratchBackend>()
  const never = (): Promise<never> => Promise.reject(new Error('no store is moved in a scratch volume'))
  return {
    copiesToPin: false,
    async open(path) {
      const file = disk.touch(path) // whoever looks for stores finds it by its name
      const store = stores.get(file) ?? new ScratchBackend()
      stores.set(file, store)
      return store
    },
    read: never,
    async *stream() {
      yield await never()
    },
    receive: never,
    former: async () => [],
    takeOver: async () => undefined,
  }
}

/** Opened again after it was closed, it has what it had. */
class ScratchBackend extends MemoryBackend {
  override async close(): Promise<void> {}
}
