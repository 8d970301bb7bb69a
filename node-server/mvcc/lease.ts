/**
 * Leases as replicated state: which there are, what TTL each was granted, and which keys it holds. When one ends is not in
 * here: deadlines live in the leader's memory (`node/lease/lessor.ts`), and reach the store as a revoke.
 *
 * Invariants: a key in `leaseKeys` is live, and its index record names that lease, and there is no live key with a lease
 * that is not there; so each key has at most one lease.
 * Source: etcd's lessor, as far as it is persistent.
 */
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import { err, ok } from '../../lib/result.ts'
import type { LeaseGrantRequest } from '../proto/generated/etcd/rpc.ts'
import type { TableEntry } from './backend.ts'
import type { KeyRange } from './read.ts'
import type { ApplyResult } from './results.ts'
import type { Store } from './store.ts'

/** A TTL above it is refused, as in etcd. */
export const MAX_LEASE_TTL_SECONDS = 9_000_000_000

export const LEASE_ID_SIZE_BYTES = 8
const FIRST_ID = Buffer.of(0)

export interface StoredLease {
  /** Signed 64 bits, not 0n. */
  readonly id: bigint
  /** As granted, at least 1. */
  readonly ttlSeconds: number
}

/** The ID has been chosen and the TTL raised to its minimum by who proposed it: both are in the request. */
export function grantLease(store: Store, { ID, TTL }: LeaseGrantRequest): ApplyResult {
  if (ID === 0n) return err({ kind: 'lease-not-found' })
  if (TTL > MAX_LEASE_TTL_SECONDS) return err({ kind: 'lease-ttl-too-large' })
  if (hasLease(store, ID)) return err({ kind: 'lease-exists' })
  const ttlSeconds = Math.max(1, Number(TTL))
  store.buffer.put('leases', leaseKey(ID), encodeTtl(ttlSeconds))
  store.update({})
  return ok({ kind: 'lease-grant', revision: store.revision, id: ID, ttlSeconds })
}

/** Of a lease without keys: whoever revokes one deletes those first. */
export function removeLease(store: Store, id: bigint): void {
  store.buffer.remove('leases', leaseKey(id))
  store.update({})
}

export function hasLease(store: Store, id: bigint): boolean {
  return id !== 0n && store.buffer.get('leases', leaseKey(id)) !== undefined
}

/** Undefined when there is no such lease; 0n, which stands for none, may be asked for. */
export function getLease(store: Store, id: bigint): StoredLease | undefined {
  if (id === 0n) return undefined
  const value = store.buffer.get('leases', leaseKey(id))
  return value === undefined ? undefined : { id, ttlSeconds: readTtl(value) }
}

/** In the order of their IDs as unsigned numbers; `after` one of these, at most `limit`. */
export function listLeases(store: Store, after?: bigint, limit?: number): readonly StoredLease[] {
  const start = after === undefined ? FIRST_ID : leaseKey(after, FIRST_ID)
  return Array.from(store.buffer.scan('leases', start, undefined, limit === undefined ? {} : { limit }), decodeLeaseRow)
}

/** Of the table `leases`. */
export function decodeLeaseRow({ key, value }: TableEntry): StoredLease {
  return { id: Buffer.from(key).readBigInt64BE(), ttlSeconds: readTtl(value) }
}

/** The user keys that the lease holds, in key order. */
export function keysOfLease(store: Store, id: bigint): readonly Uint8Array[] {
  const { start, end } = leaseKeyRange(id)
  return Array.from(store.buffer.scan('leaseKeys', start, end), ({ key }) => userKeyOf(key))
}

/** Where the keys of the lease are in `leaseKeys`. */
export function leaseKeyRange(id: bigint): KeyRange {
  const next = BigInt.asUintN(64, id) + 1n
  return { start: leaseKey(id), end: next >> 64n === 0n ? leaseKey(BigInt.asIntN(64, next)) : undefined }
}

/** Of a row of `leaseKeys`. */
export function userKeyOf(row: Uint8Array): Uint8Array {
  return row.subarray(LEASE_ID_SIZE_BYTES)
}

/** A key's lease changes with a put or a delete; 0n stands for none. Costs nothing where it stays the same. */
export function moveKey(store: Store, key: Uint8Array, from: bigint, to: bigint): void {
  if (from === to) return
  if (from !== 0n) store.buffer.remove('leaseKeys', leaseKey(from, key))
  if (to !== 0n) store.buffer.put('leaseKeys', leaseKey(to, key), EMPTY_BYTES)
}

/** The ID as 8 bytes, so that a lease's keys stand together, and the user key behind it. */
export function leaseKey(id: bigint, userKey: Uint8Array = EMPTY_BYTES): Buffer {
  const bytes = Buffer.allocUnsafe(LEASE_ID_SIZE_BYTES + userKey.length)
  bytes.writeBigInt64BE(id)
  bytes.set(userKey, LEASE_ID_SIZE_BYTES)
  return bytes
}

/** Value of the table `leases`. */
export function encodeTtl(ttlSeconds: number): Buffer {
  const value = Buffer.allocUnsafe(8)
  value.writeBigUInt64BE(BigInt(ttlSeconds))
  return value
}

function readTtl(value: Uint8Array): number {
  return Number(Buffer.from(value).readBigUInt64BE())
}
