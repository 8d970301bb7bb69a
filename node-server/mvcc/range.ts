/** etcd's Range with every option, on one revision. Sources: etcd API reference, KV; the order of filter, sort, limit. */
import { compareBytes, EMPTY_BYTES } from '../../lib/bytes.ts'
import type { Revision } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
  type RangeRequest,
} from '../proto/generated/etcd/rpc.ts'
import type { StoreError } from './errors.ts'
import { encodeKeyValue, valueOf, withoutValue } from './key-value.ts'
import type { RangeCounts } from './range-counts.ts'
import {
  countCurrent,
  keyRange,
  readAt,
  readCurrent,
  readKeyValue,
  scanCurrent,
  type IndexedKey,
  type KeyRange,
} from './read.ts'
import type { RangeResult } from './results.ts'
import { sliceAt, sliceCurrent, successor } from './slices.ts'
import { sortInSlices } from './sort-slices.ts'
import type { Store } from './store.ts'

/** What one slice visits and reads, about: 1 to 2 ms. */
export const SLICE_ROWS = 500
const SLICE_BYTES = 1024 * 1024
/** Pieces of the past are not smaller, however little is asked for: many keys of then may be gone or not yet there. */
const LEAST_ROWS = 32

/**
 * Reads at `request.revision`, 0 meaning the current one. `current` is the revision that the answer names; inside a txn
 * that has changed something it is one above the store's. The request must have passed `validateRange`.
 */
export function range(
  store: Store,
  request: RangeRequest,
  current: Revision = store.revision,
): Result<RangeResult, StoreError> {
  const revision = Number(request.revision)
  const refusal = refuseRevision(store, revision, current)
  if (refusal !== undefined) return err(refusal)
  const at = revision > 0 && revision < current ? revision : undefined
  const slices = read(newReading(store, request, current, () => at))
  const kvs: Buffer[] = []
  for (;;) {
    const slice = slices.next()
    if (slice.done !== true) for (const kv of slice.value) kvs.push(kv)
    else if (kvs.length === 0) return ok(slice.value)
    else return ok({ ...slice.value, kvs: kvs.concat(slice.value.kvs) })
  }
}

/** Yields the key-values of each slice; those of the last one, which are all of a short range, come with the rest. */
export type RangeSlices = Generator<Buffer[], RangeResult, undefined>

export interface SlicedRange {
  /** That is read. What is visible at it must stay until the last slice (`Store.holdRevision`). */
  readonly revision: number
  readonly slices: RangeSlices
}

export interface SliceOptions {
  readonly counts?: RangeCounts
  /** False: the count is of no interest, and is that of what was looked at. */
  readonly isCounted?: boolean
  readonly sliceRows?: number
}

/** As {@link range}; between two slices entries may be applied, which changes nothing of the answer. */
export function rangeInSlices(
  store: Store,
  request: RangeRequest,
  options: SliceOptions = {},
): Result<SlicedRange, StoreError> {
  const current = store.revision
  const refusal = refuseRevision(store, Number(request.revision), current)
  if (refusal !== undefined) return err(refusal)
  const revision = request.revision > 0n ? Number(request.revision) : current
  const at = (): number | undefined => (revision < store.revision ? revision : undefined)
  const { counts, isCounted = true, sliceRows = SLICE_ROWS } = options
  const counted = counts && { counts, revision }
  const reading = { ...newReading(store, request, current, at), isCounted, counted, sliceRows }
  return ok({ revision, slices: read(reading) })
}

/** Whether a read in pages is possible: it comes in key order, and each key of the range is part of it. */
export function isPageable(request: RangeRequest): 'yes' | 'sorted' | 'filtered' {
  const isSorted = request.sortOrder !== Order.NONE && !(isKeyOrdered(request) && request.sortOrder === Order.ASCEND)
  if (isSorted) return 'sorted'
  return hasFilters(request) ? 'filtered' : 'yes'
}

/** Negative revisions mean the current one, as 0 does. */
export function refuseRevision(store: Store, revision: number, current: number): StoreError | undefined {
  if (revision > current) return { kind: 'future-revision', revision: current }
  if (revision > 0 && revision < store.compactedRevision)
    return { kind: 'compacted', revision: store.compactedRevision }
  return undefined
}

function oneKey(store: Store, key: Uint8Array, at: number | undefined): readonly IndexedKey[] {
  const record = at === undefined ? readCurrent(store, key) : readAt(store, key, at)
  return record === undefined ? [] : [{ key, record }]
}

/** A Range under way. */
interface Reading {
  readonly store: Store
  readonly request: RangeRequest
  /** Named in the answer. */
  readonly current: Revision
  /** The revision that is read, undefined while that is the current one. */
  readonly at: () => number | undefined
  readonly sliceRows: number
  readonly isCounted: boolean
  readonly counted: { readonly counts: RangeCounts; readonly revision: number } | undefined
  /** Of the slice under way. */
  kvs: Buffer[]
  rows: number
  sizeBytes: number
}

function newReading(store: Store, request: RangeRequest, current: Revision, at: Reading['at']): Reading {
  const slice = { kvs: [], rows: 0, sizeBytes: 0 }
  return { store, request, current, at, sliceRows: SLICE_ROWS, isCounted: true, counted: undefined, ...slice }
}

/** Ends the slice when it has done its work. */
function* pause(reading: Reading): Generator<Buffer[], void, undefined> {
  if (!isFull(reading)) return
  const { kvs } = reading
  reading.kvs = []
  reading.rows = 0
  reading.sizeBytes = 0
  yield kvs
}

function isFull({ rows, sliceRows, sizeBytes }: Reading): boolean {
  return rows >= sliceRows || sizeBytes >= SLICE_BYTES
}

function* read(reading: Reading): RangeSlices {
  const { request } = reading
  const keys = keyRange(request.key, request.rangeEnd)
  if (keys === undefined) {
    const found = oneKey(reading.store, request.key, reading.at())
    return yield* answer(reading, passing(request, found), found.length)
  }
  if (request.countOnly) return endOf(reading, yield* count(reading, keys), false)
  const last = lastKeys(reading, keys)
  if (last !== undefined) return yield* answer(reading, last, countCurrent(reading.store, keys))
  return yield* isInKeyOrder(request) ? readInKeyOrder(reading, keys) : readAndSort(reading, keys)
}

/** Of a page from the end of the range as it is now, no more is looked at than its keys. */
function lastKeys({ store, request, at, sliceRows }: Reading, keys: KeyRange): readonly IndexedKey[] | undefined {
  const isReverse = isKeyOrdered(request) && request.sortOrder === Order.DESCEND
  const limit = Number(request.limit)
  if (!isReverse || hasFilters(request) || at() !== undefined || limit <= 0 || limit >= sliceRows) return undefined
  return [...scanCurrent(store, keys, { isReverse, limit: limit + 1 })]
}

/** Key-values are read as their keys are found, so that no more than the answer itself is ever held. */
function* readInKeyOrder(reading: Reading, keys: KeyRange): RangeSlices {
  const limit = Number(reading.request.limit)
  const wanted = limit > 0 ? limit + 1 : Infinity
  const scan = beginScan(keys, wanted)
  let left = limit > 0 ? limit : Infinity
  let last: IndexedKey | undefined
  while (goesOn(scan)) {
    yield* pause(reading)
    const found = nextKeys(reading, scan, scan.next)
    const page = found.length > left ? found.slice(0, left) : found
    left -= page.length
    last = page.at(-1) ?? last
    yield* readValues(reading, page)
  }
  const total = yield* countAll(reading, keys, scan)
  const more = limit > 0 && scan.kept > limit
  if (more && last !== undefined && !hasFilters(reading.request))
    noteCount(reading, { start: successor(last.key), end: keys.end }, total - limit)
  return endOf(reading, total, more)
}

function* readAndSort(reading: Reading, keys: KeyRange): RangeSlices {
  const { request } = reading
  const limit = Number(request.limit)
  const isCut = request.sortOrder === Order.NONE && limit > 0 && !hasFilters(request)
  // A target with order NONE sorts what is found, but etcd looks no further than the limit then: the page holds the first
  // keys of the range, sorted, and not those that come first by the target.
  const scan = beginScan(keys, isCut ? limit + 1 : Infinity)
  const all: IndexedKey[] = []
  while (goesOn(scan)) {
    yield* pause(reading)
    for (const key of nextKeys(reading, scan, scan.next)) all.push(key)
  }
  const total = yield* countAll(reading, keys, scan)
  return yield* answer(reading, yield* sort(reading, all), total)
}

/** `sorted`: all that passes the filters, or one more than the limit, in the order asked for. */
function* answer(reading: Reading, sorted: readonly IndexedKey[], total: number): RangeSlices {
  const { request } = reading
  if (request.countOnly) return endOf(reading, total, false)
  const limit = Number(request.limit)
  const more = limit > 0 && sorted.length > limit
  yield* readValues(reading, more ? sorted.slice(0, limit) : sorted)
  return endOf(reading, total, more)
}

function endOf({ current, kvs }: Reading, total: number, more: boolean): RangeResult {
  return { kind: 'range', revision: current, kvs, count: total, more }
}

function* readValues(reading: Reading, keys: readonly IndexedKey[]): Generator<Buffer[], void, undefined> {
  for (const key of keys) {
    if (isFull(reading)) yield* pause(reading)
    const kv = encodeKey(reading.store, reading.request, key)
    reading.kvs.push(kv)
    reading.rows += 1
    reading.sizeBytes += kv.length
  }
}

/** How far the keys of a range have been looked at. */
interface Scan {
  readonly end: Uint8Array | undefined
  /** Undefined: they are through. */
  next: Uint8Array | undefined
  readonly wanted: number
  /** Looked at. */
  seen: number
  /** Passed the filters. */
  kept: number
}

function beginScan({ start, end }: KeyRange, wanted: number): Scan {
  return { end, next: start, wanted, seen: 0, kept: 0 }
}

function goesOn(scan: Scan): scan is Scan & { next: Uint8Array } {
  return scan.next !== undefined && scan.kept < scan.wanted
}

/** Those from `start` on that pass the filters, maybe none. */
function nextKeys(reading: Reading, scan: Scan, start: Uint8Array): readonly IndexedKey[] {
  const { store, request, sliceRows } = reading
  const at = reading.at()
  const rest = { start, end: scan.end }
  const wanted = scan.wanted - scan.kept
  const slice =
    at === undefined
      ? sliceCurrent(store, rest, Math.min(sliceRows, wanted))
      : sliceAt(store, rest, at, Math.min(halfOf(sliceRows), Math.max(LEAST_ROWS, wanted)))
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

/** A piece of the past visits up to twice what it is given. */
function halfOf(rows: number): number {
  return Math.ceil(rows / 2)
}

/** Of the whole range, of which `scan` has seen the beginning. */
function* countAll(reading: Reading, keys: KeyRange, scan: Scan): Generator<Buffer[], number, undefined> {
  const { counted, isCounted } = reading
  if (scan.next === undefined || !isCounted) return scan.seen
  const known = counted?.counts.get(keys, counted.revision)
  const total = known ?? scan.seen + (yield* count(reading, { start: scan.next, end: scan.end }))
  noteCount(reading, keys, total)
  return total
}

function* count(reading: Reading, keys: KeyRange): Generator<Buffer[], number, undefined> {
  const { store, counted, sliceRows } = reading
  const known = counted?.counts.get(keys, counted.revision)
  if (known !== undefined) return known
  let total = 0
  for (let next: Uint8Array | undefined = keys.start; next !== undefined;) {
    const rest: KeyRange = { start: next, end: keys.end }
    const at = reading.at()
    // The database counts what is there now in less time than a slice takes.
    if (at === undefined) {
      total += countCurrent(store, rest)
      break
    }
    yield* pause(reading)
    const slice = sliceAt(store, rest, at, halfOf(sliceRows))
    reading.rows += slice.rows
    total += slice.found.length
    next = slice.next
  }
  noteCount(reading, keys, total)
  return total
}

/** For whoever asks next, above all for the page that follows. */
function noteCount({ counted, isCounted }: Reading, keys: KeyRange, total: number): void {
  if (isCounted) counted?.counts.set(keys, counted.revision, total)
}

function isKeyOrdered(request: RangeRequest): boolean {
  return request.sortTarget === Target.KEY
}

function hasFilters(request: RangeRequest): boolean {
  return (
    request.minModRevision !== 0n ||
    request.maxModRevision !== 0n ||
    request.minCreateRevision !== 0n ||
    request.maxCreateRevision !== 0n
  )
}

function encodeKey(store: Store, request: RangeRequest, key: IndexedKey): Buffer {
  if (!request.keysOnly) return readKeyValue(store, key.record)
  // etcd answers keys_only from its index, which knows no leases; only to sort by value it reads the key-values.
  return request.sortTarget === Target.VALUE ? withoutValue(readKeyValue(store, key.record)) : encodeKeyOnly(key)
}

function encodeKeyOnly({ key, record }: IndexedKey): Buffer {
  const { createRevision, modRevision, version } = record
  return encodeKeyValue({ key, createRevision, modRevision, version, value: EMPTY_BYTES, lease: 0n })
}

function passing(request: RangeRequest, keys: readonly IndexedKey[]): readonly IndexedKey[] {
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

function isInKeyOrder(request: RangeRequest): boolean {
  return isKeyOrdered(request) && request.sortOrder !== Order.DESCEND
}

/** A target other than KEY with order NONE means ascending. Equal ones are in key order, descending too. */
function* sort(reading: Reading, keys: readonly IndexedKey[]): Generator<Buffer[], readonly IndexedKey[], undefined> {
  const { request } = reading
  const isDescending = request.sortOrder === Order.DESCEND
  if (isKeyOrdered(request)) return isDescending ? keys.toReversed() : keys
  const compare = yield* comparator(reading, keys)
  const sorting = sortInSlices(keys, isDescending ? (a, b) => compare(b, a) : compare, reading.sliceRows)
  for (;;) {
    const step = sorting.next()
    if (step.done === true) return step.value
    reading.rows += reading.sliceRows
    yield* pause(reading)
  }
}

type CompareKeys = (a: IndexedKey, b: IndexedKey) => number

function* comparator(reading: Reading, keys: readonly IndexedKey[]): Generator<Buffer[], CompareKeys, undefined> {
  switch (reading.request.sortTarget) {
    case Target.VERSION:
      return (a, b) => a.record.version - b.record.version
    case Target.CREATE:
      return (a, b) => a.record.createRevision - b.record.createRevision
    case Target.MOD:
      return (a, b) => a.record.modRevision - b.record.modRevision
    case Target.VALUE: {
      const values = yield* valuesOf(reading, keys)
      return (a, b) => compareBytes(values.get(a) ?? EMPTY_BYTES, values.get(b) ?? EMPTY_BYTES)
    }
    default:
      return (a, b) => compareBytes(a.key, b.key)
  }
}

function* valuesOf(
  reading: Reading,
  keys: readonly IndexedKey[],
): Generator<Buffer[], ReadonlyMap<IndexedKey, Uint8Array>, undefined> {
  const values = new Map<IndexedKey, Uint8Array>()
  for (const key of keys) {
    yield* pause(reading)
    const keyValue = readKeyValue(reading.store, key.record)
    values.set(key, valueOf(keyValue))
    reading.rows += 1
    reading.sizeBytes += keyValue.length
  }
  return values
}
