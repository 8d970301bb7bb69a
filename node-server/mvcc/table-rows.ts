/**
 * Rows of one table that are written in any order, found by their keys, and read in the order of those. Most are written many
 * at a time and read once, so they are sorted together and then lie in runs, each more than twice as long as the next: a new
 * one is merged with those that are not much longer. As long as they come in their order, as the revisions do that a
 * compaction removes, they are neither sorted nor hashed.
 */
import type { LateRecord } from './key-index.ts'
import type { LateBytes, RowValue } from './row-value.ts'

/** Keys from `low` on and below `high`; `high` undefined: all from `low`. */
export interface TextRange {
  readonly low: string
  readonly high: string | undefined
}

export interface Row<Value = RowValue> {
  /** One character a byte (byte-text.ts). */
  readonly key: string
  readonly value: Value
  /** The key, where there is no text of it before somebody asks. */
  readonly lateKey?: LateBytes
}

/** A version of a key that another was put over, and those before it. */
export interface Superseded {
  readonly record: LateRecord
  readonly before: Superseded | undefined
}

export class WrittenRow<Value = RowValue> implements Row<Value> {
  readonly key: string
  value: Value
  /** Of a row of `current`: see superseded.ts. */
  superseded: Superseded | undefined = undefined

  constructor(key: string, value: Value) {
    this.key = key
    this.value = value
  }
}

/** Between two looks so many wait to be sorted, and so many at most are hashed at once: less than a millisecond. */
const MAX_UNSORTED = 1024

/** From one position of a run up to and without another. */
interface Cursor<Value> {
  readonly run: readonly WrittenRow<Value>[]
  at: number
  end: number
}

export class TableRows<Value = RowValue> {
  /** Those before the first that was out of order; where they are many, also later ones above all of these. */
  #ordered: WrittenRow<Value>[] = []
  readonly #others = new Map<string, WrittenRow<Value>>()
  /** Of the others, each in order. */
  readonly #runs: WrittenRow<Value>[][] = []
  #unsorted: WrittenRow<Value>[] = []

  get isEmpty(): boolean {
    return this.#ordered.length === 0 && this.#others.size === 0
  }

  find(key: string): WrittenRow<Value> | undefined {
    const other = this.#others.size === 0 ? undefined : this.#others.get(key)
    return other ?? foundIn(this.#ordered, key)
  }

  /** The row of that key, with that value from now on. */
  set(key: string, value: Value): WrittenRow<Value> {
    const written = this.find(key)
    if (written !== undefined) {
      written.value = value
      return written
    }
    const row = new WrittenRow(key, value)
    if (this.#isNextInOrder(key)) this.#ordered.push(row)
    else this.#addOther(row)
    return row
  }

  #isNextInOrder(key: string): boolean {
    return key > highest(this.#ordered) && (this.#others.size === 0 || this.#ordered.length > MAX_UNSORTED)
  }

  #addOther(row: WrittenRow<Value>): void {
    if (this.#others.size === 0 && this.#ordered.length <= MAX_UNSORTED) this.#hashOrdered()
    this.#others.set(row.key, row)
    this.#unsorted.push(row)
    if (this.#unsorted.length === MAX_UNSORTED) this.#sort()
  }

  /** A few in order would only be another place to look at. */
  #hashOrdered(): void {
    for (const row of this.#ordered) this.#others.set(row.key, row)
    if (this.#ordered.length > 0) this.#runs.push(this.#ordered)
    this.#ordered = []
  }

  #sort(): void {
    if (this.#unsorted.length === 0) return
    let run = this.#unsorted.toSorted(byKey)
    this.#unsorted = []
    for (let last = this.#runs.at(-1); last !== undefined && last.length <= 2 * run.length; last = this.#runs.at(-1)) {
      this.#runs.pop()
      run = merged(last, run)
    }
    this.#runs.push(run)
  }

  has(low: string, high: string | undefined): boolean {
    return this.#cursors(low, high).length > 0
  }

  /** From `low` on and below `high` (undefined: all). Nothing is written while they are read. */
  *inOrder(low: string, high: string | undefined, isReverse: boolean): Iterable<WrittenRow<Value>> {
    const cursors = this.#cursors(low, high)
    for (let next = first(cursors, isReverse); next !== undefined; next = first(cursors, isReverse)) {
      const row = headOf(next, isReverse)
      if (isReverse) next.end--
      else next.at++
      if (next.at === next.end) cursors.splice(cursors.indexOf(next), 1)
      if (row !== undefined) yield row
    }
  }

  /** Of those runs that have some of them. */
  #cursors(low: string, high: string | undefined): Cursor<Value>[] {
    this.#sort()
    const cursors: Cursor<Value>[] = []
    for (const run of [this.#ordered, ...this.#runs]) {
      const at = lowerBound(run, low)
      const end = high === undefined ? run.length : lowerBound(run, high)
      if (at < end) cursors.push({ run, at, end })
    }
    return cursors
  }
}

/** Of a run; empty, as no key is, while there is none. */
function highest(run: readonly Row<unknown>[]): string {
  return run[run.length - 1]?.key ?? ''
}

function foundIn<Value>(run: readonly WrittenRow<Value>[], key: string): WrittenRow<Value> | undefined {
  if (key > highest(run) || key < keyOf(run[0])) return undefined
  const row = run[lowerBound(run, key)]
  return row?.key === key ? row : undefined
}

function first<Value>(cursors: readonly Cursor<Value>[], isReverse: boolean): Cursor<Value> | undefined {
  let first = cursors[0]
  for (let i = 1; i < cursors.length; i++) {
    const cursor = cursors[i]
    if (first === undefined || cursor === undefined) break
    if (keyOf(headOf(cursor, isReverse)) < keyOf(headOf(first, isReverse)) !== isReverse) first = cursor
  }
  return first
}

function headOf<Value>({ run, at, end }: Cursor<Value>, isReverse: boolean): WrittenRow<Value> | undefined {
  return run[isReverse ? end - 1 : at]
}

function keyOf(row: Row<unknown> | undefined): string {
  return row === undefined ? '' : row.key
}

/** How many stand before `key`. */
function lowerBound(run: readonly Row<unknown>[], key: string): number {
  let low = 0
  for (let high = run.length; low < high;) {
    const middle = (low + high) >>> 1
    if (keyOf(run[middle]) < key) low = middle + 1
    else high = middle
  }
  return low
}

function merged<Value>(a: readonly WrittenRow<Value>[], b: readonly WrittenRow<Value>[]): WrittenRow<Value>[] {
  const all: WrittenRow<Value>[] = []
  let next = 0
  for (const row of b) {
    for (let other = a[next]; other !== undefined && other.key < row.key; other = a[++next]) all.push(other)
    all.push(row)
  }
  for (let other = a[next]; other !== undefined; other = a[++next]) all.push(other)
  return all
}

function byKey(a: Row<unknown>, b: Row<unknown>): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0
}
