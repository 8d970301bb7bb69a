/**
 * A range of keys in pieces of a bounded number of rows, for readers that let others work in between. A piece stands on
 * nothing but the key that it begins with, so whatever is written between two of them, pieces at one revision make up
 * what was there at that revision; only a compaction above it must not remove anything meanwhile (`Store.holdRevision`).
 */
import { compareBytes } from '../../lib/bytes.ts'
import type { Table, TableEntry } from './backend.ts'
import { decodeHistoryKey, decodeRecord, historyBound } from './key-index.ts'
import { liveInHistory, mergeAt, readAt, type IndexedKey, type KeyRange } from './read.ts'
import type { Store } from './store.ts'

export interface KeySlice {
  /** In key order. */
  readonly found: readonly IndexedKey[]
  /** What the next one begins with; undefined: the range is through. */
  readonly next: Uint8Array | undefined
  /** Visited: what it cost. */
  readonly rows: number
}

/** The beginning of the range as it is now; visits at most `rows` rows. */
export function sliceCurrent(store: Store, range: KeyRange, rows: number): KeySlice {
  const { entries, next, visited } = sliceRows(store, 'current', range, rows)
  return { found: entries.map(({ key, value }) => ({ key, record: decodeRecord(value) })), next, rows: visited }
}

export interface RowSlice {
  readonly entries: readonly TableEntry[]
  /** What the next one begins with; undefined: the range is through. */
  readonly next: Buffer | undefined
  readonly visited: number
}

/** The first rows of a range; those that were removed and that the database may still have are visited like others. */
export function sliceRows(store: Store, table: Table, { start, end }: KeyRange, rows: number): RowSlice {
  const entries: TableEntry[] = []
  let visited = 0
  for (const entry of store.buffer.scanWithGaps(table, start, end)) {
    if (entry.value !== undefined) entries.push(entry)
    if (++visited === rows) return { entries, next: successor(entry.key), visited }
  }
  return { entries, next: undefined, visited }
}

/** How many rows of history are visited for each of `current`, at most: then little of `current` is visited in vain. */
const HISTORY_ROWS = 4
/** What {@link sliceAt} visits for each of the rows that it is given, at most. */
export const ROWS_AT = 1 + HISTORY_ROWS

/**
 * The beginning of the range as it was at `revision`, which is not compacted; visits at most `rows` keys that live now and
 * {@link ROWS_AT} times as many rows in all.
 */
export function sliceAt(store: Store, range: KeyRange, revision: number, rows: number): KeySlice {
  const { found: current, next, rows: visitedNow } = sliceCurrent(store, range, rows)
  const end = next ?? range.end
  const limit = HISTORY_ROWS * rows
  const superseded = [...store.buffer.scan('history', historyBound(range.start), end && historyBound(end), { limit })]
  const visited = visitedNow + superseded.length
  const last = superseded.length < limit ? undefined : superseded.at(-1)
  if (last === undefined)
    return { found: [...mergeAt(current, liveInHistory(superseded, revision), revision)], next, rows: visited }
  // The history of the last key may go on, however far: the one row of it that counts is asked for.
  const { key } = decodeHistoryKey(last.key)
  const isBelow = (other: Uint8Array): boolean => compareBytes(other, key) < 0
  const below = mergeAt(
    current.filter((one) => isBelow(one.key)),
    liveInHistory(
      superseded.filter((entry) => isBelow(decodeHistoryKey(entry.key).key)),
      revision,
    ),
    revision,
  )
  const record = readAt(store, key, revision)
  const found = record === undefined ? [...below] : [...below, { key, record }]
  return { found, next: successor(key), rows: visited }
}

/** The lowest key above it. */
export function successor(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.of(0)])
}
