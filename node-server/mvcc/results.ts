/** What the store answers; the API turns it into etcd's responses. Key-values are encoded mvccpb.KeyValue messages. */
import type { Revision } from '../../lib/ids.ts'
import type { Result } from '../../lib/result.ts'
import type { AlarmMember } from '../proto/generated/etcd/rpc.ts'
import type { StoreError } from './errors.ts'

export interface RangeResult {
  readonly kind: 'range'
  /** Of the store, also when an older revision was read. */
  readonly revision: Revision
  readonly kvs: Buffer[]
  /** All keys in the range at the revision read, whatever limit and filters say. */
  readonly count: number
  readonly more: boolean
}

export interface PutResult {
  readonly kind: 'put'
  readonly revision: Revision
  /** Only when asked for and there was one. */
  readonly prevKv: Buffer | undefined
}

export interface DeleteRangeResult {
  readonly kind: 'delete-range'
  readonly revision: Revision
  readonly deleted: number
  /** Only when asked for, in key order. */
  readonly prevKvs: Buffer[]
}

export interface TxnResult {
  readonly kind: 'txn'
  /** Undefined in an inner txn: etcd leaves that header empty. */
  readonly revision: Revision | undefined
  readonly succeeded: boolean
  readonly responses: readonly OperationResult[]
}

export interface CompactResult {
  readonly kind: 'compact'
  /** Of the store. */
  readonly revision: Revision
}

export interface AlarmResult {
  readonly kind: 'alarm'
  /** Of the store. */
  readonly revision: Revision
  readonly alarms: AlarmMember[]
}

export interface LeaseGrantResult {
  readonly kind: 'lease-grant'
  /** Of the store: a grant makes none. */
  readonly revision: Revision
  readonly id: bigint
  readonly ttlSeconds: number
}

export interface LeaseRevokeResult {
  readonly kind: 'lease-revoke'
  /** Of the store after the lease's keys are gone. */
  readonly revision: Revision
  readonly id: bigint
}

/** What follows for tokens, which are no replicated state. */
export type AuthEffect =
  | { readonly kind: 'none' }
  /** The token stands for the user from now on. */
  | { readonly kind: 'authenticated'; readonly username: string; readonly token: string }
  /** The user's tokens stand for nobody any more. */
  | { readonly kind: 'signed-out'; readonly username: string }
  /** No token counts any more. */
  | { readonly kind: 'disabled' }

export interface AuthResult {
  readonly kind: 'auth'
  /** Of the store: users and roles make none. */
  readonly revision: Revision
  readonly effect: AuthEffect
}

export type OperationResult = RangeResult | PutResult | DeleteRangeResult | TxnResult
export type LeaseResult = LeaseGrantResult | LeaseRevokeResult
export type AppliedResult =
  | PutResult
  | DeleteRangeResult
  | TxnResult
  | CompactResult
  | LeaseResult
  | AlarmResult
  | AuthResult

/** Of one entry: what its waiter gets. */
export type ApplyResult = Result<AppliedResult, StoreError>
