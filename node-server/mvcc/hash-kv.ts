/**
 * etcd's HashKV: one number for all that can be read at a revision and since the last compaction. Equal histories give
 * the number that etcd gives (server/storage/mvcc/hash.go), so it also compares members, and this program with etcd:
 *
 *   CRC-32C of "key" and then, for each change up to the revision in the order of revisions,
 *   revision (8) ‖ '_' ‖ sub-revision (8) [‖ 't' for a tombstone] ‖ KeyValue (of a tombstone the key alone)
 *
 * With C the compacted revision and R the one asked for, a change at or below C counts only while its key still has that
 * version at R. (Where no key is left at R etcd counts what was live at C; so does this.) A tombstone at C never counts.
 *
 * A pass goes in slices, other entries are applied in between: they change nothing at or below R. Only the physical half
 * of a compaction above C would, so its caller holds that back (`compactSlice`'s maxTarget) until the pass is over.
 */
import { crc32c } from '../../lib/crc32c.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { TABLES } from './backend.ts'
import type { StoreError } from './errors.ts'
import { decodeRevisionKey, revisionKey } from './key-index.ts'
import { decodeStoredRevision, headOf, type StoredRevision } from './key-value.ts'
import { readAt } from './read.ts'
import type { Store } from './store.ts'

export interface KeyValueHash {
  readonly hash: number
  /** In force when it was computed; -1 for none. */
  readonly compactedRevision: number
  readonly revision: number
}

export interface HashPass {
  readonly compactedRevision: number
  readonly revision: number
  /** So far, of what counts when some key is live at `revision`. */
  hash: number
  /** So far, of what counts when none is; goes on only until one is found. */
  hashOfDead: number
  hasLiveKey: boolean
  /** First key of `revisions` not visited yet. */
  next: Buffer
}

/** What one slice visits at most: 1 to 3 ms. */
export const SLICE_ROWS = 250
const SLICE_BYTES = 1024 * 1024

const BUCKET = crc32c(Buffer.from('key'))
const SEPARATOR = 0x5f
const TOMBSTONE_MARK = 0x74

/** `revision` 0 means the current one; the refusals are etcd's. */
export function beginHash(store: Store, revision: number): Result<HashPass, StoreError> {
  const { compactedRevision } = store
  if (revision > 0 && revision < compactedRevision) return err({ kind: 'compacted', revision: compactedRevision })
  if (revision > store.revision) return err({ kind: 'future-revision', revision: store.revision })
  return ok(beginHashAsOf(compactedRevision, revision === 0 ? store.revision : revision))
}

/** As of a compaction, before its physical half: all changes since the one before, `previous`, are in it. */
export function beginCompactionHash(previous: number, compacted: number): HashPass {
  return beginHashAsOf(previous, compacted)
}

/** As after that compaction, of a store that has at least what it leaves. */
export function beginHashAsOf(compactedRevision: number, revision: number): HashPass {
  const next = Buffer.alloc(revisionKey(0, 0).length)
  return { compactedRevision, revision, hash: BUCKET, hashOfDead: BUCKET, hasLiveKey: false, next }
}

/** Goes on with the pass; the result once it is through. */
export function hashSlice(store: Store, pass: HashPass): KeyValueHash | undefined {
  if (pass.revision < 0) return resultOf(pass)
  const end = revisionKey(pass.revision + 1, 0)
  let sizeBytes = 0
  let rows = 0
  for (const { key, value } of store.buffer.scan('revisions', pass.next, end)) {
    if (rows++ >= SLICE_ROWS || sizeBytes >= SLICE_BYTES) {
      pass.next = Buffer.from(key)
      return undefined
    }
    sizeBytes += value.length
    addRow(store, pass, key, decodeStoredRevision(value))
  }
  return resultOf(pass)
}

function resultOf({ hasLiveKey, hash, hashOfDead, compactedRevision, revision }: HashPass): KeyValueHash {
  return { hash: hasLiveKey ? hash : hashOfDead, compactedRevision, revision }
}

function addRow(store: Store, pass: HashPass, rowKey: Uint8Array, { isTombstone, keyValue }: StoredRevision): void {
  const { revision, sub } = decodeRevisionKey(rowKey)
  const { compactedRevision } = pass
  const { key } = headOf(keyValue)
  const isOld = revision <= compactedRevision
  const isLiveAt = (at: number): boolean => {
    const live = isTombstone ? undefined : readAt(store, key, at)
    return live?.modRevision === revision && live.sub === sub
  }
  // Of later changes it is only of interest whether there is any live key at all.
  const isKept = (isOld || !pass.hasLiveKey) && isLiveAt(pass.revision)
  if (isKept) pass.hasLiveKey = true
  if (isTombstone && revision === compactedRevision) return
  const rowBytes = [etcdKey(revision, sub, isTombstone), isTombstone ? keyFieldOf(keyValue, key) : keyValue] as const
  if (!isOld || isKept) for (const bytes of rowBytes) pass.hash = crc32c(bytes, pass.hash)
  if (pass.hasLiveKey || (isOld && !isLiveAt(compactedRevision))) return
  for (const bytes of rowBytes) pass.hashOfDead = crc32c(bytes, pass.hashOfDead)
}

/** What a KeyValue is with nothing but a key: it comes first. */
function keyFieldOf(keyValue: Buffer, key: Buffer): Buffer {
  return keyValue.subarray(0, key.byteOffset + key.length - keyValue.byteOffset)
}

function etcdKey(revision: number, sub: number, isTombstone: boolean): Buffer {
  const bytes = Buffer.allocUnsafe(isTombstone ? 18 : 17)
  bytes.writeBigUInt64BE(BigInt(revision), 0)
  bytes[8] = SEPARATOR
  bytes.writeBigUInt64BE(BigInt(sub), 9)
  if (isTombstone) bytes[17] = TOMBSTONE_MARK
  return bytes
}

/** All tables but the record of how far they are: for tests with members that stand still, as etcd's Hash is. */
export interface TablesPass {
  hash: number
  table: number
  next: Buffer
}

export function beginTablesHash(): TablesPass {
  return { hash: crc32c(Buffer.from(TABLES[0])), table: 0, next: Buffer.of(0) }
}

/** Goes on with the pass; the CRC-32C once it is through. */
export function hashTablesSlice(store: Store, pass: TablesPass): number | undefined {
  const table = TABLES[pass.table]
  if (table === undefined) return pass.hash
  let sizeBytes = 0
  let rows = 0
  for (const { key, value } of table === 'meta' ? [] : store.buffer.scan(table, pass.next, undefined)) {
    if (rows++ >= SLICE_ROWS || sizeBytes >= SLICE_BYTES) {
      pass.next = Buffer.from(key)
      return undefined
    }
    sizeBytes += value.length
    pass.hash = crc32c(value, crc32c(key, pass.hash))
  }
  pass.table += 1
  pass.hash = crc32c(Buffer.from(TABLES[pass.table] ?? ''), pass.hash)
  pass.next = Buffer.of(0)
  return undefined
}
