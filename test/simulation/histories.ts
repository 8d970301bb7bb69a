/** From what went over the wire to histories as test/history checks them. */
import {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchCreateRequest_FilterType as FilterType,
  WatchResponse,
  type Compare,
  type RequestOp,
  type ResponseHeader,
  type ResponseOp,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { Event_EventType as EventType, KeyValue as WireKeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import type { RpcStatus } from '../../node-server/grpc/service.ts'
import { assert } from '../../lib/assert.ts'
import { historyProblem } from '../history/check.ts'
import type {
  Answer,
  Compare as PlainCompare,
  KeyValue,
  Operation,
  Outcome,
  Request,
  TxnOperation,
} from '../history/operation.ts'
import type { WatchHistory } from '../history/watches.ts'
import { Violation } from './oracle.ts'
import type { CallRecord, MethodName, WatchRecord } from './recording.ts'

/** Throws the first problem. `clockDrift`: see PrepareOptions. */
export function checkHistories(
  calls: readonly CallRecord[],
  watches: readonly WatchRecord[],
  clockDrift: number,
): void {
  const operations = calls.map(operation)
  const problem = historyProblem({ operations, watches: watches.map(watchHistory) }, { clockDrift })
  if (problem !== undefined) throw new Violation(`${problem.startsWith('a watch') ? '6' : '4'}: ${problem}`)
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

export function operation(record: CallRecord): Operation {
  const { client, member, callMs, returnMs, told } = record
  const request = plainRequest(record)
  const outcome: Outcome =
    told.kind === 'answer'
      ? plainAnswer(record.method, told.bytes)
      : told.kind === 'status'
        ? refusalOf(told.status)
        : { kind: 'unknown' }
  return { client, member, call: callMs, return: returnMs, request, outcome }
}

const REFUSALS: readonly (readonly [string, Outcome])[] = [
  ['required revision has been compacted', { kind: 'refusal', refusal: 'compacted' }],
  ['required revision is a future revision', { kind: 'refusal', refusal: 'future-revision' }],
  ['requested lease not found', { kind: 'refusal', refusal: 'lease-not-found' }],
  ['lease already exists', { kind: 'refusal', refusal: 'lease-exists' }],
  ['key not found', { kind: 'refusal', refusal: 'key-not-found' }],
]

function refusalOf({ code, message }: RpcStatus): Outcome {
  for (const [part, outcome] of REFUSALS) if (message.includes(part)) return outcome
  // Of the others DeadlineExceeded says most: that the write was never proposed.
  return code === 'Unavailable' || code === 'Unknown' ? { kind: 'unknown' } : { kind: 'refusal', refusal: 'refused' }
}

function plainRequest({ method, request, told }: CallRecord): Request {
  switch (method) {
    case 'range':
      return plainRange(RangeRequest.decode(request))
    case 'put':
      return plainPut(PutRequest.decode(request))
    case 'delete':
      return plainDelete(DeleteRangeRequest.decode(request))
    case 'txn':
      return plainTxn(TxnRequest.decode(request))
    case 'compact':
      return { kind: 'compact', revision: Number(CompactionRequest.decode(request).revision) }
    case 'grant': {
      const { ID, TTL } = LeaseGrantRequest.decode(request)
      const ttlSeconds = told.kind === 'answer' ? LeaseGrantResponse.decode(told.bytes).TTL : TTL
      return { kind: 'grant', id: String(ID), ttlSeconds: Number(ttlSeconds) }
    }
    case 'revoke':
      return { kind: 'revoke', id: String(LeaseRevokeRequest.decode(request).ID) }
    case 'timeToLive': {
      const { ID } = LeaseTimeToLiveRequest.decode(request)
      const left = told.kind === 'answer' ? LeaseTimeToLiveResponse.decode(told.bytes).TTL : 0n
      return { kind: 'renew', id: String(ID), ttlSeconds: Math.max(0, Number(left)) }
    }
    default:
      return method satisfies never
  }
}

function plainRange(request: RangeRequest): Extract<Request, { kind: 'range' }> {
  const { serializable, countOnly } = request
  const keys = { key: text(request.key), rangeEnd: text(request.rangeEnd) }
  return {
    kind: 'range',
    ...keys,
    revision: Number(request.revision),
    serializable,
    limit: Number(request.limit),
    countOnly,
  }
}

function plainPut({ key, value, lease, ...flags }: PutRequest): Extract<Request, { kind: 'put' }> {
  const { prevKv, ignoreValue, ignoreLease } = flags
  return { kind: 'put', key: text(key), value: text(value), lease: String(lease), prevKv, ignoreValue, ignoreLease }
}

function plainDelete({ key, rangeEnd, prevKv }: DeleteRangeRequest): Extract<Request, { kind: 'delete' }> {
  return { kind: 'delete', key: text(key), rangeEnd: text(rangeEnd), prevKv }
}

function plainTxn({ compare, success, failure }: TxnRequest): Extract<Request, { kind: 'txn' }> {
  return {
    kind: 'txn',
    compares: compare.map(plainCompare),
    success: success.map(plainOperation),
    failure: failure.map(plainOperation),
  }
}

const RESULTS = ['=', '>', '<', '!='] as const
const TARGETS = {
  version: 'version',
  createRevision: 'create',
  modRevision: 'mod',
  value: 'value',
  lease: 'lease',
} as const

function plainCompare({ key, rangeEnd, result, targetUnion }: Compare): PlainCompare {
  assert(targetUnion !== undefined, 'clients here compare with something')
  const { $case, value } = targetUnion
  const operand = $case === 'value' ? text(value) : $case === 'lease' ? String(value) : Number(value)
  return { key: text(key), rangeEnd: text(rangeEnd), target: TARGETS[$case], result: RESULTS[result] ?? '=', operand }
}

function plainOperation({ request }: RequestOp): TxnOperation {
  switch (request?.$case) {
    case 'requestRange':
      return plainRange(request.value)
    case 'requestPut':
      return plainPut(request.value)
    case 'requestDeleteRange':
      return plainDelete(request.value)
    case 'requestTxn':
      return plainTxn(request.value)
    case undefined:
      throw new Violation('a txn of a client here has no empty operations')
    default:
      return request satisfies never
  }
}

function plainAnswer(method: MethodName, bytes: Uint8Array): Outcome {
  switch (method) {
    case 'range':
      return answered(ofRange(RangeResponse.decode(bytes)), RangeResponse.decode(bytes).header)
    case 'put':
      return answered(ofPut(PutResponse.decode(bytes)), PutResponse.decode(bytes).header)
    case 'delete':
      return answered(ofDelete(DeleteRangeResponse.decode(bytes)), DeleteRangeResponse.decode(bytes).header)
    case 'txn':
      return answered(ofTxn(TxnResponse.decode(bytes)), TxnResponse.decode(bytes).header)
    case 'compact':
      return answered({}, CompactionResponse.decode(bytes).header)
    case 'grant':
      return answered({}, LeaseGrantResponse.decode(bytes).header)
    case 'revoke':
      return answered({}, LeaseRevokeResponse.decode(bytes).header)
    case 'timeToLive':
      // Of the leader's memory; its header is another member's.
      return LeaseTimeToLiveResponse.decode(bytes).grantedTTL === 0n
        ? { kind: 'refusal', refusal: 'lease-not-found' }
        : answered({}, undefined)
    default:
      return method satisfies never
  }
}

function answered(answer: Answer, header: ResponseHeader | undefined): Outcome {
  return { kind: 'answer', answer: header === undefined ? answer : { ...answer, revision: Number(header.revision) } }
}

function ofRange({ kvs, count }: RangeResponse): Answer {
  return { kvs: kvs.map(plainKeyValue), count: Number(count) }
}

function ofPut({ prevKv }: PutResponse): Answer {
  return prevKv === undefined ? {} : { prevKvs: [plainKeyValue(prevKv)] }
}

function ofDelete({ deleted, prevKvs }: DeleteRangeResponse): Answer {
  return { deleted: Number(deleted), ...(prevKvs.length > 0 ? { prevKvs: prevKvs.map(plainKeyValue) } : {}) }
}

function ofTxn({ succeeded, responses }: TxnResponse): Answer {
  return { succeeded, responses: responses.map(ofOperation) }
}

function ofOperation({ response }: ResponseOp): Answer {
  switch (response?.$case) {
    case 'responseRange':
      return ofRange(response.value)
    case 'responsePut':
      return ofPut(response.value)
    case 'responseDeleteRange':
      return ofDelete(response.value)
    case 'responseTxn':
      return ofTxn(response.value)
    case undefined:
      return {}
    default:
      return response satisfies never
  }
}

function plainKeyValue(bytes: Uint8Array): KeyValue {
  const { key, value, createRevision, modRevision, version, lease } = WireKeyValue.decode(bytes)
  return {
    key: text(key),
    value: text(value),
    createRevision: Number(createRevision),
    modRevision: Number(modRevision),
    version: Number(version),
    lease: String(lease),
  }
}

export function watchHistory({ watcher, member, create, mustTellThrough, told }: WatchRecord): WatchHistory {
  return {
    watcher,
    member,
    key: text(create.key),
    rangeEnd: text(create.rangeEnd),
    startRevision: Number(create.startRevision),
    prevKv: create.prevKv,
    noPut: create.filters.includes(FilterType.NOPUT),
    noDelete: create.filters.includes(FilterType.NODELETE),
    mustTellThrough: mustTellThrough ?? 0,
    responses: told.map(({ atMs, bytes }) => {
      const response = WatchResponse.decode(bytes)
      return {
        at: atMs,
        revision: Number(response.header?.revision ?? 0n),
        isCreated: response.created,
        isCanceled: response.canceled,
        compactRevision: Number(response.compactRevision),
        isFragment: response.fragment,
        events: response.events.map(({ type, kv, prevKv }) => ({
          kind: type === EventType.DELETE ? 'delete' : 'put',
          kv: plainKeyValue(kv ?? Buffer.alloc(0)),
          prevKv: prevKv === undefined ? undefined : plainKeyValue(prevKv),
        })),
      }
    }),
  }
}
