/** Puts and deletes: how one key's change is written into the tables. One change is one revision of the store. */
import { assert } from '../../lib/assert.ts'
import { Revision } from '../../lib/ids.ts'
import { err, ok } from '../../lib/result.ts'
import type { DeleteRangeRequest, LeaseRevokeRequest, PutRequest } from '../proto/generated/etcd/rpc.ts'
import { encodeRecord, historyKey, revisionKey, tombstoneOf, type IndexRecord } from './key-index.ts'
import { encodePut, encodeTombstone, valueOf } from './key-value.ts'
import { hasLease, keysOfLease, moveKey, removeLease } from './lease.ts'
import { keyRange, readCurrent, readKeyValue, scanCurrent, type IndexedKey } from './read.ts'
import type { ApplyResult, DeleteRangeResult, PutResult } from './results.ts'
import type { Store } from './store.ts'

/** What one entry does to keys: all of it gets one revision, its steps are told apart by the sub-revision. */
export interface Change {
  readonly revision: Revision
  /** Sub-revision of the next step; 0 as long as nothing was changed. */
  steps: number
}

export function beginChange(store: Store): Change {
  return { revision: Revision(store.revision + 1), steps: 0 }
}

/** A change without steps leaves the revision as it is. */
export function endChange(store: Store, change: Change): void {
  if (change.steps > 0) store.update({ revision: change.revision })
}

/** Revision that a read sees after the steps so far. */
export function revisionWithin(store: Store, change: Change): Revision {
  return change.steps > 0 ? change.revision : store.revision
}

/** The request has passed `validatePut` and `refusePut`. */
export function putKey(store: Store, change: Change, request: PutRequest): PutResult {
  const { key } = request
  const previous = readCurrent(store, key)
  const isReadBack = previous !== undefined && (request.prevKv || request.ignoreValue)
  const previousKeyValue = isReadBack ? readKeyValue(store, previous) : undefined
  const value = request.ignoreValue && previousKeyValue !== undefined ? valueOf(previousKeyValue) : request.value
  const lease = request.ignoreLease && previous !== undefined ? previous.lease : request.lease
  const record: IndexRecord = {
    modRevision: change.revision,
    sub: change.steps++,
    createRevision: previous?.createRevision ?? change.revision,
    version: (previous?.version ?? 0) + 1,
    lease,
  }
  const { buffer } = store
  buffer.put('revisions', revisionKey(record.modRevision, record.sub), encodePut({ ...record, key, value }))
  buffer.put('current', key, encodeRecord(record))
  if (previous !== undefined) buffer.put('history', historyKey(key, previous.modRevision), encodeRecord(previous))
  moveKey(store, key, previous?.lease ?? 0n, lease)
  return { kind: 'put', revision: change.revision, prevKv: request.prevKv ? previousKeyValue : undefined }
}

export function deleteKeys(store: Store, change: Change, request: DeleteRangeRequest): DeleteRangeResult {
  const keys = liveKeys(store, request)
  const prevKvs = request.prevKv ? keys.map(({ record }) => readKeyValue(store, record)) : []
  for (const key of keys) deleteKey(store, change, key)
  return { kind: 'delete-range', revision: revisionWithin(store, change), deleted: keys.length, prevKvs }
}

/** Deletes the lease and its keys, in key order and as one revision; without keys there is none. */
export function revokeLease(store: Store, { ID }: LeaseRevokeRequest): ApplyResult {
  if (ID === 0n || !hasLease(store, ID)) return err({ kind: 'lease-not-found' })
  const change = beginChange(store)
  for (const key of keysOfLease(store, ID)) {
    const record = readCurrent(store, key)
    assert(record?.lease === ID, 'a key that a lease holds is there and names it')
    deleteKey(store, change, { key, record })
  }
  removeLease(store, ID)
  endChange(store, change)
  return ok({ kind: 'lease-revoke', revision: store.revision, id: ID })
}

function liveKeys(store: Store, request: DeleteRangeRequest): readonly IndexedKey[] {
  const range = keyRange(request.key, request.rangeEnd)
  if (range !== undefined) return [...scanCurrent(store, range)]
  const record = readCurrent(store, request.key)
  return record === undefined ? [] : [{ key: request.key, record }]
}

function deleteKey(store: Store, change: Change, { key, record }: IndexedKey): void {
  const { buffer } = store
  const isOfThisChange = record.modRevision === change.revision
  const tombstone = tombstoneOf(change.revision, change.steps++, isOfThisChange ? record : undefined)
  buffer.put(
    'revisions',
    revisionKey(tombstone.modRevision, tombstone.sub),
    encodeTombstone(key, tombstone.modRevision),
  )
  buffer.remove('current', key)
  if (!isOfThisChange) buffer.put('history', historyKey(key, record.modRevision), encodeRecord(record))
  buffer.put('history', historyKey(key, tombstone.modRevision), encodeRecord(tombstone))
  moveKey(store, key, record.lease, 0n)
}
