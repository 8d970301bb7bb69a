/** etcd's Lock service (v3lockpb): a key below the lock's name for each who wants it; the first created holds the lock. */
import { assert } from '../../../lib/assert.ts'
import { err, ok } from '../../../lib/result.ts'
import type { RpcStatus, ServiceTable } from '../../grpc/service.ts'
import { readCurrent } from '../../mvcc/read.ts'
import type { NodePort } from '../../node/ports.ts'
import { LockRequest, LockResponse, UnlockRequest, UnlockResponse } from '../../proto/generated/etcd/lock.ts'
import type { ResponseHeader } from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import type { Lines } from './lines.ts'
import { unary, type Answer } from './method.ts'
import { header } from './responses.ts'
import {
  createdAt,
  deleteKey,
  getOp,
  linePrefix,
  placeOf,
  problemOf,
  putOp,
  refused,
  refuseLine,
  session,
  writeTxn,
  type Asker,
} from './waiting-line.ts'

export function lockService(gate: Gate, lines: Lines): ServiceTable {
  return {
    '/v3lockpb.Lock/Lock': unary(gate, 'handler', LockRequest, (request, { context }) =>
      lock({ gate, context }, lines, request, context.signal),
    ),
    '/v3lockpb.Lock/Unlock': unary(gate, 'handler', UnlockRequest, (request, { context }) =>
      unlock({ gate, context }, request),
    ),
  }
}

async function lock(asker: Asker, lines: Lines, request: LockRequest, signal: AbortSignal): Promise<Answer> {
  const { node } = asker.gate
  const lease = await session(asker, request.lease)
  if (!lease.ok) return lease
  const prefix = linePrefix(request.name)
  const denied = await refuseLine(asker, prefix)
  if (denied !== undefined) return err(denied)
  const key = placeOf(prefix, lease.value)
  const entered = await writeTxn(asker, {
    compare: [createdAt(key, 0n)],
    success: [putOp(key, Buffer.alloc(0), lease.value)],
    failure: [getOp(key)], // it stands in line already, or holds the lock
  })
  if (!entered.ok) return entered
  assert(entered.value.revision !== undefined, 'an outer txn names a revision')
  const own = readCurrent(node.store, key)
  return lines.use(prefix, async (line) => {
    // Whoever is first now was first when the txn was applied, or has become so since.
    if (own !== undefined && line.isTurn(own.createRevision)) return answer(header(node, entered.value.revision), key)
    const turn = own === undefined ? 'turn' : await line.awaitTurn(own.createRevision, signal)
    const problem = problemOf(turn) ?? (await confirm(node))
    if (problem !== undefined) {
      await deleteKey(asker, key)
      return err(problem)
    }
    if (readCurrent(node.store, key) === undefined) return err(refused('mutex: session is expired'))
    return answer(header(node), key)
  })
}

/** The lease may have ended while its key waited: what decides is the state now, not an older one here. */
async function confirm(node: NodePort): Promise<RpcStatus | undefined> {
  const barrier = await node.linearizableBarrier()
  return barrier.ok ? undefined : refused(statusOf(barrier.error).message)
}

function answer(header: ResponseHeader, key: Buffer): Answer {
  return ok(LockResponse.encode({ header, key }).finish())
}

async function unlock(asker: Asker, { key }: UnlockRequest): Promise<Answer> {
  const { node } = asker.gate
  const deleted = await deleteKey(asker, key)
  return deleted.ok ? ok(UnlockResponse.encode({ header: header(node, deleted.value.revision) }).finish()) : deleted
}
