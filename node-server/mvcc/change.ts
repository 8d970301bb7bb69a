/** Puts and deletes: how one key's change is written into the tables. One change is one revision of the store. */
import { assert } from '../../lib/assert.ts'
import { compareBytes } from '../../lib/bytes.ts'
import { Revision } from '../../lib/ids.ts'
import { err, ok } from '../../lib/result.ts'
import type { DeleteRangeRequest, LeaseRevokeRequest, PutRequest } from '../proto/generated/etcd/rpc.ts'
import type { TableEntry } from './backend.ts'
import { textOfBytes } from './byte-text.ts'
import { decodeRecord, encodeRecord, historyKey, LateRecord, recordOf, revisionKey, tombstoneOf } from './key-index.ts'
import { encodeTombstone, valueOf } from './key-value.ts'
import { hasLease, leaseKey, leaseKeyRange, moveKey, removeLease, userKeyOf } from './lease.ts'
import type { Pace, Slices } from './pace.ts'
import { readKeyValue, type KeyRange } from './read.ts'
import type { ApplyResult, DeleteRangeResult, PutResult } from './results.ts'
import { sliceRows } from './slices.ts'
import type { Store } from './store.ts'

/** What one entry does to keys: all of it gets one revision, its steps are told apart by the sub-revision. */
export interface Change {
  readonly revision: Revision
  /** Of a revoke: all its keys have this lease. 0n of other changes. */
  readonly lease: bigint
  /** Sub-revision of the next step; 0 as long as nothing was changed. */
  steps: number
}

export function beginChange(store: Store): Change {
  return { revision: Revision(store.revision + 1), lease: 0n, steps: 0 }
}

/** As {@link beginChange}, of what may take several slices: nobody else sees any of it before its end (apply.ts). */
export function beginLongChange(store: Store, lease = 0n): Change {
  const change = { ...beginChange(store), lease }
  store.buffer.beginDraft(change.revision, lease === 0n ? undefined : leaseKey(lease))
  return change
}

/** A change without steps leaves the revision as it is. */
export function endChange(store: Store, change: Change): void {
  if (change.steps > 0) store.advanceRevision(change.revision)
}

/** Revision that a read sees after the steps so far. */
export function revisionWithin(store: Store, change: Change): Revision {
  return change.steps > 0 ? change.revision : store.revision
}

/** The request has passed `validatePut` and `refusePut`. */
export function putKey(store: Store, change: Change, request: PutRequest): PutResult {
  const { buffer } = store
  const { key } = request
  const keyText = textOfBytes(key)
  const before = buffer.find('current', key, keyText)
  const previous = before && recordOf(before)
  const isReadBack = previous !== undefined && (request.prevKv || request.ignoreValue)
  const previousKeyValue = isReadBack ? readKeyValue(store, previous) : undefined
  const value = request.ignoreValue && previousKeyValue !== undefined ? valueOf(previousKeyValue) : request.value
  const lease = request.ignoreLease && previous !== undefined ? previous.lease : request.lease
  const record = new LateRecord({
    modRevision: change.revision,
    sub: change.steps++,
    createRevision: previous?.createRevision ?? change.revision,
    version: (previous?.version ?? 0) + 1,
    lease,
  })
  store.operations.puts++
  buffer.putVersion(keyText, record, value, previous)
  moveKey(store, key, previous?.lease ?? 0n, lease)
  return { kind: 'put', revision: change.revision, prevKv: request.prevKv ? previousKeyValue : undefined }
}

/** Of one key. */
export function deleteOne(store: Store, change: Change, { key, prevKv }: DeleteRangeRequest): DeleteRangeResult {
  store.operations.deletes++
  const prevKvs: Buffer[] = []
  const record = store.buffer.get('current', key)
  if (record !== undefined) deleteKey(store, change, key, record, prevKv ? prevKvs : undefined)
  const deleted = record === undefined ? 0 : 1
  return { kind: 'delete-range', revision: revisionWithin(store, change), deleted, prevKvs }
}

/** The change is a long one. */
export function* deleteRange(
  store: Store,
  change: Change,
  { start, end }: KeyRange,
  prevKv: boolean,
  pace: Pace,
): Slices<DeleteRangeResult> {
  store.operations.deletes++
  const prevKvs: Buffer[] = []
  const before = change.steps
  for (let next: Uint8Array | undefined = start; next !== undefined;) {
    const slice = sliceRows(store, 'current', { start: next, end }, pace.rowsLeft)
    if (pace.spend(slice.visited)) yield
    for (const { key, value } of slice.entries) {
      deleteKey(store, change, key, value, prevKv ? prevKvs : undefined)
      if (prevKv && pace.spend(0, prevKvs.at(-1)?.length)) yield
    }
    next = slice.next
  }
  return { kind: 'delete-range', revision: revisionWithin(store, change), deleted: change.steps - before, prevKvs }
}

/** Deletes the lease and its keys, in key order and as one revision; without keys there is none. */
export function* revokeLease(store: Store, { ID }: LeaseRevokeRequest, pace: Pace): Slices<ApplyResult> {
  if (ID === 0n || !hasLease(store, ID)) return err({ kind: 'lease-not-found' })
  const change = beginLongChange(store, ID)
  const range = leaseKeyRange(ID)
  for (let next: Uint8Array | undefined = range.start; next !== undefined;) {
    const slice = sliceRows(store, 'leaseKeys', { start: next, end: range.end }, pace.rowsLeft)
    if (pace.spend(slice.visited)) yield
    const keys = slice.entries.map(({ key }) => userKeyOf(key))
    for (const { key, value } of recordsOf(store, keys)) deleteKey(store, change, key, value, undefined)
    store.operations.deletes += keys.length
    next = slice.next
  }
  removeLease(store, ID)
  endChange(store, change)
  return ok({ kind: 'lease-revoke', revision: store.revision, id: ID })
}

/** What `current` has of keys in their order, all of which are there: by a scan as far as they lie together. */
function* recordsOf(store: Store, keys: readonly Uint8Array[]): Iterable<TableEntry> {
  const [first] = keys
  if (first === undefined) return
  const { entries } = sliceRows(store, 'current', { start: first, end: undefined }, keys.length)
  let next = 0
  for (const key of keys) {
    let entry = entries[next]
    while (entry !== undefined && compareBytes(entry.key, key) < 0) entry = entries[++next]
    const value = entry !== undefined && isEqual(entry.key, key) ? entry.value : store.buffer.get('current', key)
    assert(value !== undefined, 'a key that a lease holds is there')
    yield { key, value }
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return compareBytes(a, b) === 0
}

/** `encoded` is its record; what it was goes to `prevKvs` if that is given. */
function deleteKey(
  store: Store,
  change: Change,
  key: Uint8Array,
  encoded: Uint8Array,
  prevKvs: Buffer[] | undefined,
): void {
  const { buffer } = store
  const { revision, lease } = change
  const record = decodeRecord(encoded)
  assert(lease === 0n || record.lease === lease, 'a key that a lease holds names it')
  prevKvs?.push(readKeyValue(store, record))
  const sub = change.steps++
  const isOfThisChange = record.modRevision === revision
  if (!isOfThisChange && buffer.deleteKey(key, encoded, sub)) {
    if (lease === 0n) moveKey(store, key, record.lease, 0n)
    return
  }
  const tombstone = tombstoneOf(revision, sub, isOfThisChange ? record : undefined)
  buffer.put('revisions', revisionKey(revision, sub), encodeTombstone(key, revision))
  buffer.remove('current', key)
  if (!isOfThisChange) buffer.put('history', historyKey(key, record.modRevision), encoded)
  buffer.put('history', historyKey(key, revision), encodeRecord(tombstone))
  moveKey(store, key, record.lease, 0n)
}
