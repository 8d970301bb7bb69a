/** The part of etcd's Maintenance service that is there. */
import { MemberId, NOBODY } from '../../../lib/ids.ts'
import { err, ok } from '../../../lib/result.ts'
import type { ServiceTable } from '../../grpc/service.ts'
import type { NodePort } from '../../node/ports.ts'
import {
  AlarmRequest,
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmResponse,
  AlarmType,
  MoveLeaderRequest,
  MoveLeaderResponse,
  StatusRequest,
  StatusResponse,
  type AlarmMember,
} from '../../proto/generated/etcd/rpc.ts'
import { ETCD_API_VERSION } from '../../version.ts'
import { statusOf } from './errors.ts'
import { unary, type Answer } from './method.ts'
import { header } from './responses.ts'

export function maintenanceService(node: NodePort): ServiceTable {
  return {
    '/etcdserverpb.Maintenance/Status': unary(node, StatusRequest, () => ok(encodeStatus(node)), {
      isForLearners: () => true,
    }),
    '/etcdserverpb.Maintenance/Alarm': unary(node, AlarmRequest, (request) => listAlarms(node, request)),
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
    errors: [
      ...(status.leader === NOBODY ? [statusOf('no-leader').message] : []),
      ...alarms(node).map(({ memberID }) => `memberID:${memberID} alarm:NOSPACE `), // etcd's form, last blank included
    ],
    dbSizeInUse: BigInt(size.inUseBytes),
    isLearner: status.isLearner,
    storageVersion: '',
    dbSizeQuota: BigInt(node.quotaBytes),
    downgradeInfo: undefined,
  }
  return StatusResponse.encode(response).finish()
}

async function moveLeader(node: NodePort, targetId: bigint): Promise<Answer> {
  if (node.status().leader !== node.memberId) return err(statusOf('not-leader'))
  const moved = await node.moveLeader(MemberId(targetId))
  return moved.ok ? ok(MoveLeaderResponse.encode({ header: undefined }).finish()) : err(statusOf(moved.error))
}

/** `etcdctl endpoint health` asks each member for them; raising and clearing by hand is not there. */
function listAlarms(node: NodePort, { action, alarm }: AlarmRequest): Answer {
  if (action !== AlarmAction.GET) {
    return err({
      code: 'Unimplemented',
      message: 'etcdserver: alarms are raised and cleared by the members themselves',
    })
  }
  const asked = alarms(node).filter((raised) => alarm === AlarmType.NONE || alarm === raised.alarm)
  return ok(AlarmResponse.encode({ header: header(node), alarms: asked }).finish())
}

/** This member's own; those of the others are asked for at the others. */
function alarms(node: NodePort): AlarmMember[] {
  const isFull = node.store.size().totalBytes > node.quotaBytes
  return isFull ? [{ memberID: node.memberId, alarm: AlarmType.NOSPACE }] : []
}
