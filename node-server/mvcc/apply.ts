/**
 * Applying an entry to the store: deterministic, so that equal entries give equal stores and equal results everywhere. It
 * changes only the store's buffer; what a refused request asked for is not done in part.
 */
import { unreachable } from '../../lib/assert.ts'
import { err, ok } from '../../lib/result.ts'
import {
  AlarmRequest,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
} from '../proto/generated/etcd/rpc.ts'
import { refuseByAlarm, refuseTxnByAlarm } from './alarms.ts'
import { applyAlarm } from './apply-alarm.ts'
import { beginChange, deleteKeys, endChange, putKey, revokeLease } from './change.ts'
import type { StoreCommand } from './command.ts'
import { compact } from './compaction.ts'
import type { StoreError } from './errors.ts'
import { RequestReader } from './request-reader.ts'
import { grantLease } from './lease.ts'
import type { ApplyResult } from './results.ts'
import { advanceApplied, type LogPosition, type Store } from './store.ts'
import { refuseIgnored, refuseLease, txn } from './txn.ts'
import { ANY_NUMBER_OF_OPERATIONS, validateDeleteRange, validatePut, validateTxn } from './validate.ts'

export type { ApplyResult } from './results.ts'

const MALFORMED: ApplyResult = err({ kind: 'malformed-request' })

/**
 * Executes the command of the entry at `position` and notes the entry as applied. Entries without a store command are
 * noted by `advanceApplied` instead. Not to be called while `store.isSaturated`.
 */
export function apply(store: Store, position: LogPosition, command: StoreCommand): ApplyResult {
  const result = execute(store, command)
  advanceApplied(store, position)
  return result
}

function execute(store: Store, command: StoreCommand): ApplyResult {
  const refusal = refuseByAlarm(store.alarms, command.kind)
  if (refusal !== undefined) return err(refusal)
  switch (command.kind) {
    case 'put':
      return applyPut(store, decode(PutRequest, command.request))
    case 'delete-range':
      return applyDeleteRange(store, decode(DeleteRangeRequest, command.request))
    case 'txn':
      return applyTxn(store, decode(TxnRequest, command.request))
    case 'compact': {
      const request = decode(CompactionRequest, command.request)
      return request === undefined ? MALFORMED : compact(store, Number(request.revision))
    }
    case 'alarm': {
      const request = decode(AlarmRequest, command.request)
      return request === undefined ? MALFORMED : applyAlarm(store, request)
    }
    case 'lease-grant': {
      const request = decode(LeaseGrantRequest, command.request)
      return request === undefined ? MALFORMED : grantLease(store, request)
    }
    case 'lease-revoke': {
      const request = decode(LeaseRevokeRequest, command.request)
      return request === undefined ? MALFORMED : revokeLease(store, request)
    }
    default:
      return unreachable(command.kind)
  }
}

function applyPut(store: Store, request: PutRequest | undefined): ApplyResult {
  if (request === undefined) return MALFORMED
  const refusal = validatePut(request) ?? refuseLease(store, request) ?? refuseIgnored(store, request)
  if (refusal !== undefined) return err(refusal)
  const change = beginChange(store)
  const result = putKey(store, change, request)
  endChange(store, change)
  return ok(result)
}

function applyDeleteRange(store: Store, request: DeleteRangeRequest | undefined): ApplyResult {
  if (request === undefined) return MALFORMED
  const refusal = validateDeleteRange(request)
  if (refusal !== undefined) return err(refusal)
  const change = beginChange(store)
  const result = deleteKeys(store, change, request)
  endChange(store, change)
  return ok(result)
}

function applyTxn(store: Store, request: TxnRequest | undefined): ApplyResult {
  if (request === undefined) return MALFORMED
  const refusal: StoreError | undefined =
    refuseTxnByAlarm(store.alarms, request) ?? validateTxn(request, ANY_NUMBER_OF_OPERATIONS)
  return refusal === undefined ? txn(store, request) : err(refusal)
}

/** Undefined when the bytes are not that message; the leader's API has refused such requests already. */
function decode<Message>(type: { decode(reader: RequestReader): Message }, bytes: Uint8Array): Message | undefined {
  try {
    return type.decode(new RequestReader(bytes))
  } catch {
    return undefined
  }
}
