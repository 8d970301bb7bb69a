/** A WAL record and the command in it as words on one line. Values are sizes unless they are asked for. */
import { unreachable } from '../../lib/assert.ts'
import { formatId } from '../../lib/ids.ts'
import { decodeAuthChange, decodeAuthenticated } from '../mvcc/auth/change.ts'
import { decodeCommand, type Command, type Member, type MembershipChange, type StoreCommand } from '../mvcc/command.ts'
import {
  AlarmRequest,
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmType,
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGrantPermissionRequest,
  AuthRoleRevokePermissionRequest,
  AuthUserAddRequest,
  AuthUserChangePasswordRequest,
  AuthUserDeleteRequest,
  AuthUserGrantRoleRequest,
  AuthUserRevokeRoleRequest,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
  type RangeRequest,
  type RequestOp,
} from '../proto/generated/etcd/rpc.ts'
import type { Entry } from '../raft/message.ts'
import type { WalRecord } from '../storage/record.ts'
import { counted, quoteBytes } from './words.ts'

export interface WordOptions {
  readonly hasValues: boolean
}

/** By their numbers. */
const PERMISSION_WORDS = ['read', 'write', 'read-and-write']

/** So many operations of a txn are spelled out, the rest is counted. */
const MAX_OPERATIONS = 4

export function describeRecord(record: WalRecord, options: WordOptions): string {
  switch (record.kind) {
    case 'identity': {
      const { clusterId, memberId, incarnation } = record.identity
      return `identity cluster=${formatId(clusterId)} member=${formatId(memberId)} incarnation=${formatId(incarnation)}`
    }
    case 'base':
      return `base index=${record.base.index} term=${record.base.term}`
    case 'hard-state': {
      const { term, vote, commit } = record.hardState
      return `hard-state term=${term} vote=${formatId(vote)} commit=${commit}`
    }
    case 'entry':
      return `entry term=${record.entry.term} index=${record.entry.index} ${describeEntry(record.entry, options)}`
    default:
      return unreachable(record)
  }
}

export function describeEntry(entry: Entry, options: WordOptions): string {
  if (entry.data.length === 0) {
    return entry.kind === 'config' ? 'leave the joint configuration' : "empty: the first of a leader's term"
  }
  try {
    return describeCommand(decodeCommand(entry.data), options)
  } catch (error) {
    return `${entry.data.length} bytes that are no command of this version (${error instanceof Error ? error.message : String(error)})`
  }
}

function describeCommand(command: Command, options: WordOptions): string {
  switch (command.kind) {
    case 'put':
    case 'delete-range':
    case 'txn':
    case 'compact':
    case 'alarm':
    case 'lease-grant':
    case 'lease-revoke':
    case 'auth':
      return `${describeStore(command, options)}${describeAsker(command)}`
    case 'membership': {
      const { operationId, expectedConfigIndex } = command
      const fence = expectedConfigIndex === undefined ? '' : ` if-config-index=${expectedConfigIndex}`
      return `membership ${describeChange(command.change)}${describeOperation(operationId)}${fence}`
    }
    case 'member-attributes':
      return `member-attributes ${describeMember(command.member)}`
    case 'operation-result':
      return `operation-result${describeOperation(command.operationId)} result=${command.result.length}B`
    default:
      return unreachable(command)
  }
}

function describeAsker({ authInfo }: StoreCommand): string {
  return authInfo === undefined ? '' : ` as=${quote(authInfo.username)} auth-revision=${authInfo.revision}`
}

function describeStore(command: StoreCommand, options: WordOptions): string {
  switch (command.kind) {
    case 'put':
      return describePut(PutRequest.decode(command.request), options)
    case 'delete-range':
      return describeDelete(DeleteRangeRequest.decode(command.request))
    case 'txn':
      return describeTxn(TxnRequest.decode(command.request), options)
    case 'compact': {
      const { revision, physical } = CompactionRequest.decode(command.request)
      return `compact revision=${revision}${physical ? ' physical' : ''}`
    }
    case 'alarm':
      return describeAlarm(AlarmRequest.decode(command.request))
    case 'lease-grant': {
      const { ID, TTL } = LeaseGrantRequest.decode(command.request)
      return `lease-grant ${describeLease(ID)} ttl=${TTL}s`
    }
    case 'lease-revoke':
      return `lease-revoke ${describeLease(LeaseRevokeRequest.decode(command.request).ID)}`
    case 'auth':
      return describeAuth(command.request)
    default:
      return unreachable(command.kind)
  }
}

/** Neither the hash of a password nor what a token begins with is shown. */
function describeAuth(bytes: Uint8Array): string {
  const change = decodeAuthChange(bytes)
  if (change === undefined) return 'auth: no change of this version'
  const { kind, request } = change
  switch (kind) {
    case 'enable':
    case 'disable':
      return `auth ${kind}`
    case 'authenticate':
      return `auth ${kind} ${quote(decodeAuthenticated(request).username)}`
    case 'user-add':
      return `auth ${kind} ${quote(AuthUserAddRequest.decode(request).name)}`
    case 'user-delete':
      return `auth ${kind} ${quote(AuthUserDeleteRequest.decode(request).name)}`
    case 'user-change-password':
      return `auth ${kind} ${quote(AuthUserChangePasswordRequest.decode(request).name)}`
    case 'role-add':
      return `auth ${kind} ${quote(AuthRoleAddRequest.decode(request).name)}`
    case 'role-grant-permission': {
      const { name, perm } = AuthRoleGrantPermissionRequest.decode(request)
      const keys = perm === undefined ? 'nothing' : describeKeys(perm.key, perm.rangeEnd)
      return `auth ${kind} ${quote(name)} ${PERMISSION_WORDS[perm?.permType ?? -1] ?? 'nothing'} ${keys}`
    }
    case 'user-grant-role': {
      const { user, role } = AuthUserGrantRoleRequest.decode(request)
      return `auth ${kind} ${quote(user)} role=${quote(role)}`
    }
    case 'user-revoke-role': {
      const { name, role } = AuthUserRevokeRoleRequest.decode(request)
      return `auth ${kind} ${quote(name)} role=${quote(role)}`
    }
    case 'role-delete':
      return `auth ${kind} ${quote(AuthRoleDeleteRequest.decode(request).role)}`
    case 'role-revoke-permission': {
      const { role, key, rangeEnd } = AuthRoleRevokePermissionRequest.decode(request)
      return `auth ${kind} ${quote(role)} ${describeKeys(key, rangeEnd)}`
    }
    default:
      return unreachable(kind)
  }
}

function describePut(request: PutRequest, { hasValues }: WordOptions): string {
  const { key, value, lease, prevKv, ignoreValue, ignoreLease } = request
  const flags = [prevKv ? ' prev-kv' : '', ignoreValue ? ' ignore-value' : '', ignoreLease ? ' ignore-lease' : '']
  const attached = lease === 0n ? '' : ` lease=${describeLease(lease)}`
  return `put ${quoteBytes(key)} value=${hasValues ? quoteBytes(value) : `${value.length}B`}${attached}${flags.join('')}`
}

function describeLease(id: bigint): string {
  return formatId(BigInt.asUintN(64, id))
}

function describeAlarm({ action, memberID, alarm }: AlarmRequest): string {
  const type = alarm === AlarmType.NOSPACE ? 'NOSPACE' : alarm === AlarmType.CORRUPT ? 'CORRUPT' : 'of any type'
  if (action === AlarmAction.GET) return `alarm list ${type}`
  return `alarm ${action === AlarmAction.ACTIVATE ? 'raise' : 'clear'} ${type} member=${formatId(memberID)}`
}

function describeDelete({ key, rangeEnd, prevKv }: DeleteRangeRequest): string {
  return `delete ${describeKeys(key, rangeEnd)}${prevKv ? ' prev-kv' : ''}`
}

function describeRange({ key, rangeEnd, revision, limit }: RangeRequest): string {
  const at = revision === 0n ? '' : ` revision=${revision}`
  return `range ${describeKeys(key, rangeEnd)}${at}${limit === 0n ? '' : ` limit=${limit}`}`
}

/** etcd's forms of a range: one key, all from a key on, or up to an end. */
function describeKeys(key: Uint8Array, rangeEnd: Uint8Array): string {
  if (rangeEnd.length === 0) return quoteBytes(key)
  return rangeEnd.length === 1 && rangeEnd[0] === 0
    ? `${quoteBytes(key)} and above`
    : `${quoteBytes(key)} to ${quoteBytes(rangeEnd)}`
}

function describeTxn({ compare, success, failure }: TxnRequest, options: WordOptions): string {
  const branch = (operations: readonly RequestOp[]): string => {
    const shown = operations.slice(0, MAX_OPERATIONS).map((operation) => operationOf(operation, options))
    const rest = operations.length - shown.length
    return `[${[...shown, ...(rest > 0 ? [`${rest} more`] : [])].join('; ')}]`
  }
  const condition = compare.map(({ key, rangeEnd }) => describeKeys(key, rangeEnd)).slice(0, MAX_OPERATIONS)
  const compared = compare.length === 0 ? '' : ` if ${counted(compare.length, 'compare')} of ${condition.join(', ')}`
  return `txn${compared} then ${branch(success)} else ${branch(failure)}`
}

function operationOf({ request }: RequestOp, options: WordOptions): string {
  if (request === undefined) return 'nothing'
  switch (request.$case) {
    case 'requestPut':
      return describePut(request.value, options)
    case 'requestDeleteRange':
      return describeDelete(request.value)
    case 'requestRange':
      return describeRange(request.value)
    case 'requestTxn':
      return describeTxn(request.value, options)
    default:
      return unreachable(request)
  }
}

function describeChange(change: MembershipChange): string {
  switch (change.kind) {
    case 'add':
      return `add ${describeMember(change.member)}`
    case 'promote':
      return `promote ${formatId(change.memberId)} max-lag=${change.maxLagEntries}`
    case 'remove':
      return `remove ${formatId(change.memberId)}`
    default:
      return unreachable(change)
  }
}

function describeMember({ id, name, peerURLs, clientURLs, isLearner }: Member): string {
  const learner = isLearner ? ' learner' : ''
  return `${formatId(id)} name=${quote(name)} peers=${peerURLs.map(quote).join(',')} clients=${clientURLs.map(quote).join(',')}${learner}`
}

function describeOperation(operationId: string): string {
  return operationId === '' ? '' : ` operation=${quote(operationId)}`
}

function quote(text: string): string {
  return quoteBytes(Buffer.from(text))
}
