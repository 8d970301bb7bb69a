/**
 * Compaction in two halves. Logical, at apply: reads below the revision are refused from then on, on every member alike.
 * Physical, in the background and in slices, invisible to readers: versions that no allowed read can see are removed.
 * How far a member's physical half has come differs from member to member, and is in no hash.
 *
 * With T the compacted revision, an entry of `history` goes, with its key-value, when
 *   - it is a live version and its successor is not above T, or
 *   - it is a tombstone below T; at T it stays, because a watch that starts at T must still see it.
 * Entries of a key are visited oldest first, so a tombstone never goes before what it hides.
 */
import { Revision } from '../../lib/ids.ts'
import { err, ok } from '../../lib/result.ts'
import type { TableEntry } from './backend.ts'
import {
  decodeHistoryKey,
  decodeRecord,
  hiddenRevisionKey,
  isSameHistory,
  isTombstone,
  revisionKey,
  type IndexRecord,
} from './key-index.ts'
import { readCurrent } from './read.ts'
import type { ApplyResult } from './results.ts'
import type { Store } from './store.ts'

/** Entries of `history` that one slice visits: 2 to 4 ms. */
export const SLICE_ENTRIES = 250

/** The logical half. */
export function compact(store: Store, revision: number): ApplyResult {
  if (revision <= store.compactedRevision) return err({ kind: 'compacted', revision: store.compactedRevision })
  if (revision > store.revision) return err({ kind: 'future-revision', revision: store.revision })
  store.update({ compactedRevision: revision })
  return ok({ kind: 'compact', revision: Revision(store.revision) })
}

/** Where the next slice goes on; plain data of the caller, started anew with a new process. */
export interface CompactionCursor {
  /** Compacted revision that this pass works for. */
  readonly target: number
  /** First history key not visited yet. */
  readonly next: Buffer
}

export interface SliceResult {
  /** Give it to the next slice; undefined when there is nothing left to do. */
  readonly cursor: CompactionCursor | undefined
  readonly removedVersions: number
}

/**
 * One slice of the physical half: call it between entries, again and again while `cursor` is defined, and not while
 * `store.isSaturated`. No pass begins that would reach `store.eventsHeldFrom`. After a restart the pass begins from the
 * start, which finds less to do. Nothing is removed for a compacted revision above `maxTarget` (`hash-kv.ts`) or the
 * store's own limit: somebody still reads what it would remove.
 */
export function compactSlice(store: Store, cursor: CompactionCursor | undefined, maxTarget = Infinity): SliceResult {
  if (cursor === undefined && !mayBeginPass(store)) return { cursor: undefined, removedVersions: 0 }
  const { target, next } = cursor ?? { target: store.compactedRevision, next: Buffer.of(0) }
  if (target > Math.min(maxTarget, store.purgeLimit)) return { cursor, removedVersions: 0 }
  const entries = [...store.buffer.scan('history', next, undefined, { limit: SLICE_ENTRIES + 1 })]
  const following = entries[SLICE_ENTRIES]
  const visited = entries.slice(0, SLICE_ENTRIES)
  let removedVersions = 0
  for (const [position, entry] of visited.entries()) {
    if (!isInvisible(store, entry, entries[position + 1], target)) continue
    const record = decodeRecord(entry.value)
    store.buffer.remove('history', entry.key)
    store.buffer.remove('revisions', revisionKey(record.modRevision, record.sub))
    removedVersions++
    const hidden = hiddenRevisionKey(record)
    if (hidden === undefined) continue
    store.buffer.remove('revisions', hidden)
    removedVersions++
  }
  if (following !== undefined) return { cursor: { target, next: Buffer.from(following.key) }, removedVersions }
  store.update({ purgedRevision: target })
  const nextPass = mayBeginPass(store) ? { target: store.compactedRevision, next: Buffer.of(0) } : undefined
  return { cursor: nextPass, removedVersions }
}

function mayBeginPass(store: Store): boolean {
  return store.meta.purgedRevision < store.compactedRevision && store.compactedRevision < store.eventsHeldFrom
}

function isInvisible(store: Store, entry: TableEntry, following: TableEntry | undefined, target: number): boolean {
  const record = decodeRecord(entry.value)
  if (record.modRevision > target) return false
  if (isTombstone(record)) return record.modRevision < target
  const successor = successorOf(store, entry, following)
  return successor !== undefined && successor.modRevision <= target
}

function successorOf(store: Store, entry: TableEntry, following: TableEntry | undefined): IndexRecord | undefined {
  if (following !== undefined && isSameHistory(Buffer.from(entry.key), Buffer.from(following.key))) {
    return decodeRecord(following.value)
  }
  return readCurrent(store, decodeHistoryKey(entry.key).key)
}
