/**
 * Rows of one table that are written in any order, found by their keys, and read in the order of those. Most are written many
 * at a time and read once, so they are sorted together and then lie in runs, each more than twice as long as the next: a new
 * one is merged with those that are not much longer. Those that come in their order, as revisions do, are neither sorted nor
 * hashed.
 */
import type { RowValue } from './row-value.ts'

export interface Row<Value = RowValue> {
  /** One character a byte (byte-text.ts). */
  readonly key: string
  readonly value: Value
}

interface WrittenRow<Value> extends Row<Value> {
  value: Value
}

/** Between two looks so many wait to be sorted: less than a millisecond. */
const MAX_UNSORTED = 1024

/** From one position of a run up to and without another. */
interface Cursor<Value> {
  readonly run: readonly Row<Value>[]
  at: number
  end: number
}

export class TableRows<Value = RowValue> {
  /** Each came when its key was above all others. */
  readonly #ascending: WrittenRow<Value>[] = []
  readonly #others = new Map<string, WrittenRow<Value>>()
  #highestOther = ''
  /** Of the others, each in order. */
  readonly #runs: WrittenRow<Value>[][] = []
  #unsorted: WrittenRow<Value>[] = []

  get(key: string): Value | undefined {
    return this.#find(key)?.value
  }

  set(key: string, value: Value): void {
    const written = this.#find(key)
    if (written !== undefined) written.value = value
    else if (key > highest(this.#ascending)) this.#ascending.push({ key, value })
    else {
      const row = { key, value }
      if (key > this.#highestOther) this.#highestOther = key
      this.#others.set(key, row)
      this.#unsorted.push(row)
      if (this.#unsorted.length === MAX_UNSORTED) this.#sort()
    }
  }

  #find(key: string): WrittenRow<Value> | undefined {
    if (key > highest(this.#ascending)) return undefined
    const other = key > this.#highestOther ? undefined : this.#others.get(key)
    return other ?? foundIn(this.#ascending, key)
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
  *inOrder(low: string, high: string | undefined, isReverse: boolean): Iterable<Row<Value>> {
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
    for (const run of [this.#ascending, ...this.#runs]) {
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

function headOf<Value>({ run, at, end }: Cursor<Value>, isReverse: boolean): Row<Value> | undefined {
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
