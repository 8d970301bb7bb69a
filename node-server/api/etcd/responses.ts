/** Results of the store as etcd's responses. Key-values go in as the bytes that the store keeps. */
import { unreachable } from '../../../lib/assert.ts'
import type { Revision } from '../../../lib/ids.ts'
import type {
  AppliedResult,
  DeleteRangeResult,
  OperationResult,
  PutResult,
  RangeResult,
  TxnResult,
} from '../../mvcc/results.ts'
import type { NodePort } from '../../node/ports.ts'
import {
  AlarmResponse,
  AuthenticateResponse,
  CompactionResponse,
  DeleteRangeResponse,
  LeaseGrantResponse,
  LeaseRevokeResponse,
  PutResponse,
  RangeResponse,
  TxnResponse,
  type ResponseHeader,
  type ResponseOp,
} from '../../proto/generated/etcd/rpc.ts'

/** Header of an answer: who gave it, in which term, and the store's revision it stands on. */
export function header(node: NodePort, revision: Revision = node.store.revision): ResponseHeader {
  return {
    clusterId: node.clusterId,
    memberId: node.memberId,
    revision: BigInt(revision),
    raftTerm: BigInt(node.status().term),
  }
}

/** Operations inside a txn carry the revision only, an inner txn not even that. */
function innerHeader(revision: Revision | undefined): ResponseHeader {
  return { clusterId: 0n, memberId: 0n, revision: BigInt(revision ?? 0), raftTerm: 0n }
}

export function encodeResult(node: NodePort, result: OperationResult | AppliedResult): Uint8Array {
  const top = header(node, result.revision)
  switch (result.kind) {
    case 'range':
      return RangeResponse.encode(rangeResponse(result, top)).finish()
    case 'put':
      return PutResponse.encode(putResponse(result, top)).finish()
    case 'delete-range':
      return DeleteRangeResponse.encode(deleteRangeResponse(result, top)).finish()
    case 'txn':
      return TxnResponse.encode(txnResponse(result, top)).finish()
    case 'compact':
      return CompactionResponse.encode({ header: top }).finish()
    case 'alarm':
      return AlarmResponse.encode({ header: top, alarms: result.alarms }).finish()
    case 'lease-grant': {
      const { id, ttlSeconds } = result
      return LeaseGrantResponse.encode({ header: top, ID: id, TTL: BigInt(ttlSeconds), error: '' }).finish()
    }
    case 'auth': {
      // Of all changes of users and roles only that somebody has authenticated has more to say.
      const token = result.effect.kind === 'authenticated' ? result.effect.token : ''
      return AuthenticateResponse.encode({ header: top, token }).finish()
    }
    case 'lease-revoke':
      return LeaseRevokeResponse.encode({ header: top }).finish()
    default:
      return unreachable(result)
  }
}

function rangeResponse({ kvs, more, count }: RangeResult, header: ResponseHeader): RangeResponse {
  return { header, kvs, more, count: BigInt(count) }
}

function putResponse({ prevKv }: PutResult, header: ResponseHeader): PutResponse {
  return { header, prevKv }
}

function deleteRangeResponse({ deleted, prevKvs }: DeleteRangeResult, header: ResponseHeader): DeleteRangeResponse {
  return { header, deleted: BigInt(deleted), prevKvs }
}

function txnResponse({ succeeded, responses }: TxnResult, header: ResponseHeader): TxnResponse {
  return { header, succeeded, responses: responses.map((result) => ({ response: innerResponse(result) })) }
}

function innerResponse(result: OperationResult): NonNullable<ResponseOp['response']> {
  const header = innerHeader(result.revision)
  switch (result.kind) {
    case 'range':
      return { $case: 'responseRange', value: rangeResponse(result, header) }
    case 'put':
      return { $case: 'responsePut', value: putResponse(result, header) }
    case 'delete-range':
      return { $case: 'responseDeleteRange', value: deleteRangeResponse(result, header) }
    case 'txn':
      return { $case: 'responseTxn', value: txnResponse(result, header) }
    default:
      return unreachable(result)
  }
}
