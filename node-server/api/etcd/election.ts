/**
 * etcd's Election service (v3electionpb): candidates stand in line below the election's name; the first one leads, and its
 * key's value is what it proclaims.
 */
import { assert } from '../../../lib/assert.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { RpcStatus, RpcStream, ServiceTable } from '../../grpc/service.ts'
import { valueOf } from '../../mvcc/key-value.ts'
import { readCurrent, readKeyValue } from '../../mvcc/read.ts'
import type { NodePort } from '../../node/ports.ts'
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
  session,
  writeTxn,
} from './waiting-line.ts'

const MISSING_LEADER = refused('"leader" field must be provided')

export function electionService(node: NodePort, monitor: LeaderMonitor, lines: Lines): ServiceTable {
  const proclamations = new Proclamations(node)
  return {
    '/v3electionpb.Election/Campaign': unary(node, CampaignRequest, (request, { context }) =>
      campaign(node, lines, request, context.signal),
    ),
    '/v3electionpb.Election/Proclaim': unary(node, ProclaimRequest, (request) => proclaim(node, request)),
    '/v3electionpb.Election/Leader': unary(node, LeaderRequest, (request, { context }) =>
      leader(node, lines, request, context.signal),
    ),
    '/v3electionpb.Election/Observe': stream(node, monitor, (calls, signal) =>
      observeOne(node, proclamations, lines, calls, signal),
    ),
    '/v3electionpb.Election/Resign': unary(node, ResignRequest, (request) => resign(node, request)),
  }
}

/** A candidate by its key, and by when that was created: another one may have the same key later. */
interface Candidate {
  readonly key: Buffer
  /** As the client names it: any int64. */
  readonly revision: bigint
  readonly lease: bigint
}

async function campaign(node: NodePort, lines: Lines, request: CampaignRequest, signal: AbortSignal): Promise<Answer> {
  const { name, value } = request
  const lease = await session(node, request.lease)
  if (!lease.ok) return lease
  const prefix = linePrefix(name)
  const key = placeOf(prefix, lease.value)
  const entered = await writeTxn(node, {
    compare: [createdAt(key, 0n)],
    success: [putOp(key, value, lease.value)],
    failure: [getOp(key)],
  })
  if (!entered.ok) return entered
  assert(entered.value.revision !== undefined, 'an outer txn names a revision')
  const own = readCurrent(node.store, key)
  const candidate = { key, revision: BigInt(own?.createRevision ?? entered.value.revision), lease: lease.value }
  if (own !== undefined && !valueOf(readKeyValue(node.store, own)).equals(value)) {
    const told = await putValue(node, candidate, value)
    if (!told.ok) {
      await withdraw(node, candidate)
      return told
    }
  }
  const problem = problemOf(await lines.use(prefix, (line) => line.awaitTurn(Number(candidate.revision), signal)))
  if (problem !== undefined) {
    await withdraw(node, candidate)
    return err(problem)
  }
  const leader = { name, key, rev: candidate.revision, lease: lease.value }
  return ok(CampaignResponse.encode({ header: header(node, entered.value.revision), leader }).finish())
}

async function proclaim(node: NodePort, { leader, value }: ProclaimRequest): Promise<Answer> {
  if (leader === undefined) return err(MISSING_LEADER)
  const lease = await session(node, leader.lease)
  if (!lease.ok) return lease
  const told = await putValue(node, { key: leader.key, revision: leader.rev, lease: lease.value }, value)
  return told.ok ? ok(ProclaimResponse.encode({ header: told.value }).finish()) : told
}

/** Whether it leads or still stands in line: as long as its key is there it may say what it likes. */
async function putValue(
  node: NodePort,
  { key, revision, lease }: Candidate,
  value: Buffer,
): Promise<Result<ResponseHeader, RpcStatus>> {
  const told = await writeTxn(node, {
    compare: [createdAt(key, revision)],
    success: [putOp(key, value, lease)],
    failure: [],
  })
  if (!told.ok) return told
  return told.value.succeeded ? ok(header(node, told.value.revision)) : err(refused('election: not leader'))
}

async function resign(node: NodePort, { leader }: ResignRequest): Promise<Answer> {
  if (leader === undefined) return err(MISSING_LEADER)
  const lease = await session(node, leader.lease)
  if (!lease.ok) return lease
  const gone = await withdraw(node, { key: leader.key, revision: leader.rev, lease: lease.value })
  return gone.ok ? ok(ResignResponse.encode({ header: gone.value }).finish()) : gone
}

/** Also fine for one that has gone already. */
async function withdraw(node: NodePort, { key, revision }: Candidate): Promise<Result<ResponseHeader, RpcStatus>> {
  const gone = await writeTxn(node, { compare: [createdAt(key, revision)], success: [deleteOp(key)], failure: [] })
  return gone.ok ? ok(header(node, gone.value.revision)) : gone
}

async function leader(node: NodePort, lines: Lines, { name }: LeaderRequest, signal: AbortSignal): Promise<Answer> {
  const barrier = await node.linearizableBarrier()
  if (!barrier.ok) return err(refused(statusOf(barrier.error).message))
  return lines.use(linePrefix(name), async (line) => {
    const problem = problemOf(await line.known(signal))
    if (problem !== undefined) return err(problem)
    const first = line.first()
    if (first === undefined) return err(refused('election: no leader'))
    const kv = readKeyValue(node.store, first.record)
    return ok(LeaderResponse.encode({ header: header(node), kv }).finish())
  })
}

async function observeOne(
  node: NodePort,
  proclamations: Proclamations,
  lines: Lines,
  calls: RpcStream,
  signal: AbortSignal,
): Promise<RpcStatus | undefined> {
  for await (const bytes of calls.requests) {
    const request = decode(LeaderRequest, bytes)
    if (!request.ok) return MALFORMED_ON_STREAM
    return lines.use(linePrefix(request.value.name), async (line) => {
      const status = await observe(node, proclamations, line, calls, signal)
      return line.isTooMuch ? problemOf('too-many') : status
    })
  }
  return undefined
}
