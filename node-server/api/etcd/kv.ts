/**
 * etcd's KV service. Requests are decoded to be checked; what goes into the log are the client's own bytes. Checks that do
 * not depend on the state are made here first, to answer quickly, and again when the entry is applied.
 */
import { sleep, type Clock } from '../../../lib/clock.ts'
import { err } from '../../../lib/result.ts'
import type { ServiceTable } from '../../grpc/service.ts'
import type { StoreError } from '../../mvcc/errors.ts'
import { Pace, toItsEnd } from '../../mvcc/pace.ts'
import { SharedPutRequest } from '../../mvcc/put-request.ts'
import { isReadOnlyTxn, txn } from '../../mvcc/txn.ts'
import { validateDeleteRange, validatePut, validateRange, validateTxn } from '../../mvcc/validate.ts'
import type { NodePort, RequestKind } from '../../node/ports.ts'
import { RangeReads } from '../../node/replica/range-reads.ts'
import { CompactionRequest, DeleteRangeRequest, RangeRequest, TxnRequest } from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import { HeaderBytes } from './header-bytes.ts'
import type { LeaderMonitor } from './leader-monitor.ts'
import { stream, unary, type Answer, type Call } from './method.ts'
import { rangeAnswer } from './range-answer.ts'
import { rangeStream } from './range-stream.ts'
import { encodeResult } from './responses.ts'

export interface KvOptions {
  /** Bounds the longest of compare, success and failure in a txn. */
  readonly maxTxnOps: number
  readonly clock: Clock
  /** Of a range that is read in slices; a simulation has small ones. */
  readonly sliceRows?: number
}

interface Kv {
  readonly node: NodePort
  readonly headers: HeaderBytes
  readonly ranges: RangeReads
}

/** How often a physical compaction is asked whether it is through. */
const PURGE_POLL_MS = 20

export function kvService(node: NodePort, monitor: LeaderMonitor, options: KvOptions): ServiceTable {
  const kv = {
    node,
    headers: new HeaderBytes(node),
    ranges: new RangeReads(node, options.clock, options.sliceRows),
  }
  return {
    '/etcdserverpb.KV/Range': unary(node, RangeRequest, (request, call) => answerRange(kv, request, call), {
      isForLearners: (request) => request.serializable,
    }),
    '/etcdserverpb.KV/RangeStream': stream(node, monitor, (calls, signal) =>
      rangeStream(node, kv.ranges, calls, signal),
    ),
    '/etcdserverpb.KV/Put': unary(
      node,
      SharedPutRequest,
      (request, call) => refused(validatePut(request)) ?? write(kv, 'put', call),
    ),
    '/etcdserverpb.KV/DeleteRange': unary(
      node,
      DeleteRangeRequest,
      (request, call) => refused(validateDeleteRange(request)) ?? write(kv, 'delete-range', call),
    ),
    '/etcdserverpb.KV/Txn': unary(node, TxnRequest, (request, call) => {
      const refusal = refused(validateTxn(request, options.maxTxnOps))
      if (refusal !== undefined) return refusal
      return isReadOnlyTxn(request) ? readTxn(kv, request) : write(kv, 'txn', call)
    }),
    '/etcdserverpb.KV/Compact': unary(node, CompactionRequest, (request, call) =>
      compact(kv, options.clock, request, call),
    ),
  }
}

/** A serializable one that is short is answered at once. */
function answerRange(kv: Kv, request: RangeRequest, call: Call): Answer | Promise<Answer> {
  const refusal = refused(validateRange(request))
  if (refusal !== undefined) return refusal
  return request.serializable ? readRange(kv, request, call) : readLinearizably(kv, request, call)
}

async function readLinearizably(kv: Kv, request: RangeRequest, call: Call): Promise<Answer> {
  const barrier = await kv.node.linearizableBarrier()
  return barrier.ok ? readRange(kv, request, call) : err(statusOf(barrier.error))
}

function readRange({ headers, ranges }: Kv, request: RangeRequest, call: Call): Answer | Promise<Answer> {
  const reading = ranges.read({ request, caller: call.context, newSink: () => rangeAnswer(headers) })
  if (reading instanceof Promise) return reading.then((read) => (read.ok ? read : err(statusOf(read.error))))
  return reading.ok ? { ok: true, value: encodeResult(headers, reading.value) } : err(statusOf(reading.error))
}

function write({ node, headers }: Kv, kind: RequestKind, { bytes, context }: Call): Promise<Answer> {
  return node.propose(kind, bytes, context).then((applied): Answer => {
    if (!applied.ok) return err(statusOf(applied.error))
    const result = applied.value
    return result.ok ? { ok: true, value: encodeResult(headers, result.value) } : err(statusOf(result.error.kind))
  })
}

/** A txn without writes is a read: it needs no entry in the log. */
async function readTxn({ node, headers }: Kv, request: TxnRequest): Promise<Answer> {
  if (!isSerializable(request)) {
    const barrier = await node.linearizableBarrier()
    if (!barrier.ok) return err(statusOf(barrier.error))
  }
  const result = toItsEnd(txn(node.store, request, new Pace()))
  return result.ok ? { ok: true, value: encodeResult(headers, result.value) } : err(statusOf(result.error.kind))
}

/** As in etcd only when all it does are serializable ranges; one that only compares is linearizable here. */
function isSerializable({ success, failure }: TxnRequest): boolean {
  const operations = [...success, ...failure]
  return (
    operations.length > 0 &&
    operations.every(({ request }) => request?.$case === 'requestRange' && request.value.serializable)
  )
}

async function compact(kv: Kv, clock: Clock, request: CompactionRequest, call: Call): Promise<Answer> {
  const answer = await write(kv, 'compact', call)
  if (!answer.ok || !request.physical) return answer
  const { signal } = call.context
  while (kv.node.store.meta.purgedRevision < Number(request.revision) && !signal.aborted) {
    await sleep(clock, PURGE_POLL_MS, signal)
  }
  return answer
}

function refused(error: StoreError | undefined): Answer | undefined {
  return error === undefined ? undefined : err(statusOf(error.kind))
}
