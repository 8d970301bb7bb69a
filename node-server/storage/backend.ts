/**
 * A store in LMDB: a directory (lmdb-directory.ts) with one file (lmdb-file.ts), and which file that is. As a stream it is
 * the file of a compacted copy.
 *
 * A defragmentation goes on in a compacted copy. Who names it is this object alone, which is also the only one that uses
 * the directory: the copy gets the next count in one synchronous piece with opening it, so that no commit comes between,
 * and a process that starts opens the same file as this one, whenever it ends.
 */
import { renameSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { assert } from '../../lib/assert.ts'
import { SNAPSHOT_PIECE_SIZE_BYTES } from '../limits.ts'
import {
  inPieces,
  StoreInDoubt,
  type Backend,
  type BackendSize,
  type PinnedStore,
  type ScanOptions,
  type Table,
  type TableEntry,
  type Write,
} from '../mvcc/backend.ts'
import { readMeta, type Meta } from '../mvcc/meta.ts'
import { checkHeader, NotAStore } from './backend-header.ts'
import {
  countedName,
  formerFiles,
  newestFile,
  prepareDirectory,
  RECEIVED,
  removeFile,
  syncDirectory,
  takeOverFiles,
} from './lmdb-directory.ts'
import { LmdbFile, type LmdbOptions } from './lmdb-file.ts'
import type { StoreEngine } from './store-engine.ts'

export class LmdbBackend implements Backend {
  readonly #directory: string
  readonly #options: LmdbOptions
  #file: LmdbFile
  /** Of the file's name. */
  #count: number
  /** Of names for files on their way. */
  #sequence = 0
  /** Resolves when commits may go on. */
  #held: Promise<void> | undefined
  #committing: Promise<unknown> | undefined
  readonly #pinning = new Set<Promise<unknown>>()
  #doubt: StoreInDoubt | undefined
  #isClosing = false

  /** The directory is made when it is missing. Throws `NotAStore`, or what the library has to say. */
  constructor(directory: string, options: LmdbOptions = {}) {
    this.#directory = directory
    this.#options = options
    const { path, count } = options.isReadOnly === true ? existing(directory) : prepareDirectory(directory)
    this.#count = count
    this.#file = new LmdbFile(path, options)
    if (options.isReadOnly !== true) syncDirectory(directory)
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#file.get(table, key)
  }

  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options: ScanOptions = {}): Iterable<TableEntry> {
    return this.#file.scan(table, start, end, options)
  }

  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    return this.#file.count(table, start, end)
  }

  async commit(writes: Iterable<Write>): Promise<void> {
    while (this.#held !== undefined) await this.#held
    if (this.#doubt !== undefined) throw this.#doubt
    const committed = this.#file.commit(writes)
    this.#committing = committed.catch(() => undefined)
    return committed
  }

  size(): BackendSize {
    return this.#file.size()
  }

  pin(): Promise<PinnedStore> {
    const pinned = this.#pin(this.#temporaryPath('pinned'))
    const pinning = pinned.catch(() => undefined).finally(() => this.#pinning.delete(pinning))
    this.#pinning.add(pinning)
    return pinned
  }

  /** The copy has no name any more when it is there: however the process ends, it ends with it. */
  async #pin(path: string): Promise<PinnedStore> {
    try {
      await this.#file.copyTo(path)
      const meta = await metaOfCopy(path)
      const { size } = await fs.stat(path)
      const file = await fs.open(path, 'r')
      const copy = new LmdbFile(path, { isReadOnly: true })
      const rows = (table: Table): AsyncIterable<readonly TableEntry[]> =>
        inPieces(copy.scan(table, Buffer.of(0), undefined, {}), () => setImmediate())
      const release = async (): Promise<void> => void (await Promise.all([file.close(), copy.close()]))
      return { meta, sizeBytes: size, read: () => readAll(file, size), rows, release }
    } finally {
      await fs.rm(`${path}-lock`, { force: true })
      await fs.rm(path, { force: true })
    }
  }

  async defragment(): Promise<void> {
    assert(this.#held === undefined, 'one defragmentation at a time')
    const { promise, resolve: letGo } = Promise.withResolvers<void>()
    this.#held = promise
    const before = this.#file
    try {
      await this.#committing
      await this.#goOnInCopy(this.#temporaryPath('defragment'))
      if (this.#file !== before) {
        await before.close()
        removeFile(before.path)
      }
    } finally {
      this.#held = undefined
      letGo()
    }
  }

  async #goOnInCopy(copy: string): Promise<void> {
    try {
      await this.#file.copyTo(copy)
      await sync(copy)
      const copied = await metaOfCopy(copy)
      const { appliedIndex } = readMeta(this)
      assert(
        copied.appliedIndex === appliedIndex,
        () => `the copy is at ${copied.appliedIndex}, the file at ${appliedIndex}`,
      )
      if (!this.#isClosing) this.#moveTo(copy)
    } finally {
      await fs.rm(copy, { recursive: true, force: true })
    }
  }

  /** A process that starts opens the copy from here on, and so must this one: nothing comes between the two. */
  #moveTo(copy: string): void {
    const path = join(this.#directory, countedName(this.#count + 1))
    try {
      renameSync(copy, path)
      syncDirectory(this.#directory)
      this.#file = new LmdbFile(path, this.#options)
      this.#count += 1
    } catch (cause) {
      this.#doubt = new StoreInDoubt(`${this.#directory} may go on in another file than this process`, { cause })
      throw this.#doubt
    }
  }

  #temporaryPath(purpose: 'pinned' | 'defragment'): string {
    return join(this.#directory, `${purpose}-${++this.#sequence}.tmp`)
  }

  async close(): Promise<void> {
    this.#isClosing = true
    while (this.#held !== undefined) await this.#held
    await Promise.all(this.#pinning)
    await this.#file.close()
  }
}

function existing(directory: string): { readonly path: string; readonly count: number } {
  const found = newestFile(directory)
  if (found === undefined) throw new NotAStore(`there is no store in ${directory}`)
  return { path: join(directory, found.name), count: found.count }
}

async function* readAll(file: fs.FileHandle, sizeBytes: number): AsyncIterable<Uint8Array> {
  for (let position = 0; position < sizeBytes;) {
    const buffer = Buffer.allocUnsafe(Math.min(SNAPSHOT_PIECE_SIZE_BYTES, sizeBytes - position))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
    assert(bytesRead > 0, 'nobody else has the copy, so it ends where it ended')
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

async function sync(path: string): Promise<void> {
  const file = await fs.open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Of a file that was written in one go, ends with its last page, and nobody has open. Throws when it is none. */
async function metaOfCopy(path: string): Promise<Meta> {
  checkHeader(path, true)
  const file = new LmdbFile(path, { isReadOnly: true })
  try {
    return readMeta(file)
  } finally {
    await file.close()
    await fs.rm(`${path}-lock`, { force: true })
  }
}

/** Stores in LMDB, of which nobody has the one open that something is done with. */
export const lmdbEngine: StoreEngine = {
  open: (path) => new LmdbBackend(path),

  async read(path, use) {
    const isFile = (await fs.stat(path)).isFile()
    const file = isFile ? path : existing(path).path
    checkHeader(file, isFile || basename(file) === RECEIVED)
    // LMDB makes its lock file beside the name that it opens: this way it comes into a folder of ours.
    const folder = await fs.mkdtemp(join(tmpdir(), 'raftkv-read-'))
    try {
      await fs.symlink(resolve(file), join(folder, countedName(0)))
      const backend = new LmdbBackend(folder, { isReadOnly: true })
      try {
        return use(backend)
      } finally {
        await backend.close()
      }
    } finally {
      await fs.rm(folder, { recursive: true, force: true })
    }
  },

  async receive(path, pieces) {
    await fs.mkdir(path)
    try {
      const file = await fs.open(join(path, RECEIVED), 'wx', 0o600)
      try {
        for await (const piece of pieces) await file.appendFile(piece) // write() may stop short; this does not
        await file.datasync()
      } finally {
        await file.close()
      }
      syncDirectory(path)
      syncDirectory(dirname(path))
      return await metaOfCopy(join(path, RECEIVED))
    } catch (error) {
      await fs.rm(path, { recursive: true, force: true })
      throw error
    }
  },

  former: async (directory) => formerFiles(directory),

  takeOver: async (directory) => takeOverFiles(directory),
}
