/** A copy of the store for a client, to be read once from its start to its end. */
import type { Store } from '../../mvcc/store.ts'
import type { Disk } from '../../storage/disk.ts'

/** A file of one commit. */
export interface StoreCopy {
  readonly sizeBytes: number
  /** The next bytes; none at the end. */
  read(maxBytes: number): Promise<Buffer>
  /** Gives its space on the disk back. */
  close(): Promise<void>
}

/**
 * Copies the store's last commit to `path` and opens it. The name is gone when it resolves: however the process ends, the
 * copy ends with it.
 */
export async function openCopy(disk: Disk, store: Store, path: string): Promise<StoreCopy> {
  try {
    await store.backend.writeSnapshot(path)
    const file = await disk.open(path, { create: false })
    let position = 0
    return {
      sizeBytes: await file.size(),
      read: async (maxBytes) => {
        const bytes = await file.read(maxBytes, position)
        position += bytes.length
        return bytes
      },
      close: () => file.close(),
    }
  } finally {
    await disk.remove(path)
  }
}
