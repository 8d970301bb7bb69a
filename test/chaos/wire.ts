/** The requests of test/history as messages of the etcd API. */
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
  type Compare as WireCompare,
  type RequestOp,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import type { Compare, Request, TxnOperation } from '../history/operation.ts'
import type { MethodName } from '../simulation/recording.ts'

/** Compares of these clients are all on the mod revision. */
export type ModCompare = Compare & { readonly target: 'mod'; readonly result: '='; readonly operand: number }
export type Step = Exclude<TxnOperation, { kind: 'txn' }>
/** What these clients ask for. */
export type Asked =
  | Exclude<Request, { kind: 'txn' | 'renew' }>
  | {
      readonly kind: 'txn'
      readonly compares: readonly ModCompare[]
      readonly success: readonly Step[]
      readonly failure: readonly Step[]
    }

export interface Call {
  readonly method: MethodName
  readonly bytes: Uint8Array
}

export function callOf(request: Asked): Call {
  const { kind } = request
  switch (kind) {
    case 'range':
      return { method: kind, bytes: RangeRequest.encode(range(request)).finish() }
    case 'put':
      return { method: kind, bytes: PutRequest.encode(put(request)).finish() }
    case 'delete':
      return { method: kind, bytes: DeleteRangeRequest.encode(deletion(request)).finish() }
    case 'txn': {
      const compare = request.compares.map(modRevisionIs)
      const [success, failure] = [request.success.map(operation), request.failure.map(operation)]
      return { method: kind, bytes: TxnRequest.encode({ compare, success, failure }).finish() }
    }
    case 'compact': {
      const message = { revision: BigInt(request.revision), physical: false }
      return { method: kind, bytes: CompactionRequest.encode(message).finish() }
    }
    case 'grant': {
      const message = { ID: BigInt(request.id), TTL: BigInt(request.ttlSeconds) }
      return { method: kind, bytes: LeaseGrantRequest.encode(message).finish() }
    }
    case 'revoke':
      return { method: kind, bytes: LeaseRevokeRequest.encode({ ID: BigInt(request.id) }).finish() }
    default:
      return kind satisfies never
  }
}

function range({ key, rangeEnd, serializable }: Extract<Asked, { kind: 'range' }>): RangeRequest {
  return RangeRequest.fromPartial({ key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd), serializable })
}

function put({ key, value, lease, prevKv }: Extract<Asked, { kind: 'put' }>): PutRequest {
  const bytes = { key: Buffer.from(key), value: Buffer.from(value) }
  return PutRequest.fromPartial({ ...bytes, lease: BigInt(lease), prevKv })
}

function deletion({ key, rangeEnd, prevKv }: Extract<Asked, { kind: 'delete' }>): DeleteRangeRequest {
  return { key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd), prevKv }
}

function modRevisionIs({ key, operand }: ModCompare): WireCompare {
  return {
    result: Compare_CompareResult.EQUAL,
    target: Compare_CompareTarget.MOD,
    key: Buffer.from(key),
    rangeEnd: Buffer.alloc(0),
    targetUnion: { $case: 'modRevision', value: BigInt(operand) },
  }
}

function operation(step: Step): RequestOp {
  switch (step.kind) {
    case 'range':
      return { request: { $case: 'requestRange', value: range(step) } }
    case 'put':
      return { request: { $case: 'requestPut', value: put(step) } }
    case 'delete':
      return { request: { $case: 'requestDeleteRange', value: deletion(step) } }
    default:
      return step satisfies never
  }
}
