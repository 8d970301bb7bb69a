/** The disk of one process as it uses it: syncs take time, and some operations fail as the faults of the day say. */
import type { Disk, DiskFile } from '../../node-server/storage/disk.ts'
import { BATCH_HEADER_SIZE_BYTES, MAGIC } from '../../node-server/storage/record.ts'
import type { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import type { ProcessClock } from './process-clock.ts'

export interface DiskFaults {
  /** How long the next sync takes, in milliseconds. */
  syncMs(): number
  /** Whether the next sync fails; nothing is known of what was written before. */
  failsSync(): boolean
  /** Whether there is no room for the next write; half of it is written. */
  isFull(): boolean
  /** A name changes: what is done in two steps is best interrupted here. */
  onName(change: { readonly kind: 'rename' | 'remove'; readonly path: string; readonly to?: string }): void
}

export interface SimulatedDisk {
  readonly disk: Disk
  /** Entries or votes were written to the log, and no sync has made them durable yet. */
  owesSync(): boolean
}

export function simulatedDisk(under: MemoryDisk, clock: ProcessClock, faults: DiskFaults): SimulatedDisk {
  const owing = new Set<string>()
  const synced = async (): Promise<void> => {
    await clock.sleep(faults.syncMs())
    if (faults.failsSync()) throw diskError('EIO', 'sync')
  }
  const wrap = (path: string, file: DiskFile): DiskFile => ({
    write: async (bytes, position) => {
      if (bearsPromise(bytes)) owing.add(path)
      if (!faults.isFull()) return file.write(bytes, position)
      await file.write(bytes.subarray(0, bytes.length >> 1), position)
      throw diskError('ENOSPC', `write ${path}`)
    },
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    sync: async () => {
      await synced()
      await file.sync()
      owing.delete(path)
    },
    close: () => file.close(),
  })
  const disk: Disk = {
    open: async (path, options) => wrap(path, await under.open(path, options)),
    readFile: (path) => under.readFile(path),
    list: (directory) => under.list(directory),
    makeDirectory: (path) => under.makeDirectory(path),
    rename: (from, to) => {
      faults.onName({ kind: 'rename', path: from, to })
      return under.rename(from, to)
    },
    remove: (path) => {
      faults.onName({ kind: 'remove', path })
      return under.remove(path)
    },
    syncDirectory: async (path) => {
      await synced()
      await under.syncDirectory(path)
    },
  }
  return { disk, owesSync: () => owing.size > 0 }
}

/** A batch of the log that begins with a hard state or an entry (storage/record.ts). */
function bearsPromise(bytes: Uint8Array): boolean {
  if (MAGIC.compare(bytes, 0, MAGIC.length) !== 0) return false
  const kind = bytes[BATCH_HEADER_SIZE_BYTES]
  return kind === 2 || kind === 3
}

function diskError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}
