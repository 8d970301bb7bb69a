/**
 * What is applied and not yet committed, in front of the backend: every read of the store goes through here and sees the
 * newest. Two generations: `current` takes writes; `committing` is on its way to the disk and stays readable until the
 * backend has it. A read may meet a backend that has the committing generation already: it overlays the same values, so
 * that makes no difference.
 */
import sortedBtree from 'sorted-btree'
import { assert } from '../../lib/assert.ts'
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import {
  MAX_TABLE_KEY_SIZE_BYTES,
  TABLES,
  type Backend,
  type ScanOptions,
  type Table,
  type TableEntry,
  type Write,
} from './backend.ts'
import { bytesOfText, textOfBytes } from './byte-text.ts'

type Tree = InstanceType<typeof sortedBtree.default<string, Uint8Array>>
type Pair = readonly [key: string, value: Uint8Array]

/** Stands in a tree for "removed", told by identity. */
const REMOVED: Uint8Array = new Uint8Array(0)

/** What one entry costs beside its bytes: tree slot, string and buffer headers; measured roughly. */
const ENTRY_OVERHEAD_BYTES = 160

interface Generation {
  readonly trees: Readonly<Record<Table, Tree>>
  writes: number
  sizeBytes: number
}

export class WriteBuffer {
  readonly #backend: Backend
  #current = newGeneration()
  #committing: Generation | undefined

  constructor(backend: Backend) {
    this.#backend = backend
  }

  /** Of the generation that takes writes. */
  get pendingWrites(): number {
    return this.#current.writes
  }

  /** Of both generations, about. */
  get sizeBytes(): number {
    return this.#current.sizeBytes + (this.#committing?.sizeBytes ?? 0)
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    const text = textOfBytes(key)
    const buffered = this.#current.trees[table].get(text) ?? this.#committing?.trees[table].get(text)
    if (buffered !== undefined) return buffered === REMOVED ? undefined : buffered
    if (key.length === 0 || key.length > MAX_TABLE_KEY_SIZE_BYTES) return undefined
    return this.#backend.get(table, key)
  }

  /** The value must not change any more. */
  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    assert(key.length > 0 && key.length <= MAX_TABLE_KEY_SIZE_BYTES, () => `a key of ${key.length} bytes for ${table}`)
    this.#write(table, key, value === REMOVED ? EMPTY_BYTES : value)
  }

  remove(table: Table, key: Uint8Array): void {
    this.#write(table, key, REMOVED)
  }

  #write(table: Table, key: Uint8Array, value: Uint8Array): void {
    const generation = this.#current
    generation.trees[table].set(textOfBytes(key), value)
    generation.writes++
    generation.sizeBytes += key.length + value.length + ENTRY_OVERHEAD_BYTES
  }

  /**
   * Entries with start <= key < end (`end` undefined: all from start), newest values. Bounds may be longer than any key.
   * Consume it before anything is awaited or written.
   */
  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options: ScanOptions = {}): Iterable<TableEntry> {
    const range = fitRange(start, end)
    if (range === undefined) return []
    const layers = this.#layersIn(table, range)
    if (layers.length === 0) return this.#backend.scan(table, range.start, range.end, options)
    return this.#scanMerged(table, range, layers, options)
  }

  *#scanMerged(table: Table, range: Range, layers: readonly Tree[], options: ScanOptions): Iterable<TableEntry> {
    const isReverse = options.isReverse === true
    let merged = textPairs(this.#backend.scan(table, range.start, range.end, { isReverse }))
    for (const layer of layers) merged = mergeNewest(pairsIn(layer, range, isReverse), merged, isReverse)
    let left = options.limit ?? Infinity
    if (left <= 0) return
    for (const [key, value] of merged) {
      if (value === REMOVED) continue
      yield { key: bytesOfText(key), value }
      if (--left <= 0) return
    }
  }

  /** How many entries {@link scan} yields; reads the backend's keys, and its values not at all. */
  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    const range = fitRange(start, end)
    if (range === undefined) return 0
    let count = this.#backend.count(table, range.start, range.end)
    let buffered: Iterable<Pair> = []
    for (const layer of this.#layersIn(table, range))
      buffered = mergeNewest(pairsIn(layer, range, false), buffered, false)
    for (const [key, value] of buffered) {
      const wasThere = this.#backend.get(table, bytesOfText(key)) !== undefined
      if (value === REMOVED) count -= wasThere ? 1 : 0
      else count += wasThere ? 0 : 1
    }
    return count
  }

  /** Generations with something in the range, oldest first. */
  #layersIn(table: Table, range: Range): readonly Tree[] {
    const layers: Tree[] = []
    for (const generation of [this.#committing, this.#current]) {
      if (generation === undefined) continue
      const first = generation.trees[table].getPairOrNextHigher(range.low)
      if (first !== undefined && (range.high === undefined || first[0] < range.high))
        layers.push(generation.trees[table])
    }
    return layers
  }

  /** Hands the current generation to the backend; resolves once it is durable. One at a time. */
  async commit(): Promise<void> {
    assert(this.#committing === undefined, 'one commit at a time')
    const generation = this.#current
    this.#committing = generation
    this.#current = newGeneration()
    await this.#backend.commit(writesOf(generation))
    this.#committing = undefined
  }
}

function newGeneration(): Generation {
  const trees = Object.fromEntries(TABLES.map((table) => [table, newTree()])) as Record<Table, Tree>
  return { trees, writes: 0, sizeBytes: 0 }
}

function newTree(): Tree {
  return new sortedBtree.default<string, Uint8Array>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0))
}

function writesOf(generation: Generation): readonly Write[] {
  const writes: Write[] = []
  for (const table of TABLES) {
    generation.trees[table].forEachPair((key, value) => {
      writes.push({ table, key: bytesOfText(key), value: value === REMOVED ? undefined : value })
    })
  }
  return writes
}

interface Range {
  readonly start: Uint8Array
  readonly end: Uint8Array | undefined
  readonly low: string
  readonly high: string | undefined
}

/** Undefined: nothing can be in it. */
function fitRange(start: Uint8Array, end: Uint8Array | undefined): Range | undefined {
  const fittedStart = fitBound(start)
  if (fittedStart === undefined) return undefined
  const fittedEnd = end === undefined ? undefined : fitBound(end)
  const low = textOfBytes(fittedStart)
  const high = fittedEnd === undefined ? undefined : textOfBytes(fittedEnd)
  if (high !== undefined && low >= high) return undefined
  return { start: fittedStart, end: fittedEnd, low, high }
}

/**
 * A bound that tables can be asked with and that divides their keys as `bound` does. No key is longer than the limit, so
 * those at or above a longer bound are those above its beginning. Undefined: above all keys.
 */
function fitBound(bound: Uint8Array): Uint8Array | undefined {
  if (bound.length === 0) return Buffer.of(0) // no key is empty
  if (bound.length <= MAX_TABLE_KEY_SIZE_BYTES) return bound
  let size = MAX_TABLE_KEY_SIZE_BYTES
  while (size > 0 && bound[size - 1] === 0xff) size--
  if (size === 0) return undefined
  const fitted = Buffer.from(bound.subarray(0, size))
  fitted.writeUInt8(fitted.readUInt8(size - 1) + 1, size - 1)
  return fitted
}

function* textPairs(entries: Iterable<TableEntry>): Iterable<Pair> {
  for (const { key, value } of entries) yield [textOfBytes(key), value]
}

function* pairsIn(tree: Tree, range: Range, isReverse: boolean): Iterable<Pair> {
  const pairs = isReverse ? tree.entriesReversed(range.high, undefined, true) : tree.entries(range.low)
  for (const pair of pairs) {
    if (isReverse ? pair[0] < range.low : range.high !== undefined && pair[0] >= range.high) return
    yield [pair[0], pair[1]]
  }
}

/** Both in the same order; where they have the same key, the newer one's value. */
function* mergeNewest(newer: Iterable<Pair>, older: Iterable<Pair>, isReverse: boolean): Iterable<Pair> {
  const left = newer[Symbol.iterator]()
  const right = older[Symbol.iterator]()
  try {
    let a = left.next()
    let b = right.next()
    while (a.done !== true || b.done !== true) {
      if (b.done === true || (a.done !== true && (isReverse ? a.value[0] >= b.value[0] : a.value[0] <= b.value[0]))) {
        if (a.done === true) return
        if (b.done !== true && a.value[0] === b.value[0]) b = right.next()
        yield a.value
        a = left.next()
      } else {
        yield b.value
        b = right.next()
      }
    }
  } finally {
    left.return?.()
    right.return?.() // closes the backend's cursor when the reader stops early
  }
}
