/** Requests and entries for tests, with everything that a test does not care about left at its default. */
import { LogIndex, Term } from '../../../lib/ids.ts'
import {
  CompactionRequest,
  DeleteRangeRequest,
  PutRequest,
  TxnRequest,
  type Compare,
  type RangeRequest,
  type RequestOp,
} from '../../proto/generated/etcd/rpc.ts'
import { apply } from '../apply.ts'
import type { ApplyResult } from '../results.ts'
import type { StoreCommand } from '../command.ts'
import type { LogPosition, Store } from '../store.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

export function putRequest(key: string, value = '', fields: Partial<PutRequest> = {}): PutRequest {
  const defaults = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false }
  return { key: bytes(key), value: bytes(value), ...defaults, ...fields }
}

export function deleteRequest(key: string, rangeEnd = '', prevKv = false): DeleteRangeRequest {
  return { key: bytes(key), rangeEnd: bytes(rangeEnd), prevKv }
}

export function rangeRequest(key: string, rangeEnd = '', fields: Partial<RangeRequest> = {}): RangeRequest {
  return {
    key: bytes(key),
    rangeEnd: bytes(rangeEnd),
    limit: 0n,
    revision: 0n,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0n,
    maxModRevision: 0n,
    minCreateRevision: 0n,
    maxCreateRevision: 0n,
    ...fields,
  }
}

export const opPut = (...args: Parameters<typeof putRequest>): RequestOp => ({
  request: { $case: 'requestPut', value: putRequest(...args) },
})
export const opDelete = (...args: Parameters<typeof deleteRequest>): RequestOp => ({
  request: { $case: 'requestDeleteRange', value: deleteRequest(...args) },
})
export const opRange = (...args: Parameters<typeof rangeRequest>): RequestOp => ({
  request: { $case: 'requestRange', value: rangeRequest(...args) },
})
export const opTxn = (value: TxnRequest): RequestOp => ({ request: { $case: 'requestTxn', value } })

export function txnRequest(success: RequestOp[], failure: RequestOp[] = [], compare: Compare[] = []): TxnRequest {
  return { compare, success, failure }
}

/** Where the next entry of a store is. */
export function nextPosition(store: Store): LogPosition {
  return { index: LogIndex(store.appliedIndex + 1), term: Term(1) }
}

export function applyNext(store: Store, kind: StoreCommand['kind'], request: Uint8Array): ApplyResult {
  return apply(store, nextPosition(store), { kind, requestId: 0n, request })
}

export function put(store: Store, ...args: Parameters<typeof putRequest>): ApplyResult {
  return applyNext(store, 'put', PutRequest.encode(putRequest(...args)).finish())
}

export function deleteRange(store: Store, ...args: Parameters<typeof deleteRequest>): ApplyResult {
  return applyNext(store, 'delete-range', DeleteRangeRequest.encode(deleteRequest(...args)).finish())
}

export function txn(store: Store, ...args: Parameters<typeof txnRequest>): ApplyResult {
  return applyNext(store, 'txn', TxnRequest.encode(txnRequest(...args)).finish())
}

export function compactTo(store: Store, revision: number): ApplyResult {
  return applyNext(store, 'compact', CompactionRequest.encode({ revision: BigInt(revision), physical: false }).finish())
}
