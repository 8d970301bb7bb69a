/** The part of etcd's Maintenance service that is there. */
import { MemberId, NOBODY } from '../../../lib/ids.ts'
import { err, ok } from '../../../lib/result.ts'
import type { ServiceTable } from '../../grpc/service.ts'
import type { NodePort } from '../../node/ports.ts'
import { MoveLeaderRequest, MoveLeaderResponse, StatusRequest, StatusResponse } from '../../proto/generated/etcd/rpc.ts'
import { ETCD_API_VERSION } from '../../version.ts'
import { statusOf } from './errors.ts'
import { unary, type Answer } from './method.ts'
import { header } from './responses.ts'

export function maintenanceService(node: NodePort): ServiceTable {
  return {
    '/etcdserverpb.Maintenance/Status': unary(node, StatusRequest, () => ok(encodeStatus(node)), {
      isForLearners: () => true,
    }),
    '/etcdserverpb.Maintenance/MoveLeader': unary(node, MoveLeaderRequest, ({ targetID }) =>
      moveLeader(node, targetID),
    ),
  }
}

function encodeStatus(node: NodePort): Uint8Array {
  const status = node.status()
  const size = node.store.size()
  const response: StatusResponse = {
    header: header(node),
    version: ETCD_API_VERSION,
    dbSize: BigInt(size.totalBytes),
    leader: status.leader,
    raftIndex: BigInt(status.commitIndex),
    raftTerm: BigInt(status.term),
    raftAppliedIndex: BigInt(status.appliedIndex),
    errors: status.leader === NOBODY ? [statusOf('no-leader').message] : [],
    dbSizeInUse: BigInt(size.inUseBytes),
    isLearner: status.isLearner,
    storageVersion: '',
    dbSizeQuota: BigInt(node.quotaBytes),
  }
  return StatusResponse.encode(response).finish()
}

async function moveLeader(node: NodePort, targetId: bigint): Promise<Answer> {
  if (node.status().leader !== node.memberId) return err(statusOf('not-leader'))
  const moved = await node.moveLeader(MemberId(targetId))
  return moved.ok ? ok(MoveLeaderResponse.encode({ header: undefined }).finish()) : err(statusOf(moved.error))
}
