/** A backend without a disk, for the simulation and for tests: what was committed lives as long as the object. */
import sortedBtree from 'sorted-btree'
import { assert } from '../../lib/assert.ts'
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'
import {
  inPieces,
  SNAPSHOT_UNIT_SIZE_BYTES,
  type StoreDamaged,
  TABLES,
  type Backend,
  type BackendSize,
  type Counted,
  type PinnedStore,
  type ScanOptions,
  type Table,
  type TableEntry,
  type TextWrite,
  type Write,
} from './backend.ts'
import { bytesOfText, textOfBytes } from './byte-text.ts'
import { readMeta } from './meta.ts'
import { bytesOfValue } from './row-value.ts'

type Tree = InstanceType<typeof sortedBtree.default<string, Uint8Array>>

const PIECE_SIZE_BYTES = 64 * 1024

export interface MemoryOptions {
  /** How long a commit takes; a rejection is a disk that failed. */
  readonly beforeCommit?: () => Promise<void>
}

export class MemoryBackend implements Backend {
  readonly #tables: Map<Table, Tree>
  readonly #beforeCommit: () => Promise<void>
  #isCommitting = false
  #isClosed = false
  /** Every read and commit throws it, when set. */
  damage: StoreDamaged | undefined

  constructor(options: MemoryOptions = {}, tables?: ReadonlyMap<Table, Tree>) {
    this.#beforeCommit = options.beforeCommit ?? (() => Promise.resolve())
    this.#tables = new Map(TABLES.map((table) => [table, tables?.get(table)?.clone() ?? newTree()]))
  }

  #table(table: Table): Tree {
    assert(!this.#isClosed, 'the backend is open')
    if (this.damage !== undefined) throw this.damage
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
    return this.countSome(table, start, end, Infinity).count
  }

  countSome(table: Table, start: Uint8Array, end: Uint8Array | undefined, rows: number): Counted {
    let count = 0
    for (const { key } of this.scan(table, start, end)) {
      if (count === rows) return { count, next: key }
      count++
    }
    return { count, next: undefined }
  }

  async commit(writes: Iterable<Write | TextWrite>): Promise<void> {
    if (this.damage !== undefined) throw this.damage
    assert(!this.#isCommitting, 'one commit at a time')
    this.#isCommitting = true
    await this.#beforeCommit()
    for (const { table, key, value } of writes) {
      assert(key.length > 0, 'a key is not empty')
      const text = typeof key === 'string' ? key : textOfBytes(bytesOfValue(key))
      if (value === undefined) this.#table(table).delete(text)
      else this.#table(table).set(text, Buffer.from(bytesOfValue(value)))
    }
    this.#isCommitting = false
  }

  size(): BackendSize {
    let totalBytes = 0
    for (const tree of this.#tables.values())
      for (const [key, value] of tree.entries()) totalBytes += key.length + value.length
    return { totalBytes, inUseBytes: totalBytes }
  }

  async pin(): Promise<PinnedStore> {
    await Promise.resolve()
    const bytes = this.#encode()
    const read = async function* (): AsyncIterable<Uint8Array> {
      for (let at = 0; at < bytes.length; at += PIECE_SIZE_BYTES) yield bytes.subarray(at, at + PIECE_SIZE_BYTES)
    }
    const copy = MemoryBackend.#decode(bytes)
    const rows = (table: Table): AsyncIterable<readonly TableEntry[]> =>
      inPieces(copy.scan(table, Buffer.of(0), undefined), () => Promise.resolve())
    return { meta: readMeta(this), sizeBytes: bytes.length, read, rows, release: () => Promise.resolve() }
  }

  /** A stream of {@link pin} as a store. */
  static async receive(pieces: AsyncIterable<Uint8Array>): Promise<MemoryBackend> {
    return MemoryBackend.#decode(Buffer.concat(await Array.fromAsync(pieces)))
  }

  static #decode(bytes: Buffer): MemoryBackend {
    const reader = new ByteReader(bytes)
    const backend = new MemoryBackend()
    for (const table of TABLES) {
      const tree = backend.#table(table)
      for (let left = reader.u53(); left > 0; left--) tree.set(textOfBytes(reader.bytes()), Buffer.from(reader.bytes()))
    }
    return backend
  }

  /** Of each table how many entries it has, then those; zeros at the end. */
  #encode(): Buffer {
    const writer = new ByteWriter()
    for (const table of TABLES) {
      writer.u53(this.#table(table).size)
      for (const [key, value] of this.#table(table).entries()) writer.bytes(bytesOfText(key)).bytes(value)
    }
    return writer.raw(Buffer.alloc(-writer.lengthBytes & (SNAPSHOT_UNIT_SIZE_BYTES - 1))).finish()
  }

  /** There is no space to give back. */
  async defragment(): Promise<void> {
    await Promise.resolve()
  }

  /** As it is now; both go on on their own, and share what neither changes. */
  copy(): MemoryBackend {
    return new MemoryBackend({}, this.#tables)
  }

  async close(): Promise<void> {
    await Promise.resolve()
    this.#isClosed = true
  }
}

function newTree(): Tree {
  return new sortedBtree.default<string, Uint8Array>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0))
}
