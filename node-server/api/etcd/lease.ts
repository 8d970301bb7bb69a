/**
 * etcd's Lease service. Grants and revokes go through the log; renewals and the time to live are the leader's to answer,
 * wherever it is.
 */
import { err, ok } from '../../../lib/result.ts'
import type { ServiceTable } from '../../grpc/service.ts'
import { MAX_WAITING_RENEWALS_OF_STREAM } from '../../limits.ts'
import type { Caller, NodePort } from '../../node/ports.ts'
import {
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { answerInOrder } from './answer-in-order.ts'
import { statusOf } from './errors.ts'
import { HeaderBytes } from './header-bytes.ts'
import type { LeaderMonitor } from './leader-monitor.ts'
import { decode, MALFORMED_ON_STREAM, stream, unary, type Answer } from './method.ts'
import { encodeResult, header } from './responses.ts'

export function leaseService(node: NodePort, monitor: LeaderMonitor): ServiceTable {
  return {
    '/etcdserverpb.Lease/LeaseGrant': unary(node, LeaseGrantRequest, (request, { context }) =>
      grant(node, request, context),
    ),
    '/etcdserverpb.Lease/LeaseRevoke': unary(node, LeaseRevokeRequest, (_, { bytes, context }) =>
      write(node, 'lease-revoke', bytes, context),
    ),
    '/etcdserverpb.Lease/LeaseKeepAlive': stream(node, monitor, (calls) =>
      answerInOrder(calls, MAX_WAITING_RENEWALS_OF_STREAM, (bytes) => keepAlive(node, bytes)),
    ),
    '/etcdserverpb.Lease/LeaseTimeToLive': unary(node, LeaseTimeToLiveRequest, (request) => timeToLive(node, request)),
    '/etcdserverpb.Lease/LeaseLeases': unary(node, LeaseLeasesRequest, () => list(node)),
  }
}

/** What is proposed says all that a grant decides: members may differ in the shortest TTL, the store must not. */
export function grant(node: NodePort, { ID, TTL }: LeaseGrantRequest, caller?: Caller): Promise<Answer> {
  const shortest = BigInt(node.minLeaseTtlSeconds)
  const request = { ID: ID === 0n ? node.newLeaseId() : ID, TTL: TTL < shortest ? shortest : TTL }
  return write(node, 'lease-grant', LeaseGrantRequest.encode(request).finish(), caller)
}

async function write(
  node: NodePort,
  kind: 'lease-grant' | 'lease-revoke',
  request: Uint8Array,
  caller?: Caller,
): Promise<Answer> {
  const applied = await node.propose(kind, request, caller)
  if (!applied.ok) return err(statusOf(applied.error))
  const result = applied.value
  return result.ok ? ok(encodeResult(new HeaderBytes(node), result.value)) : err(statusOf(result.error.kind))
}

/** A TTL of 0 tells that there is no such lease. */
async function keepAlive(node: NodePort, bytes: Uint8Array): Promise<Answer> {
  const request = decode(LeaseKeepAliveRequest, bytes)
  if (!request.ok) return err(MALFORMED_ON_STREAM)
  // Its revision must not be later than the renewal: a lease that was revoked at it would look alive.
  const before = header(node)
  const { ID } = request.value
  const ttlSeconds = await node.renewLease(ID)
  if (!ttlSeconds.ok) return err(statusOf(ttlSeconds.error))
  return ok(LeaseKeepAliveResponse.encode({ header: before, ID, TTL: BigInt(ttlSeconds.value ?? 0) }).finish())
}

async function timeToLive(node: NodePort, { ID, keys }: LeaseTimeToLiveRequest): Promise<Answer> {
  const lease = await node.leaseTimeToLive(ID, keys)
  if (!lease.ok) return err(statusOf(lease.error))
  const found = lease.value
  const response: LeaseTimeToLiveResponse = {
    header: header(node),
    ID,
    TTL: BigInt(found?.remainingSeconds ?? -1),
    grantedTTL: BigInt(found?.ttlSeconds ?? 0),
    keys: (found?.keys ?? []).map((key) => Buffer.from(key)),
  }
  return ok(LeaseTimeToLiveResponse.encode(response).finish())
}

/** As this member has them, without a question to anybody (etcd). */
function list(node: NodePort): Answer {
  const leases = node.leaseIds().map((ID) => ({ ID }))
  return ok(LeaseLeasesResponse.encode({ header: header(node), leases }).finish())
}
