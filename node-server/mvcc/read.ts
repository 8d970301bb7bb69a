/** Reading the key index at a revision: what range, txn, delete, hash and compaction stand on. */
import { assert } from '../../lib/assert.ts'
import { compareBytes } from '../../lib/bytes.ts'
import type { Counted, TableEntry } from './backend.ts'
import { textOfBytes } from './byte-text.ts'
import {
  decodeHistoryKey,
  decodeRecord,
  historyBound,
  historyKey,
  isSameHistory,
  isTombstone,
  recordOf,
  revisionKey,
  type IndexRecord,
} from './key-index.ts'
import { decodeStoredRevision } from './key-value.ts'
import type { Store } from './store.ts'

/** A key that exists at the revision read. */
export interface IndexedKey {
  readonly key: Uint8Array
  readonly record: IndexRecord
}

/** Keys from `start` on and below `end`; `end` undefined: all from `start`. */
export interface KeyRange {
  readonly start: Uint8Array
  readonly end: Uint8Array | undefined
}

/** etcd's (key, range_end): empty means one key, a zero byte means every key at or above. Undefined: one key. */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange | undefined {
  if (rangeEnd.length === 0) return undefined
  return { start: key, end: rangeEnd.length === 1 && rangeEnd[0] === 0 ? undefined : rangeEnd }
}

/** The live version, changes of the running txn included. */
export function readCurrent(store: Store, key: Uint8Array): IndexRecord | undefined {
  const row = store.buffer.find('current', key, textOfBytes(key))
  return row && recordOf(row)
}

/** The version that was live at `revision`, which is not compacted. */
export function readAt(store: Store, key: Uint8Array, revision: number): IndexRecord | undefined {
  const current = readCurrent(store, key)
  if (current !== undefined && current.modRevision <= revision) return current
  const newest = store.buffer.scan('history', historyKey(key, 0), historyKey(key, revision + 1), {
    isReverse: true,
    limit: 1,
  })
  for (const { value } of newest) {
    const record = decodeRecord(value)
    return isTombstone(record) ? undefined : record
  }
  return undefined
}

/** What became of one key above `revision`, oldest first, deletions included; what a compaction has taken is left out. */
export function* versionsAfter(store: Store, key: Uint8Array, revision: number): Iterable<IndexRecord> {
  const current = readCurrent(store, key)
  const superseded = store.buffer.scan(
    'history',
    historyKey(key, revision + 1),
    historyKey(key, Number.MAX_SAFE_INTEGER),
  )
  for (const { value } of superseded) yield decodeRecord(value)
  if (current !== undefined && current.modRevision > revision) yield current
}

export interface ScanCurrentOptions {
  readonly isReverse?: boolean
  readonly limit?: number
}

/** Live keys in key order, changes of the running txn included. */
export function* scanCurrent(store: Store, range: KeyRange, options: ScanCurrentOptions = {}): Iterable<IndexedKey> {
  for (const { key, value } of store.buffer.scan('current', range.start, range.end, options)) {
    yield { key, record: decodeRecord(value) }
  }
}

/** Of the beginning of the range, as far as about so many rows have to be looked at. */
export function countCurrent(store: Store, range: KeyRange, rows: number): Counted {
  return store.buffer.countSome('current', range.start, range.end, rows)
}

/** Keys that were live at `revision`, which is not compacted, in key order. */
export function scanAt(store: Store, range: KeyRange, revision: number): Iterable<IndexedKey> {
  const end = range.end === undefined ? undefined : historyBound(range.end)
  const superseded = store.buffer.scan('history', historyBound(range.start), end)
  return mergeAt(scanCurrent(store, range), liveInHistory(superseded, revision), revision)
}

/** Of a range of keys all that live now, and all that {@link liveInHistory} gives: those that were live at `revision`. */
export function* mergeAt(
  current: Iterable<IndexedKey>,
  history: Iterable<IndexedKey>,
  revision: number,
): Iterable<IndexedKey> {
  const superseded = history[Symbol.iterator]()
  try {
    let old = superseded.next()
    for (const { key, record } of current) {
      while (old.done !== true && compareBytes(old.value.key, key) < 0) {
        yield old.value
        old = superseded.next()
      }
      const isOverwritten = old.done !== true && compareBytes(old.value.key, key) === 0
      if (record.modRevision <= revision) yield { key, record }
      else if (isOverwritten && old.done !== true) yield old.value
      if (isOverwritten) old = superseded.next()
    }
    for (; old.done !== true; old = superseded.next()) yield old.value
  } finally {
    superseded.return?.()
  }
}

/**
 * Of each key with a history its newest entry not above `revision`, unless that is a tombstone. (A later version of the
 * key, in `current`, takes precedence where it is not above `revision` either.)
 */
export function* liveInHistory(entries: Iterable<TableEntry>, revision: number): Iterable<IndexedKey> {
  let candidate: { readonly entry: TableEntry; readonly historyKey: Buffer } | undefined
  for (const entry of entries) {
    const bytes = Buffer.from(entry.key.buffer, entry.key.byteOffset, entry.key.byteLength)
    if (candidate !== undefined && !isSameHistory(candidate.historyKey, bytes)) {
      yield* liveIn(candidate.entry)
      candidate = undefined
    }
    if (decodeHistoryKey(bytes).revision <= revision) candidate = { entry, historyKey: bytes }
  }
  if (candidate !== undefined) yield* liveIn(candidate.entry)
}

function* liveIn(entry: TableEntry): Iterable<IndexedKey> {
  const record = decodeRecord(entry.value)
  if (!isTombstone(record)) yield { key: decodeHistoryKey(entry.key).key, record }
}

/** The encoded mvccpb.KeyValue that an index record stands for. `isKept`: it may be asked for again. */
export function readKeyValue(store: Store, record: IndexRecord, isKept = true): Buffer {
  const kept = store.values.get(record)
  if (kept !== undefined) return kept
  const stored = store.buffer.get('revisions', revisionKey(record.modRevision, record.sub))
  assert(
    stored !== undefined,
    () => `revision ${record.modRevision}/${record.sub} is in the index and not in the store`,
  )
  const { keyValue } = decodeStoredRevision(stored)
  if (isKept && record.modRevision <= store.revision) store.values.keep(record, keyValue) // what is applied for good
  return keyValue
}
