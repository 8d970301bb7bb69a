/**
 * etcd's KV service. Requests are decoded to be checked; what goes into the log are the client's own bytes. Checks that do
 * not depend on the state are made here first, to answer quickly, and again when the entry is applied.
 */
import { sleep, type Clock } from '../../../lib/clock.ts'
import { err } from '../../../lib/result.ts'
import type { ServiceTable } from '../../grpc/service.ts'
import { isOld } from '../../mvcc/auth/permissions.ts'
import { refuseRange, refuseTxn } from '../../mvcc/auth/requests.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import type { StoreError } from '../../mvcc/errors.ts'
import { Pace, toItsEnd } from '../../mvcc/pace.ts'
import { SharedPutRequest } from '../../mvcc/put-request.ts'
import { isReadOnlyTxn, txn } from '../../mvcc/txn.ts'
import { validateDeleteRange, validatePut, validateRange, validateTxn } from '../../mvcc/validate.ts'
import type { NodePort, RequestKind } from '../../node/ports.ts'
import { RangeReads } from '../../node/replica/range-reads.ts'
import { CompactionRequest, DeleteRangeRequest, RangeRequest, TxnRequest } from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
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
  readonly gate: Gate
  readonly node: NodePort
  readonly headers: HeaderBytes
  readonly ranges: RangeReads
}

/** How often a physical compaction is asked whether it is through. */
const PURGE_POLL_MS = 20

export function kvService(gate: Gate, monitor: LeaderMonitor, options: KvOptions): ServiceTable {
  const { node } = gate
  const kv = {
    gate,
    node,
    headers: new HeaderBytes(node),
    ranges: new RangeReads(node, options.clock, options.sliceRows),
  }
  return {
    '/etcdserverpb.KV/Range': unary(gate, 'handler', RangeRequest, (request, call) => answerRange(kv, request, call), {
      isForLearners: (request) => request.serializable,
    }),
    '/etcdserverpb.KV/RangeStream': stream(gate, 'handler', monitor, (calls, signal, context) =>
      rangeStream(gate, kv.ranges, calls, signal, context),
    ),
    '/etcdserverpb.KV/Put': unary(
      gate,
      'handler',
      SharedPutRequest,
      (request, call) => refused(validatePut(request)) ?? write(kv, 'put', call),
    ),
    '/etcdserverpb.KV/DeleteRange': unary(
      gate,
      'handler',
      DeleteRangeRequest,
      (request, call) => refused(validateDeleteRange(request)) ?? write(kv, 'delete-range', call),
    ),
    '/etcdserverpb.KV/Txn': unary(gate, 'handler', TxnRequest, (request, call) => {
      const refusal = refused(validateTxn(request, options.maxTxnOps))
      if (refusal !== undefined) return refusal
      return isReadOnlyTxn(request) ? readTxn(kv, request, call) : write(kv, 'txn', call)
    }),
    '/etcdserverpb.KV/Compact': unary(gate, 'admin', CompactionRequest, (request, call) =>
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

/** Whoever asks is identified once the barrier is reached: before it, this member may not know of the latest changes. */
function readRange(kv: Kv, request: RangeRequest, call: Call): Answer | Promise<Answer> {
  return whenIdentified(kv.gate, call, (authInfo) => readAs(kv, authInfo, request, call))
}

function readAs(
  { node, headers, ranges }: Kv,
  authInfo: AuthInfo | undefined,
  request: RangeRequest,
  call: Call,
): Answer | Promise<Answer> {
  const denied = refuseRange(node.store, authInfo, request)
  if (denied !== undefined) return err(statusOf(denied))
  const reading = ranges.read({ request, caller: call.context, newSink: () => rangeAnswer(headers) })
  if (reading instanceof Promise)
    return reading.then((read) => (read.ok ? (refusedAsOld(node, authInfo) ?? read) : err(statusOf(read.error))))
  const old = refusedAsOld(node, authInfo)
  if (old !== undefined) return old
  return reading.ok ? { ok: true, value: encodeResult(headers, reading.value) } : err(statusOf(reading.error))
}

function write(kv: Kv, kind: RequestKind, call: Call): Answer | Promise<Answer> {
  return whenIdentified(kv.gate, call, (authInfo) => writeAs(kv, authInfo, kind, call))
}

function writeAs(
  { node, headers }: Kv,
  authInfo: AuthInfo | undefined,
  kind: RequestKind,
  { bytes, context }: Call,
): Promise<Answer> {
  return node.propose(kind, bytes, context, authInfo).then((applied): Answer => {
    if (!applied.ok) return err(statusOf(applied.error))
    const result = applied.value
    return result.ok ? { ok: true, value: encodeResult(headers, result.value) } : err(statusOf(result.error.kind))
  })
}

/** At once where nothing has to be waited for to know who asks. */
function whenIdentified(
  gate: Gate,
  { context }: Call,
  act: (authInfo: AuthInfo | undefined) => Answer | Promise<Answer>,
): Answer | Promise<Answer> {
  const found = gate.identify(context)
  if (found instanceof Promise) return found.then((known) => (known.ok ? act(known.value) : known))
  return found.ok ? act(found.value) : found
}

/** A txn without writes is a read: it needs no entry in the log. */
async function readTxn({ gate, node, headers }: Kv, request: TxnRequest, { context }: Call): Promise<Answer> {
  if (!isSerializable(request)) {
    const barrier = await node.linearizableBarrier()
    if (!barrier.ok) return err(statusOf(barrier.error))
  }
  const identified = await gate.identify(context)
  if (!identified.ok) return identified
  const denied = refuseTxn(node.store, identified.value, request)
  if (denied !== undefined) return err(statusOf(denied))
  const old = refusedAsOld(node, identified.value)
  if (old !== undefined) return old
  const result = toItsEnd(txn(node.store, request, new Pace()))
  return result.ok ? { ok: true, value: encodeResult(headers, result.value) } : err(statusOf(result.error.kind))
}

/** What was read while users and roles changed may be what the user must not see any more; a token of a later time was not judged by it. */
function refusedAsOld({ store }: NodePort, authInfo: AuthInfo | undefined): Answer | undefined {
  return isOld(store.auth, authInfo) ? err(statusOf('auth-old-revision')) : undefined
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
