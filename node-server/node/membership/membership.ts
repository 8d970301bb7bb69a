/**
 * A membership entry takes effect, the same way on every member. Here the fence decides: an entry whose expectation is no
 * longer true, or whose operation has a result already, changes nothing.
 */
import { unreachable } from '../../../lib/assert.ts'
import { formatId, type ClusterId, type LogIndex, type MemberId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { AdminChange } from '../../../lib/admin-api.ts'
import type { Member, MembershipCommand } from '../../mvcc/command.ts'
import {
  getMember,
  getOperation,
  isRemovedMember,
  listMembers,
  putMember,
  recordOperation,
  removeMember,
  setConfiguration,
} from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import { changeConfiguration } from '../../raft/membership.ts'
import type { ConfigChange, Configuration } from '../../raft/message.ts'
import { decodeConfiguration, encodeConfiguration, encodeHistoryRow } from './configuration.ts'
import type { Refusal } from '../peer-requests.ts'
import { staleFence } from './fence.ts'
import { changeResult, encodeResult } from './operation-results.ts'
import type { NodeProblem } from '../ports.ts'

export interface AppliedMembership {
  /** What Raft has to apply; `none` when nothing changed. */
  readonly change: ConfigChange
  readonly outcome: Result<AdminChange, Refusal>
}

/** Changes the store's members, configuration and operation record; the caller hands `change` to Raft. */
export function applyMembership(
  store: Store,
  index: LogIndex,
  clusterId: ClusterId,
  command: MembershipCommand,
): AppliedMembership {
  const first = command.operationId === '' ? undefined : getOperation(store, command.operationId)
  if (first !== undefined) return unchanged(changeResult(first.result))
  const current = store.meta.configIndex
  if (command.expectedConfigIndex !== undefined && command.expectedConfigIndex !== current) {
    return unchanged(err(staleFence(command.expectedConfigIndex, current)))
  }
  const refusal = refuse(store, command)
  if (refusal !== undefined) return unchanged(err(refusal))
  const change = raftChange(command)
  const configuration = changeConfiguration(decodeConfiguration(store.meta.configuration), change)
  if (!configuration.ok) return unchanged(err(conflict(configuration.error)))
  updateMembers(store, command)
  noteConfiguration(store, index, configuration.value, command.operationId)
  const memberId = command.change.kind === 'add' ? command.change.member.id : command.change.memberId
  const result: AdminChange = {
    operationId: command.operationId,
    memberId: formatId(memberId),
    clusterId: formatId(clusterId),
    configIndex: index,
  }
  if (command.operationId !== '') recordOperation(store, index, command.operationId, encodeResult(result))
  return { change, outcome: ok(result) }
}

/** See MemberAttributesCommand. Much may have changed since it was proposed, so what it must not do is asked again. */
export function applyAttributes(store: Store, { id, name, peerURLs, clientURLs }: Member): NodeProblem | undefined {
  const known = getMember(store, id)
  if (known === undefined) return 'member-not-found'
  const others = listMembers(store).filter((member) => member.id !== id)
  if (others.some((member) => hasOneOf(member, peerURLs))) return 'peer-urls-exist'
  const told = name === '' ? {} : { name, clientURLs }
  putMember(store, { ...known, ...told, ...(peerURLs.length === 0 ? {} : { peerURLs }) })
  return undefined
}

/** The entry without data with which a leader leaves a joint configuration. */
export function applyLeaveJoint(store: Store, index: LogIndex): ConfigChange {
  const change: ConfigChange = { kind: 'leave-joint' }
  const configuration = changeConfiguration(decodeConfiguration(store.meta.configuration), change)
  if (!configuration.ok) return { kind: 'none' }
  noteConfiguration(store, index, configuration.value, '')
  return change
}

export function noteConfiguration(
  store: Store,
  index: LogIndex,
  configuration: Configuration,
  operationId: string,
): void {
  setConfiguration(store, {
    configIndex: index,
    configuration: encodeConfiguration(configuration),
    historyRow: encodeHistoryRow(index, configuration, operationId),
  })
}

function unchanged(outcome: Result<AdminChange, Refusal>): AppliedMembership {
  return { change: { kind: 'none' }, outcome }
}

function refuse(store: Store, { change }: MembershipCommand): Refusal | undefined {
  switch (change.kind) {
    case 'add': {
      const { id, peerURLs } = change.member
      if (isRemovedMember(store, id) || getMember(store, id) !== undefined)
        return conflict(`member ${formatId(id)} exists or was removed`)
      const taken = listMembers(store).some((member) => hasOneOf(member, peerURLs))
      return taken
        ? { ...conflict('a member with one of these peer URLs exists already'), problem: 'peer-urls-exist' }
        : undefined
    }
    case 'promote':
    case 'remove': {
      const member = getMember(store, change.memberId)
      if (member === undefined) return notFound(change.memberId)
      if (change.kind === 'promote' && !member.isLearner)
        return { ...conflict('the member is a voter already'), problem: 'member-not-learner' }
      return undefined
    }
    default:
      return unreachable(change)
  }
}

function hasOneOf(member: Member, peerURLs: readonly string[]): boolean {
  return member.peerURLs.some((url) => peerURLs.includes(url))
}

function raftChange({ change }: MembershipCommand): ConfigChange {
  switch (change.kind) {
    case 'add':
      return {
        kind: 'simple',
        step: { kind: change.member.isLearner ? 'add-learner' : 'add-voter', memberId: change.member.id },
      }
    case 'promote':
      return { kind: 'simple', step: { kind: 'add-voter', memberId: change.memberId } }
    case 'remove':
      return { kind: 'simple', step: { kind: 'remove', memberId: change.memberId } }
    default:
      return unreachable(change)
  }
}

function updateMembers(store: Store, { change }: MembershipCommand): void {
  switch (change.kind) {
    case 'add':
      return putMember(store, change.member)
    case 'promote': {
      const member = getMember(store, change.memberId)
      if (member !== undefined) putMember(store, { ...member, isLearner: false })
      return
    }
    case 'remove':
      return removeMember(store, change.memberId)
    default:
      return unreachable(change)
  }
}

function conflict(message: string): Refusal {
  return { problem: 'member-exists', error: { code: 'Conflict', message } }
}

function notFound(id: MemberId): Refusal {
  return { problem: 'member-not-found', error: { code: 'NotFound', message: `there is no member ${formatId(id)}` } }
}
