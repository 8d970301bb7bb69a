/**
 * etcd's RangeStream (new in 3.7): a Range whose key-values come in several messages, so that neither side holds all of
 * them at once. All messages show one revision; the last one alone has the header, `count` and `more`.
 */
import { err, type Result } from '../../../lib/result.ts'
import { send, type CallContext, type RpcStatus, type RpcStream } from '../../grpc/service.ts'
import { isOld } from '../../mvcc/auth/permissions.ts'
import { refuseRange } from '../../mvcc/auth/requests.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import { headOf } from '../../mvcc/key-value.ts'
import { isPageable } from '../../mvcc/range.ts'
import type { RangeResult } from '../../mvcc/results.ts'
import { successor } from '../../mvcc/slices.ts'
import { validateRange } from '../../mvcc/validate.ts'
import type { NodePort } from '../../node/ports.ts'
import type { RangeProblem, RangeReads, RangeSink } from '../../node/replica/range-reads.ts'
import {
  RangeRequest,
  RangeRequest_SortTarget,
  RangeStreamResponse,
  type RangeResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import { decode } from './method.ts'
import { header } from './responses.ts'

const FIRST_LIMIT = 10
/** Chunks are made larger or smaller until one has about this size: the largest request, as etcd has it. */
const CHUNK_SIZE_BYTES = 1.5 * 1024 * 1024
const NO_REQUEST: RpcStatus = { code: 'Internal', message: 'a range stream without a request' }

export async function rangeStream(
  gate: Gate,
  ranges: RangeReads,
  stream: RpcStream,
  signal: AbortSignal,
  context: CallContext,
): Promise<RpcStatus | undefined> {
  const { node } = gate
  const request = await firstRequest(stream)
  if (!request.ok) return request.error
  const refusal = refuse(request.value)
  if (refusal !== undefined) return refusal
  if (!request.value.serializable) {
    const barrier = await node.linearizableBarrier()
    if (!barrier.ok) return statusOf(barrier.error)
  }
  if (signal.aborted) return undefined
  const identified = await gate.identify(context)
  if (!identified.ok) return identified.error
  const denied = refuseRange(node.store, identified.value, request.value)
  if (denied !== undefined) return statusOf(denied)
  const sending = { node, stream, read: reader(node, ranges, signal, identified.value) }
  return request.value.countOnly ? sendCount(sending, request.value) : sendChunks(sending, request.value)
}

type Read = (request: RangeRequest, isCounted: boolean) => Promise<Result<RangeResult, RangeProblem>>

interface Sending {
  readonly node: NodePort
  readonly stream: RpcStream
  readonly read: Read
}

/** Nothing more is read for who may not be allowed it any more. */
function reader(node: NodePort, ranges: RangeReads, signal: AbortSignal, authInfo: AuthInfo | undefined): Read {
  return async (request, isCounted) => {
    const read = await ranges.read({ request, caller: { signal }, newSink: keyValues, isCounted })
    return isOld(node.store.auth, authInfo) ? err('auth-old-revision') : read
  }
}

function keyValues(): RangeSink<RangeResult> {
  const parts: Buffer[][] = []
  return {
    add: (kvs) => void parts.push(kvs),
    end: (end) => ({ ...end, kvs: [...parts, end.kvs].flat() }),
  }
}

async function firstRequest({ requests }: RpcStream): Promise<Result<RangeRequest, RpcStatus>> {
  for await (const bytes of requests) return decode(RangeRequest, bytes)
  return err(NO_REQUEST)
}

function refuse(request: RangeRequest): RpcStatus | undefined {
  const refusal = validateRange(request)
  if (refusal !== undefined) return statusOf(refusal.kind)
  const pageable = isPageable(request)
  if (pageable === 'sorted')
    return { code: 'Unimplemented', message: 'RangeStream does not support custom sort orders' }
  if (pageable === 'filtered')
    return { code: 'Unimplemented', message: 'RangeStream does not support revision filters' }
  return undefined
}

async function sendCount({ node, stream, read }: Sending, request: RangeRequest): Promise<RpcStatus | undefined> {
  const result = await read(request, true)
  if (!result.ok) return statusOf(result.error)
  const { revision, count } = result.value
  await tell(stream, { header: header(node, revision), kvs: [], more: false, count: BigInt(count) })
  return undefined
}

/** Each chunk is read when the one before it is on its way: a slow client is not read ahead for. */
async function sendChunks({ node, stream, read }: Sending, request: RangeRequest): Promise<RpcStatus | undefined> {
  const total = request.limit === 0n ? Infinity : Number(request.limit)
  const readRevision = node.store.revision
  const revision = request.revision === 0n ? BigInt(readRevision) : request.revision
  // In key order, whatever the target: a chunk that is sorted by itself does not end where the next begins.
  let next: RangeRequest = { ...request, revision, sortTarget: RangeRequest_SortTarget.KEY }
  let limit = Math.min(FIRST_LIMIT, total)
  let count = 0
  for (;;) {
    const chunk = await read({ ...next, limit: BigInt(limit) }, false)
    if (!chunk.ok) return statusOf(chunk.error)
    const { kvs, more } = chunk.value
    count += kvs.length
    const last = kvs.at(-1)
    if (more && last !== undefined) next = { ...next, key: successor(headOf(last).key) }
    if (!more || count === total) {
      const rest = more ? await read({ ...next, countOnly: true }, true) : undefined
      if (rest?.ok === false) return statusOf(rest.error)
      const whole = BigInt(count + (rest?.value.count ?? 0))
      await tell(stream, { header: header(node, readRevision), kvs, more, count: whole })
      return undefined
    }
    if (!(await tell(stream, { header: undefined, kvs, more: false, count: 0n }))) return undefined
    limit = Math.min(nextLimit(limit, kvs), total - count)
  }
}

function tell(stream: RpcStream, rangeResponse: RangeResponse): Promise<boolean> {
  return send(stream, RangeStreamResponse.encode({ rangeResponse }).finish())
}

function nextLimit(limit: number, kvs: readonly Buffer[]): number {
  const sizeBytes = kvs.reduce((sum, { length }) => sum + length, 0)
  if (sizeBytes < CHUNK_SIZE_BYTES / 2) return limit * 2
  return sizeBytes > CHUNK_SIZE_BYTES * 2 ? Math.max(1, Math.floor(limit / 2)) : limit
}
