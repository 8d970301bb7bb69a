/**
 * etcd's RangeStream (new in 3.7): a Range whose key-values come in several messages, so that neither side holds all of
 * them at once. All messages show one revision; the last one alone has the header, `count` and `more`.
 */
import { err, type Result } from '../../../lib/result.ts'
import type { RpcStatus, RpcStream } from '../../grpc/service.ts'
import { countAt, isPageable, range, rangePage, type RangePage } from '../../mvcc/range.ts'
import { validateRange } from '../../mvcc/validate.ts'
import type { NodePort } from '../../node/ports.ts'
import { RangeRequest, RangeStreamResponse, type RangeResponse } from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import { decode } from './method.ts'
import { header } from './responses.ts'

const FIRST_LIMIT = 10
/** Chunks are made larger or smaller until one has about this size: the largest request, as etcd has it. */
const CHUNK_SIZE_BYTES = 1.5 * 1024 * 1024
const NO_REQUEST: RpcStatus = { code: 'Internal', message: 'a range stream without a request' }

export async function rangeStream(
  node: NodePort,
  stream: RpcStream,
  signal: AbortSignal,
): Promise<RpcStatus | undefined> {
  const request = await firstRequest(stream)
  if (!request.ok) return request.error
  const refusal = refuse(request.value)
  if (refusal !== undefined) return refusal
  if (!request.value.serializable) {
    const barrier = await node.linearizableBarrier()
    if (!barrier.ok) return statusOf(barrier.error)
  }
  if (signal.aborted) return undefined
  return request.value.countOnly ? sendCount(node, stream, request.value) : sendChunks(node, stream, request.value)
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

async function sendCount(node: NodePort, stream: RpcStream, request: RangeRequest): Promise<RpcStatus | undefined> {
  const result = range(node.store, request)
  if (!result.ok) return statusOf(result.error.kind)
  const { revision, count } = result.value
  await send(stream, { header: header(node, revision), kvs: [], more: false, count: BigInt(count) })
  return undefined
}

/** Each chunk is read when the one before it is on its way: a slow client is not read ahead for. */
async function sendChunks(node: NodePort, stream: RpcStream, request: RangeRequest): Promise<RpcStatus | undefined> {
  const total = request.limit === 0n ? Infinity : Number(request.limit)
  const readRevision = node.store.revision
  let next = request.revision === 0n ? { ...request, revision: BigInt(readRevision) } : request
  let limit = Math.min(FIRST_LIMIT, total)
  let count = 0
  for (;;) {
    const read = rangePage(node.store, next, limit)
    if (!read.ok) return statusOf(read.error.kind)
    const page = read.value
    count += page.kvs.length
    const { more, lastKey } = page
    if (more && lastKey !== undefined) next = { ...next, key: Buffer.concat([lastKey, Buffer.of(0)]) }
    if (!more || count === total) {
      const rest = more ? countAt(node.store, next.key, next.rangeEnd, Number(next.revision)) : 0
      await send(stream, { header: header(node, readRevision), kvs: page.kvs, more, count: BigInt(count + rest) })
      return undefined
    }
    if (!(await send(stream, { header: undefined, kvs: page.kvs, more: false, count: 0n }))) return undefined
    limit = Math.min(nextLimit(limit, page), total - count)
  }
}

function send(stream: RpcStream, rangeResponse: RangeResponse): Promise<boolean> {
  return stream.send(RangeStreamResponse.encode({ rangeResponse }).finish())
}

function nextLimit(limit: number, { kvs }: RangePage): number {
  const sizeBytes = kvs.reduce((sum, { length }) => sum + length, 0)
  if (sizeBytes < CHUNK_SIZE_BYTES / 2) return limit * 2
  return sizeBytes > CHUNK_SIZE_BYTES * 2 ? Math.max(1, Math.floor(limit / 2)) : limit
}
