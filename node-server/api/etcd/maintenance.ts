/** etcd's Maintenance service. What is about one member's own data (Status, Hash, Defragment, Snapshot) asks no other. */
import { MemberId, NOBODY } from '../../../lib/ids.ts'
import { err, ok } from '../../../lib/result.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { ServiceTable } from '../../grpc/service.ts'
import { listAlarms } from '../../mvcc/alarms.ts'
import type { NodePort } from '../../node/ports.ts'
import { DEFAULT_QUOTA_BYTES } from '../../node/maintenance/quota.ts'
import {
  AlarmRequest,
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmType,
  DefragmentRequest,
  DefragmentResponse,
  DowngradeRequest,
  HashKVRequest,
  HashKVResponse,
  HashRequest,
  HashResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  StatusRequest,
  StatusResponse,
  type AlarmMember,
} from '../../proto/generated/etcd/rpc.ts'
import { ETCD_API_VERSION } from '../../version.ts'
import { downgrade, storageVersion } from './downgrade.ts'
import { damagedStatus, statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import { HeaderBytes } from './header-bytes.ts'
import { unary, type Answer, type Call } from './method.ts'
import { encodeResult, header } from './responses.ts'
import { snapshotMethod } from './snapshot.ts'

export function maintenanceService(gate: Gate, clock: Clock, standingErrors: readonly string[] = []): ServiceTable {
  const { node } = gate
  return {
    '/etcdserverpb.Maintenance/Status': unary(
      gate,
      'known',
      StatusRequest,
      () => ok(encodeStatus(node, standingErrors)),
      {
        isForLearners: () => true,
        isForDamaged: true,
      },
    ),
    '/etcdserverpb.Maintenance/Alarm': unary(gate, 'handler', AlarmRequest, (request, call) =>
      alarm(gate, request, call),
    ),
    '/etcdserverpb.Maintenance/Defragment': unary(gate, 'admin', DefragmentRequest, () => defragment(node)),
    '/etcdserverpb.Maintenance/Downgrade': unary(gate, 'admin', DowngradeRequest, (request) =>
      downgrade(node, request),
    ),
    '/etcdserverpb.Maintenance/Hash': unary(gate, 'admin', HashRequest, () => hash(node)),
    '/etcdserverpb.Maintenance/HashKV': unary(gate, 'admin', HashKVRequest, (request) => hashKeyValues(node, request)),
    '/etcdserverpb.Maintenance/MoveLeader': unary(gate, 'admin', MoveLeaderRequest, ({ targetID }) =>
      moveLeader(node, targetID),
    ),
    '/etcdserverpb.Maintenance/Snapshot': snapshotMethod(gate, clock),
  }
}

function encodeStatus(node: NodePort, standingErrors: readonly string[]): Uint8Array {
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
      ...(status.damage === undefined ? [] : [damagedStatus(status.damage).message]),
      ...listAlarms(node.store.alarms).map(alarmText),
      ...standingErrors,
    ],
    dbSizeInUse: BigInt(size.inUseBytes),
    isLearner: status.isLearner,
    storageVersion: storageVersion(),
    dbSizeQuota: BigInt(node.quotaBytes === 0 ? DEFAULT_QUOTA_BYTES : node.quotaBytes),
    downgradeInfo: { enabled: false, targetVersion: '' },
  }
  return StatusResponse.encode(response).finish()
}

/** As etcd's own message prints itself, both blanks included; a zero ID is left out. */
function alarmText({ memberID, alarm: type }: AlarmMember): string {
  const name = type === AlarmType.CORRUPT ? 'CORRUPT' : 'NOSPACE'
  return memberID === 0n ? `alarm:${name}` : `memberID:${memberID}  alarm:${name}`
}

/** Asking goes through the log too, so that the answer is that of the whole cluster. */
async function alarm(gate: Gate, { action }: AlarmRequest, { bytes, context }: Call): Promise<Answer> {
  const { node } = gate
  const admitted = await gate.admit(action === AlarmAction.GET ? 'known' : 'admin', context)
  if (!admitted.ok) return admitted
  const applied = await node.propose('alarm', bytes, context, admitted.value)
  if (!applied.ok) return err(statusOf(applied.error))
  const result = applied.value
  return result.ok ? ok(encodeResult(new HeaderBytes(node), result.value)) : err(statusOf(result.error.kind))
}

async function defragment(node: NodePort): Promise<Answer> {
  try {
    await node.defragment()
  } catch (error) {
    // A full disk most likely: the store goes on as before, and whoever asked must know.
    return err({ code: 'Unknown', message: `etcdserver: could not defragment: ${String(error)}` })
  }
  return ok(DefragmentResponse.encode({ header: undefined }).finish())
}

async function hash(node: NodePort): Promise<Answer> {
  const hashed = await node.hashTables()
  if (!hashed.ok) return err(statusOf(hashed.error))
  return ok(HashResponse.encode({ header: header(node), hash: hashed.value }).finish())
}

async function hashKeyValues(node: NodePort, { revision }: HashKVRequest): Promise<Answer> {
  const hashed = await node.hashKeyValues(Number(revision))
  if (!hashed.ok) return err(statusOf(hashed.error))
  const response: HashKVResponse = {
    header: header(node),
    hash: hashed.value.hash,
    compactRevision: BigInt(hashed.value.compactedRevision),
    hashRevision: BigInt(hashed.value.revision),
  }
  return ok(HashKVResponse.encode(response).finish())
}

async function moveLeader(node: NodePort, targetId: bigint): Promise<Answer> {
  if (node.status().leader !== node.memberId) return err(statusOf('not-leader'))
  const moved = await node.moveLeader(MemberId(targetId))
  return moved.ok ? ok(MoveLeaderResponse.encode({ header: undefined }).finish()) : err(statusOf(moved.error))
}
