/**
 * Alarms: facts about members that the whole cluster acts upon, so they are replicated. NOSPACE: a member's store has
 * outgrown its quota, and nothing that needs room is taken. CORRUPT: members disagree about the data, and nothing is
 * changed any more. Who raises them: `node/maintenance/quota.ts`, `node/maintenance/corruption.ts`, or a client.
 *
 *   table `alarms`   member ID (8) ‖ alarm type (1) → nothing
 *
 * The set is tiny (two types for each member) and is asked with every entry, so the store keeps it in memory beside the table.
 */
import { MalformedBytes } from '../../lib/bytes.ts'
import {
  AlarmType,
  type AlarmMember,
  type PutRequest,
  type RequestOp,
  type TxnRequest,
} from '../proto/generated/etcd/rpc.ts'
import type { StoreError } from './errors.ts'
import type { WriteBuffer } from './write-buffer.ts'

export interface Alarms {
  readonly noSpace: ReadonlySet<bigint>
  readonly corrupt: ReadonlySet<bigint>
}

/** Changed by `apply-alarm.ts` only. */
export interface AlarmSets extends Alarms {
  readonly noSpace: Set<bigint>
  readonly corrupt: Set<bigint>
}

const FIRST_KEY = Buffer.of(0)
const ALARM_KEY_SIZE_BYTES = 9

/** All that the table holds. Throws `MalformedBytes`. */
export function readAlarms(buffer: WriteBuffer): AlarmSets {
  const alarms = { noSpace: new Set<bigint>(), corrupt: new Set<bigint>() }
  for (const { key } of buffer.scan('alarms', FIRST_KEY, undefined)) {
    const { memberID, alarm } = decodeAlarmKey(key)
    setOf(alarms, alarm)?.add(memberID)
  }
  return alarms
}

/** Key of the table `alarms`. */
export function alarmKey({ memberID, alarm }: AlarmMember): Buffer {
  const key = Buffer.allocUnsafe(ALARM_KEY_SIZE_BYTES)
  key.writeBigUInt64BE(memberID, 0)
  key.writeUInt8(alarm, 8)
  return key
}

/** Throws `MalformedBytes`. */
export function decodeAlarmKey(key: Uint8Array): AlarmMember {
  if (key.length !== ALARM_KEY_SIZE_BYTES) throw new MalformedBytes(`an alarm's key of ${key.length} bytes`)
  const bytes = Buffer.from(key)
  return { memberID: bytes.readBigUInt64BE(0), alarm: bytes.readUInt8(8) as AlarmType }
}

export function setOf(alarms: AlarmSets, type: number): Set<bigint> | undefined {
  if (type === AlarmType.NOSPACE) return alarms.noSpace
  return type === AlarmType.CORRUPT ? alarms.corrupt : undefined
}

/** Those of one type, or all for NONE, as etcd lists them. */
export function listAlarms(alarms: Alarms, type: AlarmType = AlarmType.NONE): AlarmMember[] {
  const of = (ids: ReadonlySet<bigint>, alarm: AlarmType): AlarmMember[] =>
    type === AlarmType.NONE || type === alarm ? [...ids].map((memberID) => ({ memberID, alarm })) : []
  return [...of(alarms.noSpace, AlarmType.NOSPACE), ...of(alarms.corrupt, AlarmType.CORRUPT)]
}

/** Commands that a cluster with a CORRUPT alarm does not take; leases count, their revocation deletes keys. */
const REFUSED_WHEN_CORRUPT: ReadonlySet<string> = new Set([
  'put',
  'delete-range',
  'txn',
  'compact',
  'lease-grant',
  'lease-revoke',
])
/** Commands that always need room; a txn does when it may put something ({@link costOfTxn}). */
const NEEDS_ROOM: ReadonlySet<string> = new Set(['put', 'lease-grant'])

/** What the alarms in force refuse whatever is in the request; equal on every member. */
export function refuseByAlarm(alarms: Alarms, commandKind: string): StoreError | undefined {
  if (alarms.corrupt.size > 0 && REFUSED_WHEN_CORRUPT.has(commandKind)) return { kind: 'corrupt' }
  if (alarms.noSpace.size > 0 && NEEDS_ROOM.has(commandKind)) return { kind: 'no-space' }
  return undefined
}

export function refuseTxnByAlarm(alarms: Alarms, request: TxnRequest): StoreError | undefined {
  return alarms.noSpace.size > 0 && costOfTxn(request) > 0 ? { kind: 'no-space' } : undefined
}

/** etcd's estimates of what a request adds to the store, in bytes (server/storage/quota.go). */
const KEY_OVERHEAD_BYTES = 256
export const LEASE_COST_BYTES = 64

export function costOfPut({ key, value }: PutRequest): number {
  return KEY_OVERHEAD_BYTES + key.length + value.length
}

/** Of the dearer branch; 0 when neither puts anything. */
export function costOfTxn({ success, failure }: TxnRequest): number {
  return Math.max(costOfOperations(success), costOfOperations(failure))
}

function costOfOperations(operations: readonly RequestOp[]): number {
  let cost = 0
  for (const { request } of operations) {
    if (request?.$case === 'requestPut') cost += costOfPut(request.value)
    else if (request?.$case === 'requestTxn') cost += costOfTxn(request.value)
  }
  return cost
}
