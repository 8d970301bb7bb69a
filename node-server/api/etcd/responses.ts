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
import type { HeaderBytes } from './header-bytes.ts'
import { encodeRange } from './range-message.ts'
import {
  AlarmResponse,
  AuthenticateResponse,
  DeleteRangeResponse,
  LeaseGrantResponse,
  PutResponse,
  type RangeResponse,
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

/** The bytes may be those of another answer, too: nobody changes them. */
export function encodeResult(headers: HeaderBytes, result: OperationResult | AppliedResult): Uint8Array {
  const top = headers.at(result.revision)
  const header = undefined
  switch (result.kind) {
    case 'range':
      return encodeRange(top, result)
    case 'put':
      if (result.prevKv === undefined) return top
      return Buffer.concat([top, PutResponse.encode(putResponse(result, header)).finish()])
    case 'delete-range':
      return Buffer.concat([top, DeleteRangeResponse.encode(deleteRangeResponse(result, header)).finish()])
    case 'txn':
      return Buffer.concat([top, TxnResponse.encode(txnResponse(result, header)).finish()])
    case 'alarm':
      return Buffer.concat([top, AlarmResponse.encode({ header, alarms: result.alarms }).finish()])
    case 'lease-grant': {
      const fields = { header, ID: result.id, TTL: BigInt(result.ttlSeconds), error: '' }
      return Buffer.concat([top, LeaseGrantResponse.encode(fields).finish()])
    }
    case 'auth': {
      // Of all changes of users and roles only that somebody has authenticated has more to say.
      if (result.effect.kind !== 'authenticated') return top
      return Buffer.concat([top, AuthenticateResponse.encode({ header, token: result.effect.token }).finish()])
    }
    case 'compact':
    case 'lease-revoke':
      return top
    default:
      return unreachable(result)
  }
}

function rangeResponse({ kvs, more, count }: RangeResult, header: ResponseHeader): RangeResponse {
  return { header, kvs, more, count: BigInt(count) }
}

function putResponse({ prevKv }: PutResult, header: ResponseHeader | undefined): PutResponse {
  return { header, prevKv }
}

function deleteRangeResponse(
  { deleted, prevKvs }: DeleteRangeResult,
  header: ResponseHeader | undefined,
): DeleteRangeResponse {
  return { header, deleted: BigInt(deleted), prevKvs }
}

function txnResponse({ succeeded, responses }: TxnResult, header: ResponseHeader | undefined): TxnResponse {
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
