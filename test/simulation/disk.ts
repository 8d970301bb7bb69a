/** The disk of one process as it uses it: syncs take time, and some operations fail as the faults of the day say. */
import type { Disk, DiskFile } from '../../node-server/storage/disk.ts'
import { NOBODY, type MemberId } from '../../lib/ids.ts'
import { memberPaths } from '../../node-server/storage/data-directory.ts'
import { MAGIC, readBatch } from '../../node-server/storage/record.ts'
import type { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import { DATA_DIRECTORY } from './cluster-id.ts'
import type { ProcessClock } from './process-clock.ts'

const WAL = `${memberPaths(DATA_DIRECTORY).wal}/`

export interface DiskFaults {
  /** How long the next sync of that file or directory takes, in milliseconds. */
  syncMs(path: string): number
  /** Whether the next sync fails; nothing is known of what was written before. */
  failsSync(): boolean
  /** Whether there is no room for the next write; half of it is written. */
  isFull(): boolean
  /** A name changes: what is done in two steps is best interrupted here. */
  onName(change: { readonly kind: 'rename' | 'remove'; readonly path: string; readonly to?: string }): void
}

/** What of the log would survive any crash. */
export interface DurableLog {
  lastIndex: number
  term: number
  vote: MemberId
}

export interface SimulatedDisk {
  readonly disk: Disk
  readonly durable: DurableLog
  /** What the recovery has found: the log goes on from there. */
  readonly found: (log: DurableLog) => void
}

export function simulatedDisk(under: MemoryDisk, clock: ProcessClock, faults: DiskFaults): SimulatedDisk {
  const durable: DurableLog = { lastIndex: 0, term: 0, vote: NOBODY }
  let written = { ...durable }
  const synced = async (path: string): Promise<void> => {
    await clock.sleep(faults.syncMs(path))
    if (faults.failsSync()) throw diskError('EIO', 'sync')
  }
  const wrap = (path: string, file: DiskFile): DiskFile => ({
    ...file,
    async write(bytes, position) {
      written = withBatch(written, bytes)
      if (!faults.isFull()) return file.write(bytes, position)
      await file.write(bytes.subarray(0, bytes.length >> 1), position)
      throw diskError('ENOSPC', `write ${path}`)
    },
    writev(parts, position) {
      return this.write(Buffer.concat(parts), position)
    },
    sync: async () => {
      // Only what was written before the sync began is durable with it.
      const before = written
      await synced(path)
      await file.sync()
      if (path.startsWith(WAL)) Object.assign(durable, before)
    },
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
      await synced(path)
      await under.syncDirectory(path)
    },
  }
  return { disk, durable, found: (log) => void (written = { ...Object.assign(durable, log) }) }
}

/** What the log holds with one batch more; anything else that is written changes nothing. */
function withBatch(written: DurableLog, bytes: Uint8Array): DurableLog {
  if (MAGIC.compare(bytes, 0, MAGIC.length) !== 0) return written
  const batch = readBatch(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 0)
  if (batch.kind === 'bad') return written
  const next = { ...written }
  for (const record of batch.records) {
    if (record.kind === 'entry') next.lastIndex = record.entry.index
    else if (record.kind === 'base') next.lastIndex = Math.max(next.lastIndex, record.base.index)
    else if (record.kind === 'hard-state')
      Object.assign(next, { term: record.hardState.term, vote: record.hardState.vote })
  }
  return next
}

function diskError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}
