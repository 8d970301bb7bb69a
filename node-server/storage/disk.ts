/**
 * The file system as storage uses it, and the seam where tests put a disk that loses, tears and fails. What is written is
 * durable only after `sync` of the file; a new, renamed or removed name only after `syncDirectory` of its folder.
 */
import { fdatasyncSync, readSync, writeSync, writevSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { sizeOfParts } from '../../lib/bytes.ts'

export interface OpenOptions {
  readonly create: boolean
  readonly isReadOnly?: boolean
}

export interface Disk {
  /** Opens for reading and, unless `isReadOnly`, writing; creates the file when `create` is set and it is missing. */
  open(path: string, options: OpenOptions): Promise<DiskFile>
  readFile(path: string): Promise<Buffer>
  /** Names in a folder, sorted; empty when there is no such folder. */
  list(directory: string): Promise<readonly string[]>
  makeDirectory(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** A file or a folder with all in it; what is missing is fine. */
  remove(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
}

export interface DiskFile {
  /** Fewer bytes at the end of the file, none behind it; they are the caller's. */
  read(maxBytes: number, position: number): Promise<Buffer>
  /** The same on this thread, into bytes of the caller's: how many there were. */
  readSync(into: Uint8Array, position: number): number
  size(): Promise<number>
  /** All of `bytes`, or it throws. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** The same of all `parts`, one behind the other. */
  writev(parts: readonly Uint8Array[], position: number): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  /**
   * fdatasync. After it has failed once nothing is known of what was written before: never try again. With `mayPause` all
   * else of this process may wait for it: the way to another thread and back takes as long as a quick disk.
   */
  sync(mayPause?: boolean): Promise<void>
  close(): Promise<void>
}

export const realDisk: Disk = {
  async open(path, { create, isReadOnly }) {
    const file = await fs.open(path, create ? 'a+' : isReadOnly === true ? 'r' : 'r+').then(async (opened) => {
      if (!create) return opened
      // O_APPEND would ignore positions: created, the file is opened again for positioned writes.
      await opened.close()
      return fs.open(path, 'r+')
    })
    return realFile(file)
  },
  readFile: (path) => fs.readFile(path),
  async list(directory) {
    try {
      return (await fs.readdir(directory)).toSorted()
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  },
  async makeDirectory(path) {
    await fs.mkdir(path, { recursive: true })
  },
  rename: (from, to) => fs.rename(from, to),
  remove: (path) => fs.rm(path, { recursive: true, force: true }),
  async syncDirectory(path) {
    const directory = await fs.open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
}

/**
 * A copy into the page cache takes microseconds, the way to another thread and back takes many: small writes are made on
 * this thread, only the sync is waited for elsewhere.
 */
const MAX_DIRECT_WRITE_BYTES = 128 * 1024

function writeDirectly(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, position + written)
  }
}

/** What is left of the parts behind their first bytes. */
function behind(parts: readonly Uint8Array[], sizeBytes: number): readonly Uint8Array[] {
  let skipped = sizeBytes
  return parts.flatMap((part) => {
    const cut = Math.min(skipped, part.length)
    skipped -= cut
    return cut === part.length ? [] : [part.subarray(cut)]
  })
}

function realFile(file: fs.FileHandle): DiskFile {
  return {
    async read(maxBytes, position) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(maxBytes), 0, maxBytes, position)
      return buffer.subarray(0, bytesRead)
    },
    readSync(into, position) {
      for (let done = 0; ;) {
        const read = readSync(file.fd, into, done, into.length - done, position + done)
        done += read
        if (read === 0 || done === into.length) return done
      }
    },
    size: async () => (await file.stat()).size,
    async write(bytes, position) {
      if (bytes.length <= MAX_DIRECT_WRITE_BYTES) return writeDirectly(file.fd, bytes, position)
      for (let written = 0; written < bytes.length;) {
        written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten
      }
    },
    async writev(parts, position) {
      const isSmall = sizeOfParts(parts) <= MAX_DIRECT_WRITE_BYTES
      for (let left = parts, at = position; left.length > 0;) {
        const written = isSmall ? writevSync(file.fd, left, at) : (await file.writev(left, at)).bytesWritten
        left = behind(left, written)
        at += written
      }
    },
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    async sync(mayPause) {
      if (mayPause === true) fdatasyncSync(file.fd)
      else await file.datasync()
    },
    close: () => file.close(),
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
