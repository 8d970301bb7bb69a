/**
 * One LMDB file, open. The WAL is the truth and LMDB may lag behind it, but it is never damaged: every commit is one
 * transaction with a full sync before it becomes the current one. So no option that trades that away is used:
 *   - overlappingSync is off: with it, a commit is visible before it is on the disk;
 *   - no noSync, noMetaSync, useWritemap, mapAsync.
 * With overlappingSync off the library's writer thread begins its transaction without MDB_NOSYNC, and a batch's promise
 * resolves after `mdb_txn_commit` has returned, which syncs the data pages and then the meta page.
 *
 * Encoding a batch costs the calling thread about a microsecond a write; pages are written and synced in a thread of the
 * library. What the library does wrong with free pages is ruled out in free-pages.ts.
 */
import { statSync } from 'node:fs'
import { open, type Database, type RootDatabase } from 'lmdb'
import { assert } from '../../lib/assert.ts'
import { TABLES, type BackendSize, type ScanOptions, type Table, type TableEntry, type Write } from '../mvcc/backend.ts'
import { checkHeader, isNew } from './backend-header.ts'
import { keepFreeTableFilled, lastOfEachKey, WITHOUT_MEMORY } from './free-pages.ts'

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

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const

export interface LmdbOptions {
  readonly mapSizeBytes?: number
  readonly isReadOnly?: boolean
}

export class LmdbFile {
  readonly path: string
  readonly #root: RootDatabase<Uint8Array, Uint8Array>
  /** A table that came with a later version is missing in a file of an earlier one while that is only read: it is empty. */
  readonly #tables: Readonly<Record<Table, LmdbTable | undefined>>
  /** Copies that a thread of the library makes: the file must stay open until they are through. */
  readonly #copies = new Set<Promise<void>>()

  /** Creates the file when it is missing or empty. Throws `NotAStore`, or what the library has to say. */
  constructor(path: string, options: LmdbOptions) {
    this.path = path
    if (options.isReadOnly === true || !isNew(path)) checkHeader(path)
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
    this.#root = root
    this.#tables = Object.fromEntries(
      TABLES.map((table) => [table, root.openDB<Uint8Array, Uint8Array>(table, BINARY)]),
    ) as Record<Table, LmdbTable | undefined>
    if (options.isReadOnly !== true) keepFreeTableFilled(root)
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#tables[table]?.get(key)
  }

  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options: ScanOptions): Iterable<TableEntry> {
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

  async commit(writes: readonly Write[]): Promise<void> {
    const failure = await this.#write(writes)
    if (failure !== undefined) throw new Error(`LMDB could not commit to ${this.path}`, { cause: failure.cause })
    // The library keeps one read transaction for a while: without this, reads could miss what was just committed.
    this.#root.resetReadTxn()
  }

  async #write(writes: readonly Write[]): Promise<{ readonly cause: unknown } | undefined> {
    try {
      await this.#root.batch(() => {
        for (const { table, key, value } of lastOfEachKey(writes)) {
          // The promises are those of the batch, which is awaited; a single write cannot fail alone.
          const tree = this.#tables[table]
          assert(tree !== undefined, () => `the store has the table ${table}: it was not opened to be read only`)
          if (value === undefined) void tree.remove(key)
          else void tree.put(key, value)
        }
      })
      return undefined
    } catch (error) {
      return { cause: await commitCause(error) }
    }
  }

  size(): BackendSize {
    const tables = TABLES.flatMap((table) => (this.#tables[table]?.getStats() as LmdbStats | undefined) ?? [])
    const inUsePages = tables.reduce(
      (sum, { treeBranchPageCount, treeLeafPageCount, overflowPages }) =>
        sum + treeBranchPageCount + treeLeafPageCount + overflowPages,
      0,
    )
    const pageSizeBytes = tables[0]?.pageSize ?? 0
    return { totalBytes: statSync(this.path).size, inUseBytes: inUsePages * pageSizeBytes }
  }

  /** A compacted copy of the last commit, or of the one under way; not synced. */
  async copyTo(path: string): Promise<void> {
    const copy = this.#root.backup(path, true)
    this.#copies.add(copy)
    try {
      await copy
    } finally {
      this.#copies.delete(copy)
    }
  }

  /** Once copies that are being made are through. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#copies)
    await this.#root.close()
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
