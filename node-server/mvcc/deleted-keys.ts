/**
 * The rows of a change that deletes very many keys, kept as the keys themselves: a row is made when somebody reads it or
 * when it is committed. Each key has one row in `current` and in `revisions` and two in `history` (key-index.ts), as if
 * they had been written one by one; where all are of one lease that is revoked, they have one in `leaseKeys` as well.
 */
import { assert } from '../../lib/assert.ts'
import type { Table } from './backend.ts'
import { bytesOfText, textOfBytes } from './byte-text.ts'
import { encodeRecord, historyKey, modRevisionOf, revisionKey, tombstoneOf } from './key-index.ts'
import { encodeTombstone } from './key-value.ts'
import { REMOVED, type Layer } from './layer.ts'
import type { Row, TextRange } from './table-rows.ts'

const ROWS_OF_KEY: Readonly<Partial<Record<Table, number>>> = { current: 1, revisions: 1, history: 2 }
/** Of a key, beside its bytes and those of its record: slots, string and buffer headers; measured roughly. */
const KEY_OVERHEAD_BYTES = 140

export class DeletedKeys implements Layer {
  readonly #revision: number
  /** As text; undefined: it says nothing about `leaseKeys`. */
  readonly #leasePrefix: string | undefined
  readonly #rowsOfKey: Readonly<Partial<Record<Table, number>>>
  /** As text, ascending. */
  readonly #keys: string[] = []
  /** Of the version that was deleted, as `current` had it. */
  readonly #records: Uint8Array[] = []
  /** Sub-revisions of the deletions, ascending. */
  readonly #subs: number[] = []
  sizeBytes = 0

  constructor(revision: number, leasePrefix?: Uint8Array) {
    this.#revision = revision
    this.#leasePrefix = leasePrefix && textOfBytes(leasePrefix)
    this.#rowsOfKey = leasePrefix === undefined ? ROWS_OF_KEY : { ...ROWS_OF_KEY, leaseKeys: 1 }
  }

  get rows(): number {
    return Object.values(this.#rowsOfKey).reduce((sum, rows) => sum + rows * this.#keys.length, 0)
  }

  /** False, and nothing is done, when the key does not come after those that are here. The key is live under this layer. */
  add(key: string, record: Uint8Array, sub: number): boolean {
    const last = this.#keys.at(-1)
    if (last !== undefined && key <= last) return false
    assert(sub > (this.#subs.at(-1) ?? -1), 'steps are made in their order')
    this.#keys.push(key)
    this.#records.push(record)
    this.#subs.push(sub)
    this.sizeBytes += key.length + record.length + KEY_OVERHEAD_BYTES
    return true
  }

  get(table: Table, key: string): Uint8Array | undefined {
    const row = this.#lowerBound(table, key)
    return row < this.#rowsIn(table) && this.#keyOf(table, row) === key ? this.#valueOf(table, row) : undefined
  }

  has(table: Table, range: TextRange): boolean {
    const row = this.#lowerBound(table, range.low)
    return row < this.#rowsIn(table) && (range.high === undefined || this.#keyOf(table, row) < range.high)
  }

  /** How many of the keys are in the range. */
  count({ low, high }: TextRange): number {
    const end = high === undefined ? this.#keys.length : this.#lowerBound('current', high)
    return end - this.#lowerBound('current', low)
  }

  *rowsIn(table: Table, { low, high }: TextRange, isReverse: boolean): Iterable<Row> {
    const first = this.#lowerBound(table, low)
    const end = high === undefined ? this.#rowsIn(table) : this.#lowerBound(table, high)
    const at = (row: number): Row => ({ key: this.#keyOf(table, row), value: this.#valueOf(table, row) })
    if (isReverse) for (let row = end - 1; row >= first; row--) yield at(row)
    else for (let row = first; row < end; row++) yield at(row)
  }

  #rowsIn(table: Table): number {
    return this.#keys.length * (this.#rowsOfKey[table] ?? 0)
  }

  /** The first row whose key is not below `key`. */
  #lowerBound(table: Table, key: string): number {
    let low = 0
    let high = this.#rowsIn(table)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#keyOf(table, middle) < key) low = middle + 1
      else high = middle
    }
    return low
  }

  #keyOf(table: Table, row: number): string {
    if (table === 'current') return at(this.#keys, row)
    if (table === 'leaseKeys') return `${this.#leasePrefix ?? ''}${at(this.#keys, row)}`
    if (table === 'revisions') return textOfBytes(revisionKey(this.#revision, at(this.#subs, row)))
    const revision = isTombstoneRow(row) ? this.#revision : modRevisionOf(at(this.#records, row >> 1))
    return textOfBytes(historyKey(bytesOfText(at(this.#keys, row >> 1)), revision))
  }

  #valueOf(table: Table, row: number): Uint8Array {
    if (table === 'current' || table === 'leaseKeys') return REMOVED
    if (table === 'revisions') return encodeTombstone(bytesOfText(at(this.#keys, row)), this.#revision)
    if (!isTombstoneRow(row)) return at(this.#records, row >> 1)
    return encodeRecord(tombstoneOf(this.#revision, at(this.#subs, row >> 1), undefined))
  }
}

/** In `history` the version that was deleted stands before the tombstone, which is newer. */
function isTombstoneRow(row: number): boolean {
  return row % 2 === 1
}

function at<Item>(items: readonly Item[], position: number): Item {
  const item = items[position]
  assert(item !== undefined, 'there is such a row')
  return item
}
