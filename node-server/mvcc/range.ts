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
import { valueOf, withoutValue } from './key-value.ts'
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

/** Negative revisions mean the current one, as 0 does. */
export function refuseRevision(store: Store, revision: number, current: number): StoreError | undefined {
  if (revision > current) return { kind: 'future-revision', revision: current }
  if (revision > 0 && revision < store.compactedRevision)
    return { kind: 'compacted', revision: store.compactedRevision }
  return undefined
}

function oneKey(store: Store, key: Buffer, at: number | undefined): readonly IndexedKey[] {
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
  const sorted = count === undefined ? sort(store, request, filtered) : filtered
  const limit = Number(request.limit)
  const more = limit > 0 && sorted.length > limit
  const page = more ? sorted.slice(0, limit) : sorted
  const kvs = page.map(({ record }) => {
    const keyValue = readKeyValue(store, record)
    return request.keysOnly ? withoutValue(keyValue) : keyValue
  })
  return { kind: 'range', revision: current, kvs, count: total, more }
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

/** A target other than KEY with order NONE means ascending; equal ones stay in key order, or against it if descending. */
function sort(store: Store, request: RangeRequest, keys: readonly IndexedKey[]): readonly IndexedKey[] {
  const isDescending = request.sortOrder === Order.DESCEND
  const ascending = isKeyOrdered(request) ? keys : keys.toSorted(comparator(store, request, keys))
  return isDescending ? ascending.toReversed() : ascending
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
