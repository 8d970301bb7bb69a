/** What the write buffer is made of: rows that were written since the backend's last commit, newer ones over older ones. */
import { TABLES, type Table } from './backend.ts'
import { historyText, type LateRecord } from './key-index.ts'
import { LatePut } from './key-value.ts'
import { PutRows } from './put-rows.ts'
import type { RowValue } from './row-value.ts'
import { supersede, supersededRows } from './superseded.ts'
import { TableRows, type Row, type TextRange } from './table-rows.ts'

/** Stands in a layer for "removed", told by identity. */
export const REMOVED: Uint8Array = new Uint8Array(0)

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
/** The same of all rows that a put writes. */
const VERSION_OVERHEAD_BYTES = 400

/** Takes writes in any order. */
export class WrittenRows implements Layer {
  /** But for what is in the next two, and newer than that where both have a row. */
  readonly #tables = Object.fromEntries(TABLES.map((table) => [table, new TableRows()])) as Record<Table, TableRows>
  /** Of `revisions`. */
  readonly #puts = new PutRows()
  /** Rows of `current` have rows of `history` with them. */
  #hasSuperseded = false
  /** Counts every write, those to one key as well. */
  rows = 0
  sizeBytes = 0

  get(table: Table, key: string): RowValue | undefined {
    const row = this.#tables[table].find(key)
    if (row !== undefined) return row.value
    if (table === 'revisions') return this.#puts.get(key)
    if (table !== 'history') return undefined
    for (const { value } of this.#superseded({ low: key, high: `${key}\0` }, false)) return value
    return undefined
  }

  set(table: Table, key: string, value: RowValue): void {
    this.#tables[table].set(key, value)
    this.rows++
    this.sizeBytes += key.length + value.length + ROW_OVERHEAD_BYTES
  }

  /**
   * What a put writes: the version of its key in `current`, the key-value in `revisions`, and in `history` the version of the
   * key until then, if there was one.
   */
  putVersion(key: string, record: LateRecord, value: Uint8Array, previous: LateRecord | undefined): void {
    const { current, history } = this.#tables
    const row = current.set(key, record)
    this.#puts.add(new LatePut(record, key, value))
    this.rows += 2
    this.sizeBytes += key.length + value.length + VERSION_OVERHEAD_BYTES
    if (previous === undefined) return
    this.rows++
    if (history.isEmpty) {
      supersede(row, previous)
      this.#hasSuperseded = true
    } else history.set(historyText(key, previous.modRevision), previous)
  }

  has(table: Table, range: TextRange): boolean {
    if (this.#tables[table].has(range.low, range.high)) return true
    if (table === 'revisions') return this.#puts.has(range)
    if (table !== 'history') return false
    for (const _ of this.#superseded(range, false)) return true
    return false
  }

  rowsIn(table: Table, range: TextRange, isReverse: boolean): Iterable<Row> {
    const rows = this.#tables[table]
    const written = rows.inOrder(range.low, range.high, isReverse)
    if (table === 'revisions' && !this.#puts.isEmpty)
      return over(rows, written, this.#puts.inOrder(range, isReverse), isReverse)
    if (table === 'history' && this.#hasSuperseded)
      return over(rows, written, this.#superseded(range, isReverse), isReverse)
    return written
  }

  #superseded(range: TextRange, isReverse: boolean): Iterable<Row> {
    return this.#hasSuperseded ? supersededRows(this.#tables.current, range, isReverse) : []
  }
}

/** The rows of a table over others of it. */
function over(table: TableRows, rows: Iterable<Row>, others: Iterable<Row>, isReverse: boolean): Iterable<Row> {
  return table.isEmpty ? others : mergeNewest(rows, others, isReverse)
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
