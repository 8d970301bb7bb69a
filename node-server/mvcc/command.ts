/**
 * What a Raft entry may ask of the store. The client's request travels as the bytes that it came in: nothing is encoded
 * again between the client and the followers' disks.
 *
 *   0        1                 9
 *   ┌────────┬─────────────────┬──────────────────────────────────────────────────────────┐
 *   │ kind   │ request ID (8)  │ payload                                                  │
 *   └────────┴─────────────────┴──────────────────────────────────────────────────────────┘
 *   1 put, 2 delete-range, 3 txn, 4 compact   the etcd request, untouched
 *   5 membership          operation ID ‖ has fence (1) ‖ fence (8) ‖ change (1) ‖ member ID (8)
 *                         ‖ change 1 (add): attributes ‖ change 2 (promote): most entries behind (8)
 *   6 member-attributes   member ID (8) ‖ attributes
 *   7 operation-result    operation ID ‖ result
 *   8 lease-grant, 9 lease-revoke           the etcd request; a grant's has the ID that was chosen
 *   10 alarm              etcd's AlarmRequest, untouched
 *   11 auth               a change of users and roles: auth/change.ts
 *   12 identified         user name ‖ auth revision (8) ‖ kind 1 to 4 or 8 to 11 (1) ‖ its payload; the others ask for nobody
 *
 *   attributes: name ‖ count (4) peer URLs ‖ count (4) client URLs ‖ is learner (1); texts have their length in 4 bytes
 */
import { unreachable } from '../../lib/assert.ts'
import { ByteReader, ByteWriter, MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex, MemberId } from '../../lib/ids.ts'
import type { AuthInfo } from './auth/state.ts'

export interface Member {
  readonly id: MemberId
  /** Empty until the member has told its name. */
  readonly name: string
  readonly peerURLs: readonly string[]
  readonly clientURLs: readonly string[]
  readonly isLearner: boolean
}

export type MembershipChange =
  | { readonly kind: 'add'; readonly member: Member }
  | { readonly kind: 'promote'; readonly memberId: MemberId; readonly maxLagEntries: number }
  | { readonly kind: 'remove'; readonly memberId: MemberId }

/** What {@link apply} executes. */
export interface StoreCommand {
  readonly kind: 'put' | 'delete-range' | 'txn' | 'compact' | 'lease-grant' | 'lease-revoke' | 'alarm' | 'auth'
  /** Of the proposing member, for its waiter; unique among what waits there. */
  readonly requestId: bigint
  /** etcd's request of that kind: PutRequest, DeleteRangeRequest, TxnRequest, CompactionRequest, LeaseGrantRequest, LeaseRevokeRequest or AlarmRequest; for `auth` see auth/change.ts. */
  readonly request: Uint8Array
  /** For whom: asked when it is applied. Undefined: nobody said, which is all there is while authentication is off. */
  readonly authInfo?: AuthInfo | undefined
}

export interface MembershipCommand {
  readonly kind: 'membership'
  readonly requestId: bigint
  /** Empty when the change came through etcd's Cluster API. */
  readonly operationId: string
  /** The fence; undefined when the caller decides on whatever is in force. */
  readonly expectedConfigIndex: LogIndex | undefined
  readonly change: MembershipChange
}

/**
 * A member tells its name and client URLs, or somebody what its peer URLs are. What is left empty stays as it is: the name
 * with the client URLs, and the peer URLs. So does whether it is a learner.
 */
export interface MemberAttributesCommand {
  readonly kind: 'member-attributes'
  readonly requestId: bigint
  readonly member: Member
}

/** The result of an operation that changes no replicated state but must be answered the same forever (leader transfer). */
export interface OperationResultCommand {
  readonly kind: 'operation-result'
  readonly requestId: bigint
  readonly operationId: string
  readonly result: Uint8Array
}

export type Command = StoreCommand | MembershipCommand | MemberAttributesCommand | OperationResultCommand
export type CommandKind = Command['kind']

const KIND_CODES = {
  put: 1,
  'delete-range': 2,
  txn: 3,
  compact: 4,
  membership: 5,
  'member-attributes': 6,
  'operation-result': 7,
  'lease-grant': 8,
  'lease-revoke': 9,
  alarm: 10,
  auth: 11,
} as const satisfies Record<Command['kind'], number>

const STORE_KINDS: ReadonlyMap<number, StoreCommand['kind']> = new Map(
  (['put', 'delete-range', 'txn', 'compact', 'lease-grant', 'lease-revoke', 'alarm', 'auth'] as const).map((kind) => [
    KIND_CODES[kind],
    kind,
  ]),
)
const IDENTIFIED = 12

/** Who reads this one reads all that there are: members tell one another, so that none gets an entry that it cannot apply. */
export const NEWEST_COMMAND = IDENTIFIED

const CHANGE_CODES = { add: 1, promote: 2, remove: 3 } as const satisfies Record<MembershipChange['kind'], number>

const HEADER_SIZE_BYTES = 9

/** In UTF-8. Bounds what one operation ID may take in the store; the admin API refuses longer ones. */
export const MAX_OPERATION_ID_SIZE_BYTES = 256

export function encodeCommand(command: Command): Buffer {
  switch (command.kind) {
    case 'put':
    case 'delete-range':
    case 'txn':
    case 'compact':
    case 'alarm':
    case 'lease-grant':
    case 'lease-revoke':
    case 'auth': {
      if (command.authInfo !== undefined) return encodeIdentified(command, command.authInfo)
      const bytes = Buffer.allocUnsafe(HEADER_SIZE_BYTES + command.request.length)
      bytes[0] = KIND_CODES[command.kind]
      bytes.writeBigUInt64BE(command.requestId, 1)
      bytes.set(command.request, HEADER_SIZE_BYTES)
      return bytes
    }
    case 'membership':
      return encodeMembership(command)
    case 'member-attributes': {
      const writer = new ByteWriter(256).u8(KIND_CODES[command.kind]).u64(command.requestId).u64(command.member.id)
      return writeAttributes(writer, command.member).finish()
    }
    case 'operation-result': {
      const writer = new ByteWriter(256).u8(KIND_CODES[command.kind]).u64(command.requestId)
      return writer.text(command.operationId).bytes(command.result).finish()
    }
    default:
      return unreachable(command)
  }
}

function encodeIdentified({ kind, requestId, request }: StoreCommand, { username, revision }: AuthInfo): Buffer {
  const writer = new ByteWriter(64 + username.length + request.length).u8(IDENTIFIED).u64(requestId)
  return writer.text(username).u53(revision).u8(KIND_CODES[kind]).raw(request).finish()
}

function encodeMembership(command: MembershipCommand): Buffer {
  const { change, expectedConfigIndex } = command
  const memberId = change.kind === 'add' ? change.member.id : change.memberId
  const writer = new ByteWriter(256)
    .u8(KIND_CODES.membership)
    .u64(command.requestId)
    .text(command.operationId)
    .u8(expectedConfigIndex === undefined ? 0 : 1)
    .u53(expectedConfigIndex ?? 0)
    .u8(CHANGE_CODES[change.kind])
    .u64(memberId)
  if (change.kind === 'add') writeAttributes(writer, change.member)
  if (change.kind === 'promote') writer.u53(change.maxLagEntries)
  return writer.finish()
}

/** Throws `MalformedBytes`. The request of a store command shares memory with the input and is not looked at. */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes)
  const code = reader.u8()
  const requestId = reader.u64()
  const storeKind = STORE_KINDS.get(code)
  if (storeKind !== undefined) return { kind: storeKind, requestId, request: reader.raw(reader.remainingBytes) }
  switch (code) {
    case IDENTIFIED:
      return decodeIdentified(reader, requestId)
    case KIND_CODES.membership:
      return decodeMembership(reader, requestId)
    case KIND_CODES['member-attributes']: {
      const member = readAttributes(reader, MemberId(reader.u64()))
      reader.end()
      return { kind: 'member-attributes', requestId, member }
    }
    case KIND_CODES['operation-result']: {
      const command = {
        kind: 'operation-result',
        requestId,
        operationId: readOperationId(reader),
        result: reader.bytes(),
      } as const
      reader.end()
      if (command.operationId === '') throw new MalformedBytes('a result of no operation')
      return command
    }
    default:
      throw new MalformedBytes(`there is no command of kind ${code}`)
  }
}

function decodeIdentified(reader: ByteReader, requestId: bigint): StoreCommand {
  const authInfo = { username: reader.text(), revision: reader.u53() }
  const code = reader.u8()
  const kind = STORE_KINDS.get(code)
  if (kind === undefined) throw new MalformedBytes(`a command of kind ${code} for a user`)
  return { kind, requestId, request: reader.raw(reader.remainingBytes), authInfo }
}

function decodeMembership(reader: ByteReader, requestId: bigint): MembershipCommand {
  const operationId = readOperationId(reader)
  const isFenced = readFlag(reader)
  const fence = LogIndex(reader.u53())
  if (!isFenced && fence !== 0) throw new MalformedBytes('a fence on a command without one')
  const change = decodeChange(reader)
  reader.end()
  return { kind: 'membership', requestId, operationId, expectedConfigIndex: isFenced ? fence : undefined, change }
}

/** Bytes that are no UTF-8 become longer when they are read: what is measured is what the store will get. */
function readOperationId(reader: ByteReader): string {
  const text = reader.text()
  if (Buffer.byteLength(text) > MAX_OPERATION_ID_SIZE_BYTES)
    throw new MalformedBytes('an operation ID that is too long')
  return text
}

function decodeChange(reader: ByteReader): MembershipChange {
  const code = reader.u8()
  const memberId = MemberId(reader.u64())
  switch (code) {
    case CHANGE_CODES.add:
      return { kind: 'add', member: readAttributes(reader, memberId) }
    case CHANGE_CODES.promote:
      return { kind: 'promote', memberId, maxLagEntries: reader.u53() }
    case CHANGE_CODES.remove:
      return { kind: 'remove', memberId }
    default:
      throw new MalformedBytes(`there is no membership change of kind ${code}`)
  }
}

/** Also the form in which the members table keeps them. */
export function writeAttributes(writer: ByteWriter, member: Member): ByteWriter {
  writer.text(member.name)
  for (const urls of [member.peerURLs, member.clientURLs]) {
    writer.u32(urls.length)
    for (const url of urls) writer.text(url)
  }
  return writer.u8(member.isLearner ? 1 : 0)
}

export function readAttributes(reader: ByteReader, id: MemberId): Member {
  const name = reader.text()
  const peerURLs = readTexts(reader)
  const clientURLs = readTexts(reader)
  return { id, name, peerURLs, clientURLs, isLearner: readFlag(reader) }
}

function readTexts(reader: ByteReader): readonly string[] {
  const count = reader.u32()
  // Each text takes at least its length field, so a damaged count cannot ask for more than the input has.
  if (count * 4 > reader.remainingBytes) throw new MalformedBytes(`${count} texts do not fit the rest of the input`)
  return Array.from({ length: count }, () => reader.text())
}

function readFlag(reader: ByteReader): boolean {
  const value = reader.u8()
  if (value > 1) throw new MalformedBytes(`${value} is not a flag`)
  return value === 1
}
