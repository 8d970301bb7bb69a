/**
 * Names for numbers that must not be mixed up. What the system counts up itself is a safe integer; identities use
 * all 64 bits and are therefore bigint.
 */
import { assert } from './assert.ts'

declare const brand: unique symbol
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name }

/** Raft term, 0 before the first election (Raft §5.1). */
export type Term = Brand<number, 'Term'>
/** Position in the Raft log; the first entry has index 1, 0 means "before the log" (Raft §5.3). */
export type LogIndex = Brand<number, 'LogIndex'>
/** MVCC revision of the store; an empty store is at 1, as in etcd. */
export type Revision = Brand<number, 'Revision'>
/** 64-bit identity of a member; 0 means "nobody". */
export type MemberId = Brand<bigint, 'MemberId'>
/** 64-bit identity of a cluster. */
export type ClusterId = Brand<bigint, 'ClusterId'>
/** 64-bit identity of a lease; 0 means "no lease". */
export type LeaseId = Brand<bigint, 'LeaseId'>

export const NOBODY = 0n as MemberId

export function Term(value: number): Term {
  assert(Number.isSafeInteger(value) && value >= 0, () => `term ${value} is not a safe natural number`)
  return value as Term
}

export function LogIndex(value: number): LogIndex {
  assert(Number.isSafeInteger(value) && value >= 0, () => `log index ${value} is not a safe natural number`)
  return value as LogIndex
}

export function Revision(value: number): Revision {
  assert(Number.isSafeInteger(value) && value >= 0, () => `revision ${value} is not a safe natural number`)
  return value as Revision
}

export function MemberId(value: bigint): MemberId {
  assert(value === BigInt.asUintN(64, value), () => `member ID ${value} does not fit 64 bits`)
  return value as MemberId
}

export function ClusterId(value: bigint): ClusterId {
  assert(value === BigInt.asUintN(64, value), () => `cluster ID ${value} does not fit 64 bits`)
  return value as ClusterId
}

export function LeaseId(value: bigint): LeaseId {
  assert(value === BigInt.asUintN(64, value), () => `lease ID ${value} does not fit 64 bits`)
  return value as LeaseId
}

/** The way etcd prints an ID: lower-case hex without padding. */
export function formatId(id: bigint): string {
  return id.toString(16)
}

/** Reads what {@link formatId} prints; undefined for anything else. */
export function parseId(text: string): bigint | undefined {
  return /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined
}
