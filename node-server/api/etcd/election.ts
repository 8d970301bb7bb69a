/**
 * etcd's Election service (v3electionpb): candidates stand in line below the election's name; the first one leads, and its
 * key's value is what it proclaims.
 */
import { assert } from '../../../lib/assert.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { RpcStatus, RpcStream, ServiceTable } from '../../grpc/service.ts'
import { valueOf } from '../../mvcc/key-value.ts'
import { readCurrent, readKeyValue } from '../../mvcc/read.ts'
import {
  CampaignRequest,
  CampaignResponse,
  LeaderRequest,
  LeaderResponse,
  ProclaimRequest,
  ProclaimResponse,
  ResignRequest,
  ResignResponse,
} from '../../proto/generated/etcd/election.ts'
import type { ResponseHeader } from '../../proto/generated/etcd/rpc.ts'
import { observe, Proclamations } from './election-observer.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import type { LeaderMonitor } from './leader-monitor.ts'
import type { Lines } from './lines.ts'
import { decode, MALFORMED_ON_STREAM, stream, unary, type Answer } from './method.ts'
import { header } from './responses.ts'
import {
  createdAt,
  deleteOp,
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

const MISSING_LEADER = refused('"leader" field must be provided')

export function electionService(gate: Gate, monitor: LeaderMonitor, lines: Lines): ServiceTable {
  const proclamations = new Proclamations(gate.node)
  return {
    '/v3electionpb.Election/Campaign': unary(gate, 'handler', CampaignRequest, (request, { context }) =>
      campaign({ gate, context }, lines, request, context.signal),
    ),
    '/v3electionpb.Election/Proclaim': unary(gate, 'handler', ProclaimRequest, (request, { context }) =>
      proclaim({ gate, context }, request),
    ),
    '/v3electionpb.Election/Leader': unary(gate, 'handler', LeaderRequest, (request, { context }) =>
      leader({ gate, context }, lines, request, context.signal),
    ),
    '/v3electionpb.Election/Observe': stream(gate, 'handler', monitor, (calls, signal, context) =>
      observeOne({ gate, context }, proclamations, lines, calls, signal),
    ),
    '/v3electionpb.Election/Resign': unary(gate, 'handler', ResignRequest, (request, { context }) =>
      resign({ gate, context }, request),
    ),
  }
}

/** A candidate by its key, and by when that was created: another one may have the same key later. */
interface Candidate {
  readonly key: Buffer
  /** As the client names it: any int64. */
  readonly revision: bigint
  readonly lease: bigint
}

async function campaign(asker: Asker, lines: Lines, request: CampaignRequest, signal: AbortSignal): Promise<Answer> {
  const { node } = asker.gate
  const { name, value } = request
  const lease = await session(asker, request.lease)
  if (!lease.ok) return lease
  const prefix = linePrefix(name)
  const denied = await refuseLine(asker, prefix)
  if (denied !== undefined) return err(denied)
  const key = placeOf(prefix, lease.value)
  const entered = await writeTxn(asker, {
    compare: [createdAt(key, 0n)],
    success: [putOp(key, value, lease.value)],
    failure: [getOp(key)],
  })
  if (!entered.ok) return entered
  assert(entered.value.revision !== undefined, 'an outer txn names a revision')
  const own = readCurrent(node.store, key)
  const candidate = { key, revision: BigInt(own?.createRevision ?? entered.value.revision), lease: lease.value }
  if (own !== undefined && !valueOf(readKeyValue(node.store, own)).equals(value)) {
    const told = await putValue(asker, candidate, value)
    if (!told.ok) {
      await withdraw(asker, candidate)
      return told
    }
  }
  const problem = problemOf(await lines.use(prefix, (line) => line.awaitTurn(Number(candidate.revision), signal)))
  if (problem !== undefined) {
    await withdraw(asker, candidate)
    return err(problem)
  }
  const leader = { name, key, rev: candidate.revision, lease: lease.value }
  return ok(CampaignResponse.encode({ header: header(node, entered.value.revision), leader }).finish())
}

async function proclaim(asker: Asker, { leader, value }: ProclaimRequest): Promise<Answer> {
  if (leader === undefined) return err(MISSING_LEADER)
  const lease = await session(asker, leader.lease)
  if (!lease.ok) return lease
  const told = await putValue(asker, { key: leader.key, revision: leader.rev, lease: lease.value }, value)
  return told.ok ? ok(ProclaimResponse.encode({ header: told.value }).finish()) : told
}

/** Whether it leads or still stands in line: as long as its key is there it may say what it likes. */
async function putValue(
  asker: Asker,
  { key, revision, lease }: Candidate,
  value: Buffer,
): Promise<Result<ResponseHeader, RpcStatus>> {
  const told = await writeTxn(asker, {
    compare: [createdAt(key, revision)],
    success: [putOp(key, value, lease)],
    failure: [],
  })
  if (!told.ok) return told
  return told.value.succeeded ? ok(header(asker.gate.node, told.value.revision)) : err(refused('election: not leader'))
}

async function resign(asker: Asker, { leader }: ResignRequest): Promise<Answer> {
  if (leader === undefined) return err(MISSING_LEADER)
  const lease = await session(asker, leader.lease)
  if (!lease.ok) return lease
  const gone = await withdraw(asker, { key: leader.key, revision: leader.rev, lease: lease.value })
  return gone.ok ? ok(ResignResponse.encode({ header: gone.value }).finish()) : gone
}

/** Also fine for one that has gone already. */
async function withdraw(asker: Asker, { key, revision }: Candidate): Promise<Result<ResponseHeader, RpcStatus>> {
  const gone = await writeTxn(asker, { compare: [createdAt(key, revision)], success: [deleteOp(key)], failure: [] })
  return gone.ok ? ok(header(asker.gate.node, gone.value.revision)) : gone
}

async function leader(asker: Asker, lines: Lines, { name }: LeaderRequest, signal: AbortSignal): Promise<Answer> {
  const { node } = asker.gate
  const barrier = await node.linearizableBarrier()
  if (!barrier.ok) return err(refused(statusOf(barrier.error).message))
  const prefix = linePrefix(name)
  const denied = await refuseLine(asker, prefix)
  if (denied !== undefined) return err(denied)
  return lines.use(prefix, async (line) => {
    const problem = problemOf(await line.known(signal))
    if (problem !== undefined) return err(problem)
    const first = line.first()
    if (first === undefined) return err(refused('election: no leader'))
    const kv = readKeyValue(node.store, first.record)
    return ok(LeaderResponse.encode({ header: header(node), kv }).finish())
  })
}

async function observeOne(
  asker: Asker,
  proclamations: Proclamations,
  lines: Lines,
  calls: RpcStream,
  signal: AbortSignal,
): Promise<RpcStatus | undefined> {
  for await (const bytes of calls.requests) {
    const request = decode(LeaderRequest, bytes)
    if (!request.ok) return MALFORMED_ON_STREAM
    const prefix = linePrefix(request.value.name)
    return lines.use(prefix, async (line) => {
      const status = await observe(
        { node: asker.gate.node, refuse: () => refuseLine(asker, prefix) },
        proclamations,
        line,
        calls,
        signal,
      )
      return line.isTooMuch ? problemOf('too-many') : status
    })
  }
  return undefined
}
