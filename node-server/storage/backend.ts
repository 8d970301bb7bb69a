/**
 * The store's tables in LMDB. The WAL is the truth and LMDB may lag behind it, but it is never damaged: every commit is
 * one transaction with a full sync before it becomes the current one. So no option that trades that away is used:
 *   - overlappingSync is off: with it, a commit is visible before it is on the disk;
 *   - no noSync, noMetaSync, useWritemap, mapAsync.
 * With overlappingSync off the library's writer thread begins its transaction without MDB_NOSYNC, and a batch's promise
 * resolves after `mdb_txn_commit` has returned, which syncs the data pages and then the meta page.
 *
 * Encoding a batch costs the calling thread about a microsecond a write; pages are written and synced in a thread of the
 * library. A batch of very many writes is encoded in a thread of ours (lmdb-commit.ts). Files: `path` and, beside it, `path`-lock with the reader table, worthless once nobody has it open.
 *
 * What the library does wrong with free pages is ruled out in free-pages.ts.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { assert } from '../../lib/assert.ts'
import {
  TABLES,
  type Backend,
  type BackendSize,
  type ScanOptions,
  type Table,
  type TableEntry,
  type Write,
} from '../mvcc/backend.ts'
import { checkHeader } from './backend-header.ts'
import { keepFreeTableFilled, lastOfEachKey, WITHOUT_MEMORY } from './free-pages.ts'
import { commitInThread } from './lmdb-commit.ts'
import { readMeta, type Meta } from '../mvcc/meta.ts'

/** Address space, not memory or disk; LMDB grows it by itself when a store becomes larger. */
const DEFAULT_MAP_SIZE_BYTES = 16 * 1024 ** 3

type LmdbTable = Database<Uint8Array, Uint8Array>

/** What the library reports of one table; its types say nothing. */
interface LmdbStats {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

/** Encoded in one go in 10 to 20 ms. More of them go to another thread. */
export const WRITES_AT_ONCE = 20_000

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const

export interface LmdbOptions {
  readonly mapSizeBytes?: number
  readonly isReadOnly?: boolean
  /** However many writes a commit has: nobody else needs this thread. */
  readonly commitsAtOnce?: boolean
}

export class LmdbBackend implements Backend {
  #path: string
  #root: RootDatabase<Uint8Array, Uint8Array>
  /** A table that came with a later version is missing in a file of an earlier one while that is only read: it is empty. */
  #tables: Tables
  readonly #options: LmdbOptions
  /** Copies that a thread of the library makes: the file must stay open until they are through. */
  readonly #copies = new Set<Promise<void>>()
  /** Resolves when commits may go on. */
  #held: Promise<void> | undefined
  #committing: Promise<unknown> | undefined
  /** The file before a defragmentation, on its way to be closed. */
  #retiring: Promise<void> | undefined

  /** Creates the file when it is missing or empty. Throws `NotAStore`, or what the library has to say. */
  constructor(path: string, options: LmdbOptions = {}) {
    this.#path = path
    this.#options = options
    const { root, tables } = openTables(path, options)
    this.#root = root
    this.#tables = tables
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#tables[table]?.get(key)
  }

  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options: ScanOptions = {}): Iterable<TableEntry> {
    const limit = options.limit === undefined ? {} : { limit: options.limit }
    const tree = this.#tables[table]
    if (tree === undefined) return []
    if (options.isReverse !== true) {
      return tree.getRange({ start, ...(end === undefined ? {} : { end }), ...limit })
    }
    // Reversed, the library begins at `start` and goes down to `end`: our bounds swap places and openness.
    const from = end === undefined ? {} : { start: end, exclusiveStart: true }
    return tree.getRange({ ...from, end: start, inclusiveEnd: true, reverse: true, ...limit })
  }

  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    return this.#tables[table]?.getKeysCount({ start, ...(end === undefined ? {} : { end }) }) ?? 0
  }

  async commit(writes: Iterable<Write>): Promise<void> {
    while (this.#held !== undefined) await this.#held
    const written = this.#write(Array.isArray(writes) ? lastOfEachKey(writes as readonly Write[]) : writes)
    this.#committing = written
    const failure = await written
    if (failure !== undefined) throw new Error(`LMDB could not commit to ${this.#path}`, { cause: failure.cause })
    // The library keeps one read transaction for a while: without this, reads could miss what was just committed.
    this.#root.resetReadTxn()
  }

  async #write(writes: Iterable<Write>): Promise<{ readonly cause: unknown } | undefined> {
    try {
      if (this.#options.commitsAtOnce === true) await this.#batch(writes)
      else await this.#writeInTurns(writes)
      return undefined
    } catch (error) {
      return { cause: await commitCause(error) }
    }
  }

  async #writeInTurns(writes: Iterable<Write>): Promise<void> {
    const rest = writes[Symbol.iterator]()
    const first: Write[] = []
    let next = rest.next()
    for (; next.done !== true && first.length < WRITES_AT_ONCE; next = rest.next()) first.push(next.value)
    if (next.done === true) await this.#batch(first)
    else await commitInThread(this.#path, inOrder(first, next.value, rest))
  }

  async #batch(writes: Iterable<Write>): Promise<void> {
    await this.#root.batch(() => {
      for (const { table, key, value } of writes) {
        // The promises are those of the batch, which is awaited; a single write cannot fail alone.
        const tree = this.#tables[table]
        assert(tree !== undefined, () => `the store has the table ${table}: it was not opened to be read only`)
        if (value === undefined) void tree.remove(key)
        else void tree.put(key, value)
      }
    })
  }

  size(): BackendSize {
    const tables = TABLES.flatMap((table) => (this.#tables[table]?.getStats() as LmdbStats | undefined) ?? [])
    const inUsePages = tables.reduce(
      (sum, { treeBranchPageCount, treeLeafPageCount, overflowPages }) =>
        sum + treeBranchPageCount + treeLeafPageCount + overflowPages,
      0,
    )
    const pageSizeBytes = tables[0]?.pageSize ?? 0
    return { totalBytes: statSync(this.#path).size, inUseBytes: inUsePages * pageSizeBytes }
  }

  async writeSnapshot(path: string): Promise<void> {
    const copy = this.#root.backup(path, true)
    this.#copies.add(copy)
    try {
      await copy
    } finally {
      this.#copies.delete(copy)
    }
    const file = await openFile(path, 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    syncDirectory(dirname(path))
  }

  async defragment(temporaryPath: string, takePath: () => string | undefined): Promise<void> {
    assert(this.#held === undefined, 'one defragmentation at a time')
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#held = promise
    const before = this.#root
    try {
      await this.#committing
      await this.writeSnapshot(temporaryPath)
      const copied = await readSnapshotMeta(temporaryPath)
      const { appliedIndex } = readMeta(this)
      assert(
        copied.appliedIndex === appliedIndex,
        () => `the copy is at ${copied.appliedIndex}, the file at ${appliedIndex}`,
      )
      const path = takePath()
      if (path === undefined) return
      this.#moveTo(temporaryPath, path)
    } finally {
      this.#held = undefined
      resolve()
    }
    this.#retiring = Promise.allSettled(this.#copies).then(() => before.close())
    await this.#retiring
  }

  /** A process that starts opens the copy from here on, and so must this one: nothing comes between the two. */
  #moveTo(temporaryPath: string, path: string): void {
    renameSync(temporaryPath, path)
    syncDirectory(dirname(path))
    const { root, tables } = openTables(path, this.#options)
    this.#root = root
    this.#tables = tables
    this.#path = path
  }

  async close(): Promise<void> {
    while (this.#held !== undefined) await this.#held
    await this.#retiring
    await Promise.allSettled(this.#copies)
    await this.#root.close()
  }
}

function* inOrder(first: readonly Write[], next: Write, rest: Iterator<Write>): Iterable<Write> {
  yield* first
  yield next
  for (let write = rest.next(); write.done !== true; write = rest.next()) yield write.value
}

type Tables = Readonly<Record<Table, LmdbTable | undefined>>

interface OpenTables {
  readonly root: RootDatabase<Uint8Array, Uint8Array>
  readonly tables: Tables
}

function openTables(path: string, options: LmdbOptions): OpenTables {
  checkHeader(path)
  const root = open<Uint8Array, Uint8Array>({
    path,
    noSubdir: true,
    overlappingSync: false,
    maxDbs: TABLES.length + 4,
    mapSize: options.mapSizeBytes ?? DEFAULT_MAP_SIZE_BYTES,
    readOnly: options.isReadOnly === true,
    ...WITHOUT_MEMORY,
    ...BINARY,
  })
  const tables = Object.fromEntries(
    TABLES.map((table) => [table, root.openDB<Uint8Array, Uint8Array>(table, BINARY)]),
  ) as Record<Table, LmdbTable | undefined>
  if (options.isReadOnly !== true) keepFreeTableFilled(root)
  return { root, tables }
}

/**
 * Which state a snapshot file written by {@link LmdbBackend.writeSnapshot} holds. Throws when it is not such a file. The
 * file must not be open otherwise.
 */
export async function readSnapshotMeta(path: string): Promise<Meta> {
  checkHeader(path, true)
  const backend = new LmdbBackend(path, { isReadOnly: true })
  try {
    return readMeta(backend)
  } finally {
    await backend.close()
    rmSync(`${path}-lock`, { force: true })
  }
}

/** A rename or a new file is durable once its directory is. */
function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/** The library hides the reason of a failed commit in a promise of its own, which must not stay unhandled. */
async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error
  try {
    await error.commitError
    return error
  } catch (cause) {
    return cause
  }
}
