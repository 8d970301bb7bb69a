/**
 * A Range under way: how far it has come, and what it may still do before others have their turn. Whatever is read here is
 * read at one revision, in pieces that stand on nothing but the key that they begin with (slices.ts).
 */
import type { Revision } from '../../lib/ids.ts'
import type { RangeRequest } from '../proto/generated/etcd/rpc.ts'
import type { RangeCounts } from './range-counts.ts'
import { countCurrent, type IndexedKey, type KeyRange } from './read.ts'
import { ROWS_AT, sliceAt, sliceCurrent, successor } from './slices.ts'
import type { Store } from './store.ts'

/** What one slice visits and reads, about: 1 to 2 ms. */
export const SLICE_ROWS = 500
const SLICE_BYTES = 1024 * 1024
/** Pieces of the past are not smaller, however little is asked for: many keys of then may be gone or not yet there. */
const LEAST_ROWS = 32

/** A Range under way. */
export interface Reading {
  readonly store: Store
  readonly request: RangeRequest
  /** Named in the answer. */
  readonly current: Revision
  /** The revision that is read, undefined while that is the current one. */
  readonly at: () => number | undefined
  readonly sliceRows: number
  readonly isCounted: boolean
  readonly counted: { readonly counts: RangeCounts; readonly revision: number } | undefined
  /** A slice has ended: it may go through very much. */
  isLong: boolean
  /** Of the slice under way. */
  kvs: Buffer[]
  rows: number
  sizeBytes: number
}

export function newReading(store: Store, request: RangeRequest, current: Revision, at: Reading['at']): Reading {
  store.operations.ranges++
  const slice = { kvs: [], rows: 0, sizeBytes: 0 }
  return {
    store,
    request,
    current,
    at,
    sliceRows: SLICE_ROWS,
    isCounted: true,
    counted: undefined,
    isLong: false,
    ...slice,
  }
}

/** Ends the slice when it has done its work. */
export function* pause(reading: Reading): Generator<Buffer[], void, undefined> {
  if (!isFull(reading)) return
  const { kvs } = reading
  reading.isLong = true
  reading.kvs = []
  reading.rows = 0
  reading.sizeBytes = 0
  yield kvs
}

export function isFull({ rows, sliceRows, sizeBytes }: Reading): boolean {
  return rows >= sliceRows || sizeBytes >= SLICE_BYTES
}

/** How far the keys of a range have been looked at. */
export interface Scan {
  readonly end: Uint8Array | undefined
  /** Undefined: they are through. */
  next: Uint8Array | undefined
  readonly wanted: number
  /** Looked at. */
  seen: number
  /** Passed the filters. */
  kept: number
}

export function beginScan({ start, end }: KeyRange, wanted: number): Scan {
  return { end, next: start, wanted, seen: 0, kept: 0 }
}

export function goesOn(scan: Scan): scan is Scan & { next: Uint8Array } {
  return scan.next !== undefined && scan.kept < scan.wanted
}

/** Those from `start` on that pass the filters, maybe none. */
export function nextKeys(reading: Reading, scan: Scan, start: Uint8Array): readonly IndexedKey[] {
  const { store, request, sliceRows } = reading
  const at = reading.at()
  const rest = { start, end: scan.end }
  const wanted = scan.wanted - scan.kept
  const slice =
    at === undefined
      ? sliceCurrent(store, rest, Math.min(sliceRows, wanted))
      : sliceAt(store, rest, at, Math.min(pieceOf(sliceRows), Math.max(LEAST_ROWS, wanted)))
  const passed = passing(request, slice.found)
  const found = passed.length > wanted ? passed.slice(0, wanted) : passed
  const last = found.at(-1)
  const isCut = found.length < passed.length && last !== undefined
  reading.rows += slice.rows
  scan.next = isCut ? successor(last.key) : slice.next
  scan.seen += isCut ? slice.found.indexOf(last) + 1 : slice.found.length
  scan.kept += found.length
  return found
}

/** Keys of now to be given to a piece of the past, so that it is no more than a slice. */
function pieceOf(sliceRows: number): number {
  return Math.ceil(sliceRows / ROWS_AT)
}

/** Of the whole range, of which `scan` has seen the beginning. */
export function* countAll(reading: Reading, keys: KeyRange, scan: Scan): Generator<Buffer[], number, undefined> {
  if (scan.next === undefined || !reading.isCounted) return scan.seen
  const total = knownCount(reading, keys) ?? scan.seen + (yield* count(reading, { start: scan.next, end: scan.end }))
  noteCount(reading, keys, total)
  return total
}

/** A page from the end of the range is read in less time than a slice takes: little of what the database has is deleted. */
export function isAtHand({ store, sliceRows }: Reading, { start, end }: KeyRange): boolean {
  return store.buffer.countDeleted(start, end) <= sliceRows
}

export function* count(reading: Reading, keys: KeyRange): Generator<Buffer[], number, undefined> {
  const { store, sliceRows } = reading
  const known = knownCount(reading, keys)
  if (known !== undefined) return known
  let total = 0
  for (let next: Uint8Array | undefined = keys.start; next !== undefined;) {
    yield* pause(reading)
    const rest: KeyRange = { start: next, end: keys.end }
    const at = reading.at()
    if (at === undefined) {
      const some = countCurrent(store, rest, sliceRows)
      if (some.next !== undefined) reading.rows += sliceRows
      total += some.count
      next = some.next
      continue
    }
    const slice = sliceAt(store, rest, at, pieceOf(sliceRows))
    reading.rows += slice.rows
    total += slice.found.length
    next = slice.next
  }
  noteCount(reading, keys, total)
  return total
}

/** What is kept of it, or of a range that begins so little before it that a piece shows what is between them. */
function knownCount(reading: Reading, keys: KeyRange): number | undefined {
  const { store, counted, sliceRows } = reading
  const at = reading.at()
  const kept = counted?.counts.get(keys, counted.revision)
  // At the current revision counting costs less.
  if (kept !== undefined || at === undefined) return kept
  const near = counted?.counts.nearest(keys, counted.revision)
  if (near === undefined) return undefined
  const between = sliceAt(store, { start: near.start, end: keys.start }, at, pieceOf(sliceRows))
  reading.rows += between.rows
  return between.next === undefined ? near.count - between.found.length : undefined
}

/** For later requests, above all for the page that follows. */
export function noteCount({ counted, isCounted }: Reading, keys: KeyRange, total: number): void {
  if (isCounted) counted?.counts.set(keys, counted.revision, total)
}

export function hasFilters(request: RangeRequest): boolean {
  return (
    request.minModRevision !== 0n ||
    request.maxModRevision !== 0n ||
    request.minCreateRevision !== 0n ||
    request.maxCreateRevision !== 0n
  )
}

export function passing(request: RangeRequest, keys: readonly IndexedKey[]): readonly IndexedKey[] {
  return hasFilters(request) ? keys.filter((key) => passesFilters(request, key)) : keys
}

function passesFilters(request: RangeRequest, { record }: IndexedKey): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request
  return (
    (minModRevision === 0n || BigInt(record.modRevision) >= minModRevision) &&
    (maxModRevision === 0n || BigInt(record.modRevision) <= maxModRevision) &&
    (minCreateRevision === 0n || BigInt(record.createRevision) >= minCreateRevision) &&
    (maxCreateRevision === 0n || BigInt(record.createRevision) <= maxCreateRevision)
  )
}
