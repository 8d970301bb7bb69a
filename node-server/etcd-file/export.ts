/**
 * A store as the database file of an etcd of this API's version: what `etcdctl snapshot save` gets, so that etcdutl and etcd
 * itself can go on with it.
 *
 * Of the members, their configuration and the version of the cluster nothing is in it: every restore makes a new cluster,
 * and an etcd that found a version newer than its own would refuse.
 */
import { ByteWriter } from '../../lib/bytes.ts'
import type { Bucket, Row } from '../bolt/writer.ts'
import type { Table, TableEntry } from '../mvcc/backend.ts'
import { decodeAlarmKey } from '../mvcc/alarms.ts'
import { decodeRevisionKey } from '../mvcc/key-index.ts'
import { decodeStoredRevision, encodeKeyValue, headOf } from '../mvcc/key-value.ts'
import { decodeLeaseRow } from '../mvcc/lease.ts'
import type { Meta } from '../mvcc/meta.ts'
import { AlarmMember } from '../proto/generated/etcd/rpc.ts'
import { authRowsIn, type AuthBucket } from './auth-rows.ts'
import {
  BUCKETS,
  CONSISTENT_INDEX,
  encodeLease,
  encodeRevision,
  FINISHED_COMPACTION,
  SCHEDULED_COMPACTION,
  STORAGE_VERSION,
  TERM,
} from './etcd-rows.ts'

/** One state of a store, which stays the same while it is read. */
export interface StoreRows {
  readonly meta: Meta
  /** In the order of the keys, from the beginning at each call, in pieces. */
  rows(table: Table): AsyncIterable<readonly TableEntry[]>
}

/** `storageVersion`: of the etcd that the file is made for, major.minor.0. */
export function etcdBuckets(store: StoreRows, storageVersion: string): readonly Bucket[] {
  return BUCKETS.map((name): Bucket => {
    switch (name) {
      case 'key':
        return { name, rows: () => mapped(store.rows('revisions'), revisionRow) }
      case 'lease':
        return { name, rows: () => mapped(store.rows('leases'), leaseRow) }
      case 'alarm':
        return { name, rows: () => sorted(mapped(store.rows('alarms'), alarmRow)) }
      case 'auth':
      case 'authRoles':
      case 'authUsers':
        return { name, rows: () => authRows(store, name) }
      case 'meta':
        return { name, rows: () => only(metaRows(store.meta, storageVersion)) }
      default:
        return { name, rows: () => only([]) }
    }
  })
}

async function* mapped(
  pieces: AsyncIterable<readonly TableEntry[]>,
  toRow: (entry: TableEntry) => Row,
): AsyncGenerator<readonly Row[]> {
  for await (const piece of pieces) yield piece.map(toRow)
}

async function* authRows(store: StoreRows, bucket: AuthBucket): AsyncGenerator<readonly Row[]> {
  for await (const piece of store.rows('auth')) yield piece.flatMap((entry) => authRowsIn(bucket, entry))
}

/** Of the few rows of a table whose order is not that of the bucket. */
async function* sorted(pieces: AsyncIterable<readonly Row[]>): AsyncGenerator<readonly Row[]> {
  const all: Row[] = []
  for await (const piece of pieces) all.push(...piece)
  yield all.toSorted((a, b) => Buffer.compare(a.key, b.key))
}

// eslint-disable-next-line require-await -- rows of all kinds come alike
async function* only(rows: readonly Row[]): AsyncGenerator<readonly Row[]> {
  yield rows
}

function revisionRow({ key, value }: TableEntry): Row {
  const { isTombstone, keyValue } = decodeStoredRevision(value)
  return {
    key: encodeRevision({ ...decodeRevisionKey(key), isTombstone }),
    value: isTombstone ? keyAlone(keyValue) : keyValue,
  }
}

/** etcd's tombstones say only whose they are. */
function keyAlone(keyValue: Buffer): Buffer {
  const { key } = headOf(keyValue)
  return encodeKeyValue({ key, createRevision: 0, modRevision: 0, version: 0, value: Buffer.alloc(0), lease: 0n })
}

function leaseRow(entry: TableEntry): Row {
  return { key: entry.key, value: encodeLease(decodeLeaseRow(entry)) }
}

function alarmRow({ key }: TableEntry): Row {
  return { key: AlarmMember.encode(decodeAlarmKey(key)).finish(), value: Buffer.alloc(0) }
}

/** In the order of their names. */
function metaRows(meta: Meta, storageVersion: string): readonly Row[] {
  const { appliedIndex, appliedTerm, compactedRevision, purgedRevision } = meta
  const rows: Row[] = []
  const add = (name: string, value: Uint8Array): void => void rows.push({ key: Buffer.from(name), value })
  const number = (value: number): Buffer => new ByteWriter(8).u53(value).finish()
  const revision = (value: number): Buffer => encodeRevision({ revision: value, sub: 0, isTombstone: false })
  if (appliedIndex > 0) add(CONSISTENT_INDEX, number(appliedIndex))
  if (purgedRevision >= 0) add(FINISHED_COMPACTION, revision(purgedRevision))
  if (compactedRevision >= 0) add(SCHEDULED_COMPACTION, revision(compactedRevision))
  add(STORAGE_VERSION, Buffer.from(storageVersion))
  // etcd tells by it that a file is of 3.5 or newer.
  add(TERM, number(Math.max(1, appliedTerm)))
  return rows.toSorted((a, b) => Buffer.compare(a.key, b.key))
}
