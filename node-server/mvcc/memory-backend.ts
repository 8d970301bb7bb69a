/** A backend without a disk, for the simulation and for tests: what was committed lives as long as the object. */
import sortedBtree from 'sorted-btree'
import { assert } from '../../lib/assert.ts'
import {
  MAX_TABLE_KEY_SIZE_BYTES,
  TABLES,
  type Backend,
  type BackendSize,
  type ScanOptions,
  type Table,
  type TableEntry,
  type Write,
} from './backend.ts'
import { bytesOfText, textOfBytes } from './byte-text.ts'

type Tree = InstanceType<typeof sortedBtree.default<string, Uint8Array>>

/** Where snapshots go: what a file system is to the LMDB backend. */
export type MemoryFiles = Map<string, MemoryBackend>

export interface MemoryOptions {
  readonly files?: MemoryFiles
  /** How long a commit takes; a rejection is a disk that failed. */
  readonly beforeCommit?: () => Promise<void>
}

export class MemoryBackend implements Backend {
  readonly #tables: Map<Table, Tree>
  readonly #files: MemoryFiles
  readonly #beforeCommit: () => Promise<void>
  #isCommitting = false
  #isClosed = false

  constructor(options: MemoryOptions = {}, tables?: ReadonlyMap<Table, Tree>) {
    this.#files = options.files ?? new Map()
    this.#beforeCommit = options.beforeCommit ?? (() => Promise.resolve())
    this.#tables = new Map(TABLES.map((table) => [table, tables?.get(table)?.clone() ?? newTree()]))
  }

  #table(table: Table): Tree {
    assert(!this.#isClosed, 'the backend is open')
    const tree = this.#tables.get(table)
    assert(tree !== undefined, () => `there is no table ${table}`)
    return tree
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    const value = this.#table(table).get(textOfBytes(key))
    return value === undefined ? undefined : Buffer.from(value)
  }

  *scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options: ScanOptions = {}): Iterable<TableEntry> {
    const low = textOfBytes(start)
    const high = end === undefined ? undefined : textOfBytes(end)
    const tree = this.#table(table)
    const pairs = options.isReverse === true ? tree.entriesReversed(high, undefined, true) : tree.entries(low)
    let left = options.limit ?? Infinity
    for (const [key, value] of pairs) {
      const isPast = options.isReverse === true ? key < low : high !== undefined && key >= high
      if (isPast || left-- <= 0) return
      yield { key: bytesOfText(key), value: Buffer.from(value) }
    }
  }

  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    return [...this.scan(table, start, end)].length
  }

  async commit(writes: Iterable<Write>): Promise<void> {
    assert(!this.#isCommitting, 'one commit at a time')
    this.#isCommitting = true
    await this.#beforeCommit()
    for (const { table, key, value } of writes) {
      assert(key.length > 0 && key.length <= MAX_TABLE_KEY_SIZE_BYTES, () => `a key of ${key.length} bytes`)
      if (value === undefined) this.#table(table).delete(textOfBytes(key))
      else this.#table(table).set(textOfBytes(key), Buffer.from(value))
    }
    this.#isCommitting = false
  }

  size(): BackendSize {
    let totalBytes = 0
    for (const tree of this.#tables.values())
      for (const [key, value] of tree.entries()) totalBytes += key.length + value.length
    return { totalBytes, inUseBytes: totalBytes }
  }

  async writeSnapshot(path: string): Promise<void> {
    await Promise.resolve()
    this.#files.set(path, this.copy())
  }

  /** There are no pages to give back. */
  async defragment(): Promise<void> {
    await Promise.resolve()
  }

  /** As it is now; both go on on their own, and share what neither changes. */
  copy(): MemoryBackend {
    return new MemoryBackend({ files: this.#files }, this.#tables)
  }

  async close(): Promise<void> {
    await Promise.resolve()
    this.#isClosed = true
  }
}

function newTree(): Tree {
  return new sortedBtree.default<string, Uint8Array>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0))
}
