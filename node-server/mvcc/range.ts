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
import {
  countCurrent,
  keyRange,
  readAt,
  readCurrent,
  readKeyValue,
  scanAt,
  scanCurrent,
  type IndexedKey,
  type KeyRange,
} from './read.ts'
import type { RangeResult } from './results.ts'
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
  const at = revision > 0 && revision < current ? revision : undefined
  const keys = keyRange(request.key, request.rangeEnd)
  if (keys === undefined) return ok(answer(store, request, current, oneKey(store, request.key, at), undefined))
  if (request.countOnly)
    return ok({ kind: 'range', revision: current, kvs: [], count: countKeys(store, keys, at), more: false })
  const limit = Number(request.limit)
  if (at === undefined && limit > 0 && isKeyOrdered(request) && !hasFilters(request)) {
    const isReverse = request.sortOrder === Order.DESCEND
    const page = [...scanCurrent(store, keys, { isReverse, limit: limit + 1 })]
    const count = page.length <= limit ? page.length : countCurrent(store, keys)
    return ok(answer(store, request, current, page, count))
  }
  const all = [...(at === undefined ? scanCurrent(store, keys) : scanAt(store, keys, at))]
  return ok(answer(store, request, current, all, undefined))
}

/** A page of a longer read: how it stands in a range in key order. */
export interface RangePage {
  readonly kvs: Buffer[]
  /** Of the last key-value; undefined when there is none. */
  readonly lastKey: Uint8Array | undefined
  readonly more: boolean
}

/** Whether a read in pages is possible: it comes in key order, and each key of the range is part of it. */
export function isPageable(request: RangeRequest): 'yes' | 'sorted' | 'filtered' {
  const isSorted = request.sortOrder !== Order.NONE && !(isKeyOrdered(request) && request.sortOrder === Order.ASCEND)
  if (isSorted) return 'sorted'
  return hasFilters(request) ? 'filtered' : 'yes'
}

/** The first `limit` keys from `request.key` on, at `request.revision`; every one of them when `limit` is not above 0. */
export function rangePage(store: Store, request: RangeRequest, limit: number): Result<RangePage, StoreError> {
  const revision = Number(request.revision)
  const refusal = refuseRevision(store, revision, store.revision)
  if (refusal !== undefined) return err(refusal)
  const at = revision > 0 && revision < store.revision ? revision : undefined
  const keys = keyRange(request.key, request.rangeEnd)
  const found = keys === undefined ? oneKey(store, request.key, at) : firstKeys(store, keys, at, limit)
  const more = limit > 0 && found.length > limit
  const page = more ? found.slice(0, limit) : found
  const kvs = page.map((key) => (request.keysOnly ? encodeKeyOnly(key) : readKeyValue(store, key.record)))
  return ok({ kvs, lastKey: page.at(-1)?.key, more })
}

/** One more than `limit`, to know whether there are more. */
function firstKeys(store: Store, keys: KeyRange, at: number | undefined, limit: number): readonly IndexedKey[] {
  if (at === undefined) return [...scanCurrent(store, keys, limit > 0 ? { limit: limit + 1 } : {})]
  if (limit <= 0) return [...scanAt(store, keys, at)]
  const found: IndexedKey[] = []
  for (const key of scanAt(store, keys, at)) {
    found.push(key)
    if (found.length > limit) break
  }
  return found
}

/** How many keys there were at `revision`, which is not compacted. */
export function countAt(store: Store, key: Uint8Array, rangeEnd: Uint8Array, revision: number): number {
  const at = revision < store.revision ? revision : undefined
  const keys = keyRange(key, rangeEnd)
  return keys === undefined ? oneKey(store, key, at).length : countKeys(store, keys, at)
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

function countKeys(store: Store, keys: KeyRange, at: number | undefined): number {
  if (at === undefined) return countCurrent(store, keys)
  let count = 0
  for (const _ of scanAt(store, keys, at)) count++
  return count
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

/** `found`: in key order (a page may be in the order asked for); `count` undefined: it is all of them. */
function answer(
  store: Store,
  request: RangeRequest,
  current: Revision,
  found: readonly IndexedKey[],
  count: number | undefined,
): RangeResult {
  const total = count ?? found.length
  if (request.countOnly) return { kind: 'range', revision: current, kvs: [], count: total, more: false }
  const filtered = hasFilters(request) ? found.filter((key) => passesFilters(request, key)) : found
  const limit = Number(request.limit)
  const sorted = count === undefined ? sort(store, request, cutUnsorted(request, filtered, limit)) : filtered
  const more = limit > 0 && sorted.length > limit
  const page = more ? sorted.slice(0, limit) : sorted
  return {
    kind: 'range',
    revision: current,
    kvs: page.map((key) => encodeKey(store, request, key)),
    count: total,
    more,
  }
}

/**
 * A target with order NONE sorts what is found, but etcd looks no further than the limit then: the page holds the first
 * keys of the range, sorted, and not those that come first by the target.
 */
function cutUnsorted(request: RangeRequest, keys: readonly IndexedKey[], limit: number): readonly IndexedKey[] {
  const isCut = request.sortOrder === Order.NONE && limit > 0 && !hasFilters(request)
  return isCut ? keys.slice(0, limit + 1) : keys
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

function passesFilters(request: RangeRequest, { record }: IndexedKey): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request
  return (
    (minModRevision === 0n || BigInt(record.modRevision) >= minModRevision) &&
    (maxModRevision === 0n || BigInt(record.modRevision) <= maxModRevision) &&
    (minCreateRevision === 0n || BigInt(record.createRevision) >= minCreateRevision) &&
    (maxCreateRevision === 0n || BigInt(record.createRevision) <= maxCreateRevision)
  )
}

/** A target other than KEY with order NONE means ascending. Equal ones are in key order, descending too. */
function sort(store: Store, request: RangeRequest, keys: readonly IndexedKey[]): readonly IndexedKey[] {
  const isDescending = request.sortOrder === Order.DESCEND
  if (isKeyOrdered(request)) return isDescending ? keys.toReversed() : keys
  const compare = comparator(store, request, keys)
  return keys.toSorted(isDescending ? (a, b) => compare(b, a) : compare)
}

function comparator(
  store: Store,
  request: RangeRequest,
  keys: readonly IndexedKey[],
): (a: IndexedKey, b: IndexedKey) => number {
  switch (request.sortTarget) {
    case Target.VERSION:
      return (a, b) => a.record.version - b.record.version
    case Target.CREATE:
      return (a, b) => a.record.createRevision - b.record.createRevision
    case Target.MOD:
      return (a, b) => a.record.modRevision - b.record.modRevision
    case Target.VALUE: {
      const values = new Map(keys.map((key) => [key, valueOf(readKeyValue(store, key.record))]))
      return (a, b) => compareBytes(values.get(a) ?? EMPTY_BYTES, values.get(b) ?? EMPTY_BYTES)
    }
    default:
      return (a, b) => compareBytes(a.key, b.key)
  }
}
