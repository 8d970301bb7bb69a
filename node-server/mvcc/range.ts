/** etcd's Range with every option, on one revision. Sources: etcd API reference, KV; the order of filter, sort, limit. */
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import type { Revision } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
  type RangeRequest,
} from '../proto/generated/etcd/rpc.ts'
import type { StoreError } from './errors.ts'
import { encodeKeyValue, withoutValue } from './key-value.ts'
import { longReadKeyValues } from './long-read.ts'
import { toItsEnd, type Slices } from './pace.ts'
import type { RangeCounts } from './range-counts.ts'
import { isInKeyOrder, isKeyOrdered, sort } from './range-order.ts'
import {
  beginScan,
  count,
  countAll,
  goesOn,
  hasFilters,
  isAtHand,
  isFull,
  newReading,
  nextKeys,
  noteCount,
  passing,
  pause,
  SLICE_ROWS,
  type Reading,
} from './range-reading.ts'
import { keyRange, readAt, readCurrent, readKeyValue, scanCurrent, type IndexedKey, type KeyRange } from './read.ts'
import type { RangeResult } from './results.ts'
import { successor } from './slices.ts'
import type { Store } from './store.ts'

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
  return ok(toItsEnd(rangeWithin(store, request, current)))
}

/** As {@link range}, for a range that is not refused: it sees what the running txn has changed so far. */
export function* rangeWithin(store: Store, request: RangeRequest, current: Revision): Slices<RangeResult> {
  const revision = Number(request.revision)
  const at = revision > 0 && revision < current ? revision : undefined
  const slices = read(newReading(store, request, current, () => at))
  const kvs: Buffer[] = []
  for (;;) {
    const slice = slices.next()
    if (slice.done === true)
      return kvs.length === 0 ? slice.value : { ...slice.value, kvs: kvs.concat(slice.value.kvs) }
    for (const kv of slice.value) kvs.push(kv)
    yield
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

/** Whether the range can be read in pages: it is in key order, and has every key of the range. */
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

function* read(reading: Reading): RangeSlices {
  const { request } = reading
  const keys = keyRange(request.key, request.rangeEnd)
  if (keys === undefined) {
    const found = oneKey(reading.store, request.key, reading.at())
    return yield* answer(reading, passing(request, found), found.length)
  }
  if (request.countOnly) return endOf(reading, yield* count(reading, keys), false)
  const last = lastKeys(reading, keys)
  if (last !== undefined) return yield* answer(reading, last, yield* count(reading, keys))
  return yield* isInKeyOrder(request) ? readInKeyOrder(reading, keys) : readAndSort(reading, keys)
}

/** Of a page from the end of the range as it is now, no more is looked at than its keys. */
function lastKeys(reading: Reading, keys: KeyRange): readonly IndexedKey[] | undefined {
  const { store, request, at, sliceRows } = reading
  const isReverse = isKeyOrdered(request) && request.sortOrder === Order.DESCEND
  const limit = Number(request.limit)
  if (!isReverse || hasFilters(request) || at() !== undefined || limit <= 0 || limit >= sliceRows) return undefined
  if (!isAtHand(reading, keys)) return undefined
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
  for (let next = 0; next < keys.length;) {
    if (isFull(reading)) yield* pause(reading)
    for (const kv of encoded(reading, keys, next)) {
      reading.kvs.push(kv)
      reading.rows += 1
      reading.sizeBytes += kv.length
      next += 1
      if (isFull(reading)) break
    }
  }
}

function encoded({ store, request, isLong }: Reading, keys: readonly IndexedKey[], from: number): Iterable<Buffer> {
  if (isLong && !request.keysOnly) return longReadKeyValues(store, keys, from)
  return keys
    .values()
    .drop(from)
    .map((key) => encodeKey(store, request, key))
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
