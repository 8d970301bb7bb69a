/**
 * Applying an entry to the store: deterministic, so that equal entries give equal stores and equal results everywhere. It
 * changes only the store's buffer; a refused request changes nothing, not even in part.
 */
import { unreachable } from '../../lib/assert.ts'
import { err, ok } from '../../lib/result.ts'
import {
  AlarmRequest,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  type PutRequest,
  TxnRequest,
} from '../proto/generated/etcd/rpc.ts'
import { refuseByAlarm, refuseTxnByAlarm } from './alarms.ts'
import { applyAlarm } from './apply-alarm.ts'
import { applyAuth } from './auth/apply-auth.ts'
import { refuseLeaseKeys, refuseUnlessAdmin } from './auth/permissions.ts'
import { refuseDelete, refusePut, refuseTxn } from './auth/requests.ts'
import type { AuthInfo } from './auth/state.ts'
import { beginChange, beginLongChange, deleteOne, deleteRange, endChange, putKey, revokeLease } from './change.ts'
import type { StoreCommand } from './command.ts'
import { compact } from './compaction.ts'
import { keyRange, type KeyRange } from './read.ts'
import { RequestReader } from './request-reader.ts'
import { grantLease } from './lease.ts'
import { Pace, type Slices } from './pace.ts'
import { decodePut } from './put-request.ts'
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
  const applying = new Applying(store, position, command)
  for (;;) {
    const result = applying.step()
    if (result !== undefined) return result
  }
}

/**
 * As {@link apply}, in slices. Between two of them anything may happen but applying other entries: until the last one nobody
 * sees any part of this entry and no commit includes any, so a crash leaves nothing of it. What happens in between does not
 * affect the entry, so it makes no difference where slices end.
 */
export class Applying {
  readonly #store: Store
  readonly #position: LogPosition
  readonly #command: StoreCommand
  readonly #sliceRows: number | undefined
  #slices: Slices<ApplyResult> | undefined

  constructor(store: Store, position: LogPosition, command: StoreCommand, sliceRows?: number) {
    this.#store = store
    this.#position = position
    this.#command = command
    this.#sliceRows = sliceRows
  }

  /** The next slice; the result with the last one. */
  step(): ApplyResult | undefined {
    const { buffer } = this.#store
    buffer.resumeDraft()
    try {
      const result = this.#next()
      if (result === undefined) return undefined
      buffer.publishDraft()
      advanceApplied(this.#store, this.#position)
      return result
    } finally {
      buffer.suspendDraft()
    }
  }

  #next(): ApplyResult | undefined {
    if (this.#slices === undefined) {
      const work = execute(this.#store, this.#position, this.#command, this.#sliceRows)
      if ('ok' in work) return work
      this.#slices = work
    }
    const slice = this.#slices.next()
    return slice.done === true ? slice.value : undefined
  }
}

/** A long command, which is still to be driven slice by slice. */
type Work = ApplyResult | Slices<ApplyResult>

/** Permissions are checked after the alarms and before everything else, as in etcd. */
function execute(store: Store, position: LogPosition, command: StoreCommand, sliceRows: number | undefined): Work {
  const refusal = refuseByAlarm(store.alarms, command.kind)
  if (refusal !== undefined) return err(refusal)
  const { authInfo } = command
  switch (command.kind) {
    case 'put':
      return applyPut(
        store,
        authInfo,
        unlessMalformed(() => decodePut(command.request)),
      )
    case 'delete-range':
      return applyDeleteRange(store, authInfo, decode(DeleteRangeRequest, command.request), sliceRows)
    case 'txn':
      return applyTxn(store, authInfo, decode(TxnRequest, command.request), sliceRows)
    case 'compact': {
      const request = decode(CompactionRequest, command.request)
      if (request === undefined) return MALFORMED
      const denied = authInfo && refuseUnlessAdmin(store.auth, authInfo) // the member itself compacts, too
      return denied === undefined ? compact(store, Number(request.revision)) : err({ kind: denied })
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
      if (request === undefined) return MALFORMED
      const denied = refuseLeaseKeys(store, authInfo, 'write', request.ID)
      return denied === undefined ? revokeLease(store, request, new Pace(sliceRows)) : err({ kind: denied })
    }
    case 'auth':
      return applyAuth(store, position.index, authInfo, command.request)
    default:
      return unreachable(command.kind)
  }
}

function applyPut(store: Store, authInfo: AuthInfo | undefined, request: PutRequest | undefined): ApplyResult {
  if (request === undefined) return MALFORMED
  const denied = refusePut(store, authInfo, request)
  if (denied !== undefined) return err({ kind: denied })
  const refusal = validatePut(request) ?? refuseLease(store, request) ?? refuseIgnored(store, request)
  if (refusal !== undefined) return err(refusal)
  const change = beginChange(store)
  const result = putKey(store, change, request)
  endChange(store, change)
  return ok(result)
}

function applyDeleteRange(
  store: Store,
  authInfo: AuthInfo | undefined,
  request: DeleteRangeRequest | undefined,
  sliceRows: number | undefined,
): Work {
  if (request === undefined) return MALFORMED
  const denied = refuseDelete(store, authInfo, request)
  if (denied !== undefined) return err({ kind: denied })
  const refusal = validateDeleteRange(request)
  if (refusal !== undefined) return err(refusal)
  const keys = keyRange(request.key, request.rangeEnd)
  if (keys !== undefined) return applyLongDelete(store, keys, request, new Pace(sliceRows))
  const change = beginChange(store)
  const result = deleteOne(store, change, request)
  endChange(store, change)
  return ok(result)
}

function* applyLongDelete(
  store: Store,
  keys: KeyRange,
  { prevKv }: DeleteRangeRequest,
  pace: Pace,
): Slices<ApplyResult> {
  const change = beginLongChange(store)
  const result = yield* deleteRange(store, change, keys, prevKv, pace)
  endChange(store, change)
  return ok(result)
}

function applyTxn(
  store: Store,
  authInfo: AuthInfo | undefined,
  request: TxnRequest | undefined,
  sliceRows: number | undefined,
): Work {
  if (request === undefined) return MALFORMED
  const full = refuseTxnByAlarm(store.alarms, request)
  if (full !== undefined) return err(full)
  const denied = refuseTxn(store, authInfo, request)
  if (denied !== undefined) return err({ kind: denied })
  const refusal = validateTxn(request, ANY_NUMBER_OF_OPERATIONS)
  return refusal === undefined ? txn(store, request, new Pace(sliceRows)) : err(refusal)
}

/** Undefined when the bytes are not that message; the leader's API has refused such requests already. */
function decode<Message>(type: { decode(reader: RequestReader): Message }, bytes: Uint8Array): Message | undefined {
  return unlessMalformed(() => type.decode(new RequestReader(bytes)))
}

function unlessMalformed<Message>(decode: () => Message): Message | undefined {
  try {
    return decode()
  } catch {
    return undefined
  }
}
