/**
 * The rows of etcd's database, bucket by bucket, as far as a store has them too.
 *
 *   key     revision (8) ‖ "_" ‖ sub-revision (8) ‖ "t" of a tombstone → mvccpb.KeyValue; of a tombstone, its key alone
 *   lease   lease ID (8) → leasepb.Lease: ID 1, TTL 2, remaining TTL 3
 *   alarm   etcdserverpb.AlarmMember → nothing
 *   meta    scheduledCompactRev, finishedCompactRev: a revision as above; consistent_index, term: a number (8); storageVersion: text
 *
 * All numbers big-endian. Source: etcd server/storage/schema, server/storage/mvcc/revision.go.
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { ByteReader, ByteWriter, MalformedBytes } from '../../lib/bytes.ts'
import type { StoredLease } from '../mvcc/lease.ts'

/** All that etcd makes at its start, whether there is something in them or not. */
export const BUCKETS = [
  'alarm',
  'auth',
  'authRoles',
  'authUsers',
  'cluster',
  'key',
  'lease',
  'members',
  'members_removed',
  'meta',
] as const

export const SCHEDULED_COMPACTION = 'scheduledCompactRev'
export const FINISHED_COMPACTION = 'finishedCompactRev'
export const CONSISTENT_INDEX = 'consistent_index'
export const TERM = 'term'
export const STORAGE_VERSION = 'storageVersion'

const SEPARATOR = 0x5f
const TOMBSTONE_MARK = 0x74
const REVISION_SIZE_BYTES = 17

export interface EtcdRevision {
  readonly revision: number
  readonly sub: number
  readonly isTombstone: boolean
}

export function encodeRevision({ revision, sub, isTombstone }: EtcdRevision): Buffer {
  const writer = new ByteWriter(REVISION_SIZE_BYTES + 1).u53(revision).u8(SEPARATOR).u53(sub)
  if (isTombstone) writer.u8(TOMBSTONE_MARK)
  return writer.finish()
}

/** Throws `MalformedBytes`. */
export function decodeRevision(bytes: Uint8Array): EtcdRevision {
  const reader = new ByteReader(bytes)
  const revision = reader.u53()
  if (reader.u8() !== SEPARATOR) throw new MalformedBytes('no "_" between revision and sub-revision')
  const sub = reader.u53()
  const isTombstone = reader.remainingBytes > 0
  if (isTombstone && reader.u8() !== TOMBSTONE_MARK) throw new MalformedBytes('a revision with a mark other than "t"')
  reader.end()
  return { revision, sub, isTombstone }
}

const LEASE_ID_FIELD = 1
const LEASE_TTL_FIELD = 2

export function encodeLease({ id, ttlSeconds }: StoredLease): Uint8Array {
  return new BinaryWriter().tag(LEASE_ID_FIELD, 0).int64(id).tag(LEASE_TTL_FIELD, 0).int64(ttlSeconds).finish()
}

/** How much of the TTL was left goes unread: a new leader gives each lease its whole TTL. Throws `MalformedBytes`. */
export function decodeLease(bytes: Uint8Array): StoredLease {
  try {
    const reader = new BinaryReader(bytes)
    let id = 0n
    let ttlSeconds = 0
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag()
      if (field === LEASE_ID_FIELD) id = BigInt(reader.int64())
      else if (field === LEASE_TTL_FIELD) ttlSeconds = Number(reader.int64())
      else reader.skip(wireType, field)
    }
    return { id, ttlSeconds }
  } catch (error) {
    throw new MalformedBytes(`a lease that cannot be read: ${String(error)}`)
  }
}
