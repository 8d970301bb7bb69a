/**
 * Compaction in two halves. Logical, at apply: reads below the revision are refused from then on, on every member alike.
 * Physical, in the background and in slices, invisible to readers: versions that no allowed read can see are removed.
 * How far a member's physical half has come differs from member to member, and is in no hash.
 *
 * With T the compacted revision, an entry of `history` goes, with its key-value, when
 *   - it is a live version and its successor is not above T, or
 *   - it is a tombstone below T; at T it stays, because a watch that starts at T must still see it.
 *
 * The changes up to T are visited in the order of their revisions, from where the compaction before ended: each one ends
 * the version before it. So the work is what was written since, however much lives and whatever is above T; what goes
 * together lies together, and each commit touches few pages; and the versions of a key go oldest first, a tombstone never
 * before what it hides. What is done up to a revision is done: `purgedRevision` follows with each slice, and a restart or a
 * compaction that comes meanwhile begins there.
 */
import { Revision } from '../../lib/ids.ts'
import { err, ok } from '../../lib/result.ts'
import type { TableEntry } from './backend.ts'
import { bytesOfText, textOfBytes } from './byte-text.ts'
import {
  decodeRecord,
  decodeRevisionKey,
  hiddenSubOf,
  historyText,
  isTombstone,
  revisionKey,
  type IndexRecord,
} from './key-index.ts'
import { decodeStoredRevision, headOf } from './key-value.ts'
import type { ApplyResult } from './results.ts'
import type { Store } from './store.ts'

/** Changes that one slice visits at most: about 1 ms. */
export const SLICE_ROWS = 100
/** Of their values, which are read: a slice ends once it has read more. */
const SLICE_BYTES = 1024 * 1024
/** Keys whose version visited last is remembered, which spares looking for it; at most 2 KB each. */
const REMEMBERED_KEYS = 4096

/** The logical half. */
export function compact(store: Store, revision: number): ApplyResult {
  if (revision <= store.compactedRevision) return err({ kind: 'compacted', revision: store.compactedRevision })
  if (revision > store.revision) return err({ kind: 'future-revision', revision: store.revision })
  store.update({ compactedRevision: revision })
  return ok({ kind: 'compact', revision: Revision(store.revision) })
}

/** Where the next slice of the same store goes on: a revision can have more changes than one slice visits. */
export interface CompactionCursor {
  /** First key of `revisions` not visited yet. */
  readonly next: Buffer
  readonly remembered: Remembered
}

type Version = Pick<IndexRecord, 'modRevision' | 'sub'>

/** By key: the version that was visited last and that nothing visited has ended. */
type Remembered = Map<string, Version>

export interface SliceResult {
  /** Give it to the next slice; undefined when there is nothing left that may be done now. */
  readonly cursor: CompactionCursor | undefined
  readonly removedVersions: number
}

/**
 * How far the physical half may come now: nobody reads what it removes up to there. Watches are handed what is from
 * `store.eventsHeldFrom` on, long ranges read at `store.purgeLimit` or later; `maxTarget` is a compacted revision
 * (`hash-kv.ts`).
 */
export function purgeTarget(store: Store, maxTarget: number): number {
  return Math.min(store.compactedRevision, store.eventsHeldFrom - 1, store.purgeLimit, maxTarget)
}

/**
 * One slice of the physical half: call it between entries, again and again while `cursor` is defined, and not while
 * `store.isSaturated`.
 */
export function compactSlice(store: Store, cursor: CompactionCursor | undefined, maxTarget = Infinity): SliceResult {
  const target = purgeTarget(store, maxTarget)
  const { purgedRevision } = store.meta
  if (purgedRevision >= target) return { cursor: undefined, removedVersions: 0 }
  // It begins with the revision where the compaction before ended: a tombstone there has stayed.
  const start = { next: revisionKey(Math.max(purgedRevision, 0), 0), remembered: new Map() }
  const { next, remembered } = cursor ?? start
  const { rows, following } = readRows(store, next, revisionKey(target + 1, 0))
  let removedVersions = 0
  for (const row of rows) removedVersions += visit(store, row, target, remembered)
  const complete = following === undefined ? target : decodeRevisionKey(following).revision - 1
  store.update({ purgedRevision: Math.max(purgedRevision, complete) })
  return { cursor: following === undefined ? undefined : { next: following, remembered }, removedVersions }
}

interface Rows {
  readonly rows: readonly TableEntry[]
  /** Key of the row after them, if there is one. */
  readonly following: Buffer | undefined
}

function readRows(store: Store, start: Buffer, end: Buffer): Rows {
  const rows: TableEntry[] = []
  let sizeBytes = 0
  for (const row of store.buffer.scan('revisions', start, end)) {
    if (rows.length >= SLICE_ROWS || sizeBytes >= SLICE_BYTES) return { rows, following: Buffer.from(row.key) }
    sizeBytes += row.value.length
    rows.push(row)
  }
  return { rows, following: undefined }
}

/**
 * Removes what a change at or below `target` has ended: the version before it, and itself when it is a tombstone. From here
 * on keys are text: what is removed is written as such.
 */
function visit(store: Store, row: TableEntry, target: number, remembered: Remembered): number {
  const { revision, sub } = decodeRevisionKey(row.key)
  const { isTombstone, keyValue } = decodeStoredRevision(row.value)
  const { key, createRevision } = headOf(keyValue)
  const name = textOfBytes(key)
  const before = remembered.get(name)
  if (isTombstone) {
    remembered.delete(name)
    return visitTombstone(store, name, { modRevision: revision, sub }, target, before)
  }
  if (remembered.size >= REMEMBERED_KEYS) remembered.clear()
  remembered.set(name, { modRevision: revision, sub })
  return createRevision === revision ? 0 : removeBefore(store, name, revision, before)
}

function visitTombstone(
  store: Store,
  name: string,
  version: Version,
  target: number,
  before: Version | undefined,
): number {
  const revision = version.modRevision
  const bytes = store.buffer.get('history', historyAt(name, revision))
  const record = bytes === undefined ? undefined : decodeRecord(bytes)
  if (record === undefined || !isTombstone(record) || record.sub !== version.sub) {
    // Its own txn has put the key again: the index names what it did last.
    const removedVersions = removeBefore(store, name, revision, before)
    if (revision === target) return removedVersions
    store.buffer.removePlace(revision, version.sub)
    return removedVersions + 1
  }
  // What its own txn had put has ended the version before that.
  const isBeforeGone = hiddenSubOf(record) !== undefined
  const removedVersions = isBeforeGone ? 0 : removeBefore(store, name, revision, before)
  return removedVersions + (revision < target ? removeRecord(store, name, record) : 0)
}

/** The newest version below `revision`, which is `before` if that is known; older ones went when that one was visited. */
function removeBefore(store: Store, name: string, revision: number, before: Version | undefined): number {
  if (before !== undefined) return removeVersion(store, name, before)
  const below = store.buffer.scan('history', historyAt(name, 0), historyAt(name, revision), {
    isReverse: true,
    limit: 1,
  })
  for (const { value } of below) return removeRecord(store, name, decodeRecord(value))
  return 0
}

function removeRecord(store: Store, name: string, record: IndexRecord): number {
  const hidden = hiddenSubOf(record)
  if (hidden !== undefined) store.buffer.removePlace(record.modRevision, hidden)
  return removeVersion(store, name, record) + (hidden === undefined ? 0 : 1)
}

function removeVersion(store: Store, name: string, { modRevision, sub }: Version): number {
  store.values.remove({ modRevision, sub })
  store.buffer.removeVersion(name, modRevision, sub)
  return 1
}

function historyAt(name: string, revision: number): Buffer {
  return bytesOfText(historyText(name, revision))
}
