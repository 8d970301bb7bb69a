/**
 * etcd's Lease service. Grants and revokes go through the log; renewals and the time to live are the leader's to answer,
 * wherever it is.
 */
import { err, ok } from '../../../lib/result.ts'
import type { CallContext, ServiceTable } from '../../grpc/service.ts'
import { refuseLeaseKeys, refuseUnlessAdmin, refuseUnlessKnown } from '../../mvcc/auth/permissions.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
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
import type { Gate } from './gate.ts'
import { HeaderBytes } from './header-bytes.ts'
import type { LeaderMonitor } from './leader-monitor.ts'
import { decode, MALFORMED_ON_STREAM, stream, unary, type Answer } from './method.ts'
import { encodeResult, header } from './responses.ts'

export function leaseService(gate: Gate, monitor: LeaderMonitor): ServiceTable {
  const { node } = gate
  return {
    '/etcdserverpb.Lease/LeaseGrant': unary(gate, 'known', LeaseGrantRequest, (request, { context, authInfo }) =>
      grant(node, request, context, authInfo),
    ),
    '/etcdserverpb.Lease/LeaseRevoke': unary(gate, 'known', LeaseRevokeRequest, (_, { bytes, context, authInfo }) =>
      write(node, 'lease-revoke', bytes, context, authInfo),
    ),
    '/etcdserverpb.Lease/LeaseKeepAlive': stream(gate, 'handler', monitor, (calls, _, context) =>
      answerInOrder(calls, MAX_WAITING_RENEWALS_OF_STREAM, (bytes) => keepAlive(gate, context, bytes)),
    ),
    '/etcdserverpb.Lease/LeaseTimeToLive': unary(gate, 'known', LeaseTimeToLiveRequest, (request, { authInfo }) =>
      timeToLive(node, request, authInfo),
    ),
    '/etcdserverpb.Lease/LeaseLeases': unary(gate, 'known', LeaseLeasesRequest, (_, { authInfo }) =>
      list(node, authInfo),
    ),
  }
}

/** What is proposed says all that a grant decides: members may differ in the shortest TTL, the store must not. */
export function grant(
  node: NodePort,
  { ID, TTL }: LeaseGrantRequest,
  caller?: Caller,
  authInfo?: AuthInfo,
): Promise<Answer> {
  const shortest = BigInt(node.minLeaseTtlSeconds)
  const request = { ID: ID === 0n ? node.newLeaseId() : ID, TTL: TTL < shortest ? shortest : TTL }
  return write(node, 'lease-grant', LeaseGrantRequest.encode(request).finish(), caller, authInfo)
}

async function write(
  node: NodePort,
  kind: 'lease-grant' | 'lease-revoke',
  request: Uint8Array,
  caller?: Caller,
  authInfo?: AuthInfo,
): Promise<Answer> {
  const applied = await node.propose(kind, request, caller, authInfo)
  if (!applied.ok) return err(statusOf(applied.error))
  const result = applied.value
  return result.ok ? ok(encodeResult(new HeaderBytes(node), result.value)) : err(statusOf(result.error.kind))
}

/** A TTL of 0 tells that there is no such lease. */
async function keepAlive(gate: Gate, context: CallContext, bytes: Uint8Array): Promise<Answer> {
  const { node } = gate
  const request = decode(LeaseKeepAliveRequest, bytes)
  if (!request.ok) return err(MALFORMED_ON_STREAM)
  // Its revision must not be later than the renewal: a lease that was revoked at it would look alive.
  const before = header(node)
  const { ID } = request.value
  const identified = await gate.identify(context)
  if (!identified.ok) return identified
  const { auth } = node.store
  // To keep a lease is to keep its keys.
  const denied = refuseUnlessKnown(auth, identified.value) ?? refuseLeaseKeys(node.store, identified.value, 'write', ID)
  if (denied !== undefined) return err(statusOf(denied))
  const ttlSeconds = await node.renewLease(ID)
  if (!ttlSeconds.ok) return err(statusOf(ttlSeconds.error))
  return ok(LeaseKeepAliveResponse.encode({ header: before, ID, TTL: BigInt(ttlSeconds.value ?? 0) }).finish())
}

/** Only its keys are anybody's secret. They are looked at when they are known: some may have come meanwhile. */
async function timeToLive(
  node: NodePort,
  { ID, keys }: LeaseTimeToLiveRequest,
  authInfo: AuthInfo | undefined,
): Promise<Answer> {
  const lease = await node.leaseTimeToLive(ID, keys)
  if (!lease.ok) return err(statusOf(lease.error))
  if (keys) {
    const denied = refuseLeaseKeys(node.store, authInfo, 'read', ID)
    if (denied !== undefined) return err(statusOf(denied))
  }
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

/** As this member has them, without a question to anybody (etcd). All of them, or none for who may not read all their keys. */
function list(node: NodePort, authInfo: AuthInfo | undefined): Answer {
  const leases = node.leaseIds().map((ID) => ({ ID }))
  if (refuseUnlessAdmin(node.store.auth, authInfo) !== undefined)
    for (const { ID } of leases) {
      const denied = refuseLeaseKeys(node.store, authInfo, 'read', ID)
      if (denied !== undefined) return err(statusOf(denied))
    }
  return ok(LeaseLeasesResponse.encode({ header: header(node), leases }).finish())
}
