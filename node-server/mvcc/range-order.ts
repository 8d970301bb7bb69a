/** The order in which a Range answers. */
import { compareBytes, EMPTY_BYTES } from '../../lib/bytes.ts'
import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
  type RangeRequest,
} from '../proto/generated/etcd/rpc.ts'
import { valueOf } from './key-value.ts'
import { pause, type Reading } from './range-reading.ts'
import { readKeyValue, type IndexedKey } from './read.ts'
import { sortInSlices } from './sort-slices.ts'

export function isKeyOrdered(request: RangeRequest): boolean {
  return request.sortTarget === Target.KEY
}

export function isInKeyOrder(request: RangeRequest): boolean {
  return isKeyOrdered(request) && request.sortOrder !== Order.DESCEND
}

/** A target other than KEY with order NONE means ascending. Equal ones are in key order, descending too. */
export function* sort(
  reading: Reading,
  keys: readonly IndexedKey[],
): Generator<Buffer[], readonly IndexedKey[], undefined> {
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
