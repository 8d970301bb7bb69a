/**
 * What Lock and Election have in common: who wants something puts a key of its own below a prefix, named by its lease, and
 * it is the turn of the key that was created first. Keys go with their leases, so nobody waits for one that is gone.
 *
 * The keys, the txns and the order are those of etcd's client library (concurrency), because clients of it wait in the same
 * lines. Its servers ask themselves through that library, too, which is why a refusal arrives with its text and without
 * its code.
 */
import { unreachable } from '../../../lib/assert.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { CallContext, RpcStatus } from '../../grpc/service.ts'
import { refuseRange } from '../../mvcc/auth/requests.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import type { DeleteRangeResult, TxnResult } from '../../mvcc/results.ts'
import {
  Compare_CompareResult as Outcome,
  Compare_CompareTarget as Target,
  DeleteRangeRequest,
  LeaseGrantResponse,
  PutRequest,
  RangeRequest,
  TxnRequest,
  type Compare,
  type RequestOp,
} from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import { grant } from './lease.ts'
import type { Turn } from './lines.ts'

/** Of the lease that a request without one gets. */
const SESSION_TTL_SECONDS = 60n

/** '/' */
const SEPARATOR = 0x2f

const CANCELED: RpcStatus = { code: 'Canceled', message: 'context canceled' }

/** Who stands in line. It is identified again for each step: waiting takes long, and users change. */
export interface Asker {
  readonly gate: Gate
  readonly context: CallContext
}

export function refused(message: string): RpcStatus {
  return { code: 'Unknown', message }
}

/** Why who waited does not get its turn. */
export function problemOf(turn: Turn): RpcStatus | undefined {
  switch (turn) {
    case 'turn':
      return undefined
    case 'aborted':
      return CANCELED
    case 'too-many':
      return refused(statusOf('too-many-requests').message)
    default:
      return unreachable(turn)
  }
}

/** The lease that is named, whether it is there or not; for none, a new one that nobody keeps alive. */
export async function session({ gate, context }: Asker, lease: bigint): Promise<Result<bigint, RpcStatus>> {
  if (lease !== 0n) return ok(lease)
  const admitted = await gate.admit('known', context)
  if (!admitted.ok) return err(refused(admitted.error.message))
  const granted = await grant(gate.node, { ID: 0n, TTL: SESSION_TTL_SECONDS }, undefined, admitted.value)
  return granted.ok ? ok(LeaseGrantResponse.decode(granted.value).ID) : err(refused(granted.error.message))
}

/** Everything below it is in one line. */
export function linePrefix(name: Uint8Array): Buffer {
  return Buffer.concat([name, Buffer.of(SEPARATOR)])
}

/** Whoever waits reads the whole line. */
export async function refuseLine(asker: Asker, prefix: Buffer): Promise<RpcStatus | undefined> {
  const identified = await identify(asker)
  if (!identified.ok) return identified.error
  const rangeEnd = Buffer.from(prefix)
  rangeEnd[rangeEnd.length - 1] = SEPARATOR + 1
  const denied = refuseRange(asker.gate.node.store, identified.value, { key: prefix, rangeEnd })
  return denied && refused(statusOf(denied).message)
}

async function identify({ gate, context }: Asker): Promise<Result<AuthInfo | undefined, RpcStatus>> {
  const identified = await gate.identify(context)
  return identified.ok ? identified : err(refused(identified.error.message))
}

/** The place of a lease in the line; a negative ID keeps its sign (Go's %x). */
export function placeOf(prefix: Uint8Array, lease: bigint): Buffer {
  return Buffer.concat([prefix, Buffer.from(lease.toString(16))])
}

/** Applied here when it resolves. */
export async function writeTxn(asker: Asker, request: TxnRequest): Promise<Result<TxnResult, RpcStatus>> {
  const identified = await identify(asker)
  if (!identified.ok) return identified
  const bytes = TxnRequest.encode(request).finish()
  const applied = await asker.gate.node.propose('txn', bytes, undefined, identified.value)
  if (!applied.ok) return err(refused(statusOf(applied.error).message))
  const result = applied.value
  if (!result.ok) return err(refused(statusOf(result.error.kind).message))
  return result.value.kind === 'txn' ? ok(result.value) : err(refused('etcdserver: not a txn'))
}

export async function deleteKey(asker: Asker, key: Buffer): Promise<Result<DeleteRangeResult, RpcStatus>> {
  const identified = await identify(asker)
  if (!identified.ok) return identified
  const request = DeleteRangeRequest.encode(DeleteRangeRequest.fromPartial({ key })).finish()
  const applied = await asker.gate.node.propose('delete-range', request, undefined, identified.value)
  if (!applied.ok) return err(refused(statusOf(applied.error).message))
  const result = applied.value
  if (!result.ok) return err(refused(statusOf(result.error.kind).message))
  return result.value.kind === 'delete-range' ? ok(result.value) : err(refused('etcdserver: not a delete'))
}

/** Whether the key was created at that revision; 0 asks whether it is not there. */
export function createdAt(key: Buffer, revision: bigint): Compare {
  return {
    result: Outcome.EQUAL,
    target: Target.CREATE,
    key,
    rangeEnd: Buffer.alloc(0),
    targetUnion: { $case: 'createRevision', value: revision },
  }
}

export function putOp(key: Buffer, value: Buffer, lease: bigint): RequestOp {
  return { request: { $case: 'requestPut', value: PutRequest.fromPartial({ key, value, lease }) } }
}

export function deleteOp(key: Buffer): RequestOp {
  return { request: { $case: 'requestDeleteRange', value: DeleteRangeRequest.fromPartial({ key }) } }
}

export function getOp(key: Buffer): RequestOp {
  return { request: { $case: 'requestRange', value: RangeRequest.fromPartial({ key }) } }
}
