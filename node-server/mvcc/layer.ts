/** What the write buffer is made of: rows that were written since the backend's last commit, newer ones over older ones. */
import { TABLES, type Table } from './backend.ts'
import { SortedKeys } from './sorted-keys.ts'

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

/** What one row costs beside its bytes: slots, string and buffer headers; measured roughly. */
const ROW_OVERHEAD_BYTES = 160

/** Takes writes in any order. */
export class WrittenRows implements Layer {
  readonly #tables = Object.fromEntries(TABLES.map((table) => [table, new TableRows()])) as Record<Table, TableRows>
  /** Counts every write, those to one key as well. */
  rows = 0
  sizeBytes = 0

  get(table: Table, key: string): Uint8Array | undefined {
    return this.#tables[table].values.get(key)
  }

  set(table: Table, key: string, value: Uint8Array): void {
    const { values, keys } = this.#tables[table]
    const before = values.size
    values.set(key, value)
    if (values.size > before) keys.add(key)
    this.rows++
    this.sizeBytes += key.length + value.length + ROW_OVERHEAD_BYTES
  }

  has(table: Table, { low, high }: TextRange): boolean {
    return this.#tables[table].keys.has(low, high)
  }

  *pairs(table: Table, { low, high }: TextRange, isReverse: boolean): Iterable<Pair> {
    const { values, keys } = this.#tables[table]
    for (const key of keys.keys(low, high, isReverse)) yield [key, values.get(key) ?? REMOVED]
  }
}

/** Puts read and write a key here, few read them in order: hence a map. */
class TableRows {
  readonly values = new Map<string, Uint8Array>()
  readonly keys = new SortedKeys()
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
