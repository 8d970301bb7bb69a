/** Between the records and the etcd API's messages. */
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchResponse as WireWatchResponse,
  type RequestOp,
  type ResponseOp,
  type ResponseHeader,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { assert } from '../../lib/assert.ts'
import type { Request, Response, TxnStep, Version, WatchResponse } from './record.ts'

export interface Call {
  readonly path: string
  readonly bytes: Uint8Array
  readonly decode: (answer: Uint8Array) => Response
}

/** The least range end for which `key` alone is in the range is none at all. */
export function callOf(request: Request): Call {
  switch (request.kind) {
    case 'range':
      return {
        path: '/etcdserverpb.KV/Range',
        bytes: RangeRequest.encode(rangeRequest(request)).finish(),
        decode: (answer) => rangeResponse(RangeResponse.decode(answer)),
      }
    case 'put':
      return {
        path: '/etcdserverpb.KV/Put',
        bytes: PutRequest.encode(putRequest(request)).finish(),
        decode: (answer) => putResponse(PutResponse.decode(answer)),
      }
    case 'delete':
      return {
        path: '/etcdserverpb.KV/DeleteRange',
        bytes: DeleteRangeRequest.encode(deleteRequest(request)).finish(),
        decode: (answer) => deleteResponse(DeleteRangeResponse.decode(answer)),
      }
    case 'txn':
      return {
        path: '/etcdserverpb.KV/Txn',
        bytes: TxnRequest.encode(txnRequest(request)).finish(),
        decode: (answer) => txnResponse(TxnResponse.decode(answer)),
      }
    default:
      return leaseOrCompaction(request)
  }
}

function leaseOrCompaction(request: Extract<Request, { kind: 'compact' | 'lease-grant' | 'lease-revoke' }>): Call {
  const { kind } = request
  switch (kind) {
    case 'compact':
      return {
        path: '/etcdserverpb.KV/Compact',
        bytes: CompactionRequest.encode({ revision: BigInt(request.revision), physical: false }).finish(),
        decode: (answer) => ({ kind, revision: revisionOf(CompactionResponse.decode(answer).header) }),
      }
    case 'lease-grant':
      return {
        path: '/etcdserverpb.Lease/LeaseGrant',
        bytes: LeaseGrantRequest.encode({ ID: BigInt(request.lease), TTL: BigInt(request.ttlSeconds) }).finish(),
        decode: (answer) => ({ kind, revision: revisionOf(LeaseGrantResponse.decode(answer).header) }),
      }
    case 'lease-revoke':
      return {
        path: '/etcdserverpb.Lease/LeaseRevoke',
        bytes: LeaseRevokeRequest.encode({ ID: BigInt(request.lease) }).finish(),
        decode: (answer) => ({ kind, revision: revisionOf(LeaseRevokeResponse.decode(answer).header) }),
      }
    default:
      return kind satisfies never
  }
}

export function watchResponse(bytes: Uint8Array, atMs: number): WatchResponse {
  const { header, created, canceled, compactRevision, events } = WireWatchResponse.decode(bytes)
  return {
    atMs,
    revision: revisionOf(header),
    isCreated: created,
    isCanceled: canceled,
    compactRevision: Number(compactRevision),
    events: events.map(({ type, kv, prevKv }) => {
      assert(kv !== undefined, 'an event has a key')
      return { kind: type === 0 ? 'put' : 'delete', kv: version(kv), previous: maybeVersion(prevKv) }
    }),
  }
}

function rangeRequest({ key, rangeEnd, isSerializable }: Extract<Request, { kind: 'range' }>): RangeRequest {
  return RangeRequest.fromPartial({
    key: Buffer.from(key),
    rangeEnd: Buffer.from(rangeEnd),
    serializable: isSerializable,
  })
}

function putRequest({ key, value, lease }: Extract<Request, { kind: 'put' }>): PutRequest {
  const bytes = { key: Buffer.from(key), value: Buffer.from(value) }
  return PutRequest.fromPartial({ ...bytes, lease: BigInt(lease), prevKv: true })
}

function deleteRequest({ key, rangeEnd }: Extract<Request, { kind: 'delete' }>): DeleteRangeRequest {
  return { key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd), prevKv: true }
}

function txnRequest({ compares, success, failure }: Extract<Request, { kind: 'txn' }>): TxnRequest {
  return {
    compare: compares.map(({ key, modRevision }) => ({
      result: Compare_CompareResult.EQUAL,
      target: Compare_CompareTarget.MOD,
      key: Buffer.from(key),
      rangeEnd: Buffer.alloc(0),
      targetUnion: { $case: 'modRevision', value: BigInt(modRevision) },
    })),
    success: success.map(requestOp),
    failure: failure.map(requestOp),
  }
}

function requestOp(step: TxnStep): RequestOp {
  switch (step.kind) {
    case 'range':
      return { request: { $case: 'requestRange', value: rangeRequest(step) } }
    case 'put':
      return { request: { $case: 'requestPut', value: putRequest(step) } }
    case 'delete':
      return { request: { $case: 'requestDeleteRange', value: deleteRequest(step) } }
    default:
      return step satisfies never
  }
}

function rangeResponse({ header, kvs }: RangeResponse): Response {
  return { kind: 'range', revision: revisionOf(header), kvs: kvs.map(version) }
}

function putResponse({ header, prevKv }: PutResponse): Response {
  return { kind: 'put', revision: revisionOf(header), previous: maybeVersion(prevKv) }
}

function deleteResponse({ header, prevKvs }: DeleteRangeResponse): Response {
  return { kind: 'delete', revision: revisionOf(header), previous: prevKvs.map(version) }
}

function txnResponse({ header, succeeded, responses }: TxnResponse): Response {
  return { kind: 'txn', revision: revisionOf(header), succeeded, responses: responses.map(responseOp) }
}

function responseOp({ response }: ResponseOp): Response {
  switch (response?.$case) {
    case 'responseRange':
      return rangeResponse(response.value)
    case 'responsePut':
      return putResponse(response.value)
    case 'responseDeleteRange':
      return deleteResponse(response.value)
    case 'responseTxn':
    case undefined:
      throw new Error('an answer to a step that was not asked')
    default:
      return response satisfies never
  }
}

function revisionOf(header: ResponseHeader | undefined): number {
  return Number(header?.revision ?? 0n)
}

function maybeVersion(bytes: Buffer | undefined): Version | undefined {
  return bytes === undefined ? undefined : version(bytes)
}

function version(bytes: Buffer): Version {
  const { key, value, createRevision, modRevision, version, lease } = KeyValue.decode(bytes)
  return {
    key: key.toString(),
    value: value.toString(),
    createRevision: Number(createRevision),
    modRevision: Number(modRevision),
    version: Number(version),
    lease: String(lease),
  }
}
