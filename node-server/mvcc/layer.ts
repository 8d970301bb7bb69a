/** What the write buffer is made of: rows that were written since the backend's last commit, newer ones over older ones. */
import { TABLES, type Table } from './backend.ts'
import type { RowValue } from './row-value.ts'
import { TableRows, type Row } from './table-rows.ts'

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
  get(table: Table, key: string): RowValue | undefined
  has(table: Table, range: TextRange): boolean
  /** Good until the next write. */
  rowsIn(table: Table, range: TextRange, isReverse: boolean): Iterable<Row>
}

/** What one row costs beside its bytes: slots, string and buffer headers; measured roughly. */
export const ROW_OVERHEAD_BYTES = 160

/** Takes writes in any order. */
export class WrittenRows implements Layer {
  readonly #tables = Object.fromEntries(TABLES.map((table) => [table, new TableRows()])) as Record<Table, TableRows>
  /** Counts every write, those to one key as well. */
  rows = 0
  sizeBytes = 0

  get(table: Table, key: string): RowValue | undefined {
    return this.#tables[table].get(key)
  }

  set(table: Table, key: string, value: RowValue): void {
    this.#tables[table].set(key, value)
    this.rows++
    this.sizeBytes += key.length + value.length + ROW_OVERHEAD_BYTES
  }

  has(table: Table, { low, high }: TextRange): boolean {
    return this.#tables[table].has(low, high)
  }

  rowsIn(table: Table, { low, high }: TextRange, isReverse: boolean): Iterable<Row> {
    return this.#tables[table].inOrder(low, high, isReverse)
  }
}

/** Both in the same order; where they have the same key, the newer one's value. */
export function* mergeNewest(newer: Iterable<Row>, older: Iterable<Row>, isReverse: boolean): Iterable<Row> {
  const left = newer[Symbol.iterator]()
  const right = older[Symbol.iterator]()
  try {
    let a = left.next()
    let b = right.next()
    while (a.done !== true || b.done !== true) {
      if (
        b.done === true ||
        (a.done !== true && (isReverse ? a.value.key >= b.value.key : a.value.key <= b.value.key))
      ) {
        if (a.done === true) return
        if (b.done !== true && a.value.key === b.value.key) b = right.next()
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
