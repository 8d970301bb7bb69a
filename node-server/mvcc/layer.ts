/** What the write buffer is made of: rows that were written since the backend's last commit, newer ones over older ones. */
import sortedBtree from 'sorted-btree'
import { TABLES, type Table } from './backend.ts'

/** Key, one character a byte (byte-text.ts), and value. */
export type Pair = readonly [key: string, value: Uint8Array]

/** Stands in a layer for "removed", told by identity. */
export const REMOVED: Uint8Array = new Uint8Array(0)

/** Keys from `low` on and below `high`; `high` undefined: all from `low`. */
export interface TextRange {
  readonly low: string
  readonly high: string | undefined
}

export interface Layer {
  readonly rows: number
  /** In memory, about. */
  readonly sizeBytes: number
  /** Undefined: it says nothing about that key. */
  get(table: Table, key: string): Uint8Array | undefined
  has(table: Table, range: TextRange): boolean
  pairs(table: Table, range: TextRange, isReverse: boolean): Iterable<Pair>
}

type Tree = InstanceType<typeof sortedBtree.default<string, Uint8Array>>

/** What one row costs beside its bytes: tree slot, string and buffer headers; measured roughly. */
const ROW_OVERHEAD_BYTES = 160

/** Takes writes in any order. */
export class TreeLayer implements Layer {
  readonly #trees = Object.fromEntries(TABLES.map((table) => [table, newTree()])) as Record<Table, Tree>
  /** Counts every write, those to one key as well. */
  rows = 0
  sizeBytes = 0

  get(table: Table, key: string): Uint8Array | undefined {
    return this.#trees[table].get(key)
  }

  set(table: Table, key: string, value: Uint8Array): void {
    this.#trees[table].set(key, value)
    this.rows++
    this.sizeBytes += key.length + value.length + ROW_OVERHEAD_BYTES
  }

  has(table: Table, { low, high }: TextRange): boolean {
    const first = this.#trees[table].getPairOrNextHigher(low)
    return first !== undefined && (high === undefined || first[0] < high)
  }

  *pairs(table: Table, { low, high }: TextRange, isReverse: boolean): Iterable<Pair> {
    const tree = this.#trees[table]
    const pairs = isReverse ? tree.entriesReversed(high, undefined, true) : tree.entries(low)
    for (const pair of pairs) {
      if (isReverse ? pair[0] < low : high !== undefined && pair[0] >= high) return
      yield [pair[0], pair[1]]
    }
  }
}

function newTree(): Tree {
  return new sortedBtree.default<string, Uint8Array>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0))
}

/** Both in the same order; where they have the same key, the newer one's value. */
export function* mergeNewest(newer: Iterable<Pair>, older: Iterable<Pair>, isReverse: boolean): Iterable<Pair> {
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
