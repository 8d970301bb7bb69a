/**
 * NOSPACE: a store has outgrown its quota, or its disk is nearly full, and nobody can write. What gives room back is done step by
 * step, each only as far as it is needed:
 *
 *   compact ─► defragment, one member after the other, the leader last ─► disarm
 *
 * History goes only where the free space in the stores is not enough. Where the disk is what is full, and the volume can grow by
 * itself, it grows instead (`autogrow.ts`). No alarm is disarmed before there is room on every member: it would be back with the next write.
 * Once all was done in vain the rule is silent, and what can only be done by a person has its turn.
 *
 * `noSpaceSeen` is what is known of it at a look; status.ts writes it. Pure.
 */
import type { AdminDefragmentation, AdminStore, UpkeepRequest } from '../../../lib/admin-api.ts'
import { timestamp } from '../../api/conditions.ts'
import type { NoSpaceStatus } from '../../api/maintenance.ts'
import type { Membership, Observed } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { inFlight, type Plan, waiting } from '../plan.ts'
import { canGrow } from './autogrow.ts'
import {
  askToDefragment,
  DEFRAGMENTATION_MS,
  inOrder,
  type Kept,
  megabytes,
  reportOf,
  storeOf,
  votersIn,
} from './store-room.ts'
import { moveLeader } from './transfer.ts'

/** Of the quota a store may have, and of the volume must be left, for an alarm not to be back at once. */
const FULL_SHARE = 0.9
const LEFT_SHARE = 0.05
/** Of a compaction: the space of the history is free a while after it is gone. */
const PURGE_MS = 60_000
/** All is done once more where writes go on, since deletes always may. */
const AGAIN_MS = 10 * 60_000

/** Of calls in a row, before the next ones come only so often. */
const MAX_ATTEMPTS = 5
const REFUSED_MS = 60_000

/** Bound of the list in status. */
const MAX_MEMBERS = 32

const REASON = 'ReclaimingSpace'

export function reclaimSpace(observed: Observed): Plan | undefined {
  const { membership, cluster } = observed
  const memory = noSpaceSeen(observed)
  if (membership?.leader === undefined || memory === undefined || memory.exhaustedAt !== undefined) return undefined
  if (cluster.spec.maintenance.onNoSpace === 'Tell' || isFinishing(observed)) return undefined
  if (isHeldOff(observed)) {
    const { operation } = cluster.recorded
    return { ...waiting(REASON, `no space could be freed: ${operation?.message}`, operation), yields: true }
  }
  const full = fullMembers(observed, membership)
  if (full.length === 0) return disarm(observed, membership)
  if (isDiskToGrow(observed, full)) return undefined
  const begun = full.find((member) => stateOf(observed, memory, member) === 'running')
  if (begun !== undefined) return waiting(REASON, `${begun.name} is being defragmented`, cluster.recorded.operation)
  if (needsCompaction(observed, full)) {
    const isCompacted = memory.compactTo !== undefined && compactedTo(observed, membership) >= memory.compactTo
    if (!isCompacted) return compact(observed, membership, memory)
    if (observed.nowMs - Date.parse(memory.compactedAt ?? '') < PURGE_MS)
      return waiting(REASON, 'history is compacted, its space becomes free', cluster.recorded.operation)
  }
  const next = full.find(({ id }) => !memory.defragmented.includes(id))
  return next === undefined ? undefined : giveBack(observed, membership, memory, next)
}

/** To be larger: nothing is to be given up for what a step of growth mends. */
function isDiskToGrow(observed: Observed, full: readonly Kept[]): boolean {
  const isDiskFull = full.some((member) => {
    const store = storeOf(observed, member)
    return store !== undefined && store.writableBytes < LEFT_SHARE * store.volumeBytes
  })
  return isDiskFull && canGrow(observed)
}

/** What else is in flight goes on from its record alone, which would be lost. */
function isFinishing({ cluster }: Observed): boolean {
  const { operation } = cluster.recorded
  return operation !== undefined && ['Form', 'ScaleDown', 'ReplaceMember', 'Recover'].includes(operation.type)
}

/** A member that refuses again and again is asked once a minute, so that other rules get their turn. */
function isHeldOff({ cluster, nowMs }: Observed): boolean {
  const { operation } = cluster.recorded
  if (operation?.type !== 'ReclaimSpace' || operation.attempts < MAX_ATTEMPTS) return false
  return nowMs - Date.parse(operation.startedAt) < (operation.attempts - MAX_ATTEMPTS + 1) * REFUSED_MS
}

/** Undefined while no such alarm is in force, and while nobody tells what the stores have. */
export function noSpaceSeen(observed: Observed): NoSpaceStatus | undefined {
  const { membership, cluster, nowMs } = observed
  const known = cluster.recorded.maintenance?.noSpace
  if (membership?.leader === undefined) return known
  const { alarms } = membership
  if (!alarms.some(({ type }) => type === 'NOSPACE') || alarms.some(({ type }) => type === 'CORRUPT')) return undefined
  const members = votersIn(membership).filter((member) => storeOf(observed, member) !== undefined)
  if (members.length === 0) return known
  const memory = known === undefined || isToBeTriedAgain(observed, membership, known) ? freshAt(nowMs) : known
  const ended = members.filter((member) => hasEnded(observed, memory, member))
  const defragmented = [...new Set([...memory.defragmented, ...ended.map(({ id }) => id)])].slice(-MAX_MEMBERS)
  const full = fullMembers(observed, membership)
  const isAllDone = full.length > 0 && full.every(({ id }) => defragmented.includes(id))
  const isExhausted = isAllDone && (memory.compactTo !== undefined || !needsCompaction(observed, full))
  const { exhaustedAt = timestamp(nowMs), ...rest } = memory
  return { ...rest, defragmented, ...(isExhausted && { exhaustedAt }) }
}

function freshAt(nowMs: number): NoSpaceStatus {
  return { since: timestamp(nowMs), defragmented: [] }
}

/** Where nothing was written since, nothing was deleted either. */
function isToBeTriedAgain(observed: Observed, membership: Membership, known: NoSpaceStatus): boolean {
  const isLongAgo = observed.nowMs - Date.parse(known.exhaustedAt ?? '') > AGAIN_MS
  return isLongAgo && revisionOf(observed, membership) > (known.compactTo ?? 0)
}

/** After the compaction all are defragmented, also those that were before. */
function roundOf({ since, compactedAt = since }: NoSpaceStatus): string {
  return compactedAt
}

function stateOf(observed: Observed, memory: NoSpaceStatus, member: Kept): AdminDefragmentation['state'] | undefined {
  return reportOf(observed, 'reclaim', member, roundOf(memory))?.state
}

/** Well or not, or it takes so long that nobody waits for it any more. */
function hasEnded(observed: Observed, memory: NoSpaceStatus, member: Kept): boolean {
  const state = stateOf(observed, memory, member)
  if (state !== 'running') return state !== undefined
  const { operation } = observed.cluster.recorded
  const isIts = operation?.type === 'ReclaimSpace' && operation.memberID === member.id
  return isIts && observed.nowMs - Date.parse(operation.startedAt) > DEFRAGMENTATION_MS
}

/** With the compaction that the plan asks for. */
export function noSpaceAfter(observed: Observed, plan: Plan): NoSpaceStatus | undefined {
  const seen = noSpaceSeen(observed)
  const asked = plan.actions.find((action) => action.kind === 'keep-up')
  if (seen === undefined || asked?.request.kind !== 'compact' || seen.compactTo !== undefined) return seen
  return { ...seen, compactTo: asked.request.revision, compactedAt: timestamp(observed.nowMs), defragmented: [] }
}

/** What is done about it, or what somebody has to do. */
export function noSpaceMessage(observed: Observed): string | undefined {
  const { cluster, membership } = observed
  const memory = noSpaceSeen(observed)
  if (memory === undefined || membership === undefined || cluster.spec.maintenance.onNoSpace === 'Tell')
    return undefined
  if (memory.exhaustedAt === undefined) {
    if (isDiskToGrow(observed, fullMembers(observed, membership))) return 'the volumes grow'
    const plan = reclaimSpace(observed)
    return plan === undefined ? 'space is freed once the operation in progress is finished' : plan.message
  }
  const [full] = fullMembers(observed, membership)
  const store = full && storeOf(observed, full)
  const sizes = store === undefined ? '' : `: ${megabytes(store.inUseBytes)} are in use`
  return `history was compacted and the stores defragmented, and the data itself leaves no space${sizes}. Delete keys, or raise spec.options.quotaBytes and spec.storage.size`
}

/** The alarm would soon be back on them. One that does not tell is none of them. */
function fullMembers(observed: Observed, membership: Membership): readonly Kept[] {
  return votersIn(membership).filter((member) => {
    const store = storeOf(observed, member)
    return store !== undefined && !hasRoom(store, store.sizeBytes)
  })
}

/** Were its files of that size. */
function hasRoom(
  { sizeBytes, quotaBytes = Infinity, writableBytes, volumeBytes }: AdminStore,
  ofBytes: number,
): boolean {
  return ofBytes <= FULL_SHARE * quotaBytes && writableBytes + sizeBytes - ofBytes >= LEFT_SHARE * volumeBytes
}

/** To give the free space back would not be enough. */
function needsCompaction(observed: Observed, full: readonly Kept[]): boolean {
  return full.some((member) => {
    const store = storeOf(observed, member)
    return store !== undefined && !hasRoom(store, store.inUseBytes)
  })
}

function leaderOf(membership: Membership): Kept | undefined {
  return inOrder(membership).find(({ id }) => id === membership.leader?.memberId)
}

function revisionOf(observed: Observed, membership: Membership): number {
  const leader = leaderOf(membership)
  return (leader && observed.pods.get(leader.ordinal)?.status?.revision) ?? 0
}

function compactedTo(observed: Observed, membership: Membership): number {
  const leader = leaderOf(membership)
  return (leader && storeOf(observed, leader)?.compactedRevision) ?? 0
}

function compact(observed: Observed, membership: Membership, memory: NoSpaceStatus): Plan | undefined {
  const revision = memory.compactTo ?? revisionOf(observed, membership)
  const message = `history before revision ${revision} is compacted`
  return askLeader(observed, membership, 'Compact', { kind: 'compact', revision }, message)
}

/** One alarm a plan. That of a member that has been removed is in force until then, that of one that does not tell may be right. */
function disarm(observed: Observed, membership: Membership): Plan | undefined {
  const silent = inOrder(membership).filter((member) => storeOf(observed, member) === undefined)
  const alarm = membership.alarms.find(
    ({ type, memberId }) => type === 'NOSPACE' && !silent.some(({ id }) => id === memberId),
  )
  if (alarm === undefined) return undefined
  const { memberId } = alarm
  const name = membership.members.find(({ id }) => id === memberId)?.name ?? memberId
  const message = `there is space again: the alarm of ${name} is disarmed`
  return askLeader(observed, membership, 'Disarm', { kind: 'disarm', memberId }, message)
}

type Wanted =
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'disarm'; readonly memberId: string }

function askLeader(
  observed: Observed,
  membership: Membership,
  step: 'Compact' | 'Disarm',
  wanted: Wanted,
  message: string,
): Plan | undefined {
  const leader = leaderOf(membership)
  if (leader === undefined || membership.leader === undefined) return undefined
  const operation = newOperation(observed, {
    type: 'ReclaimSpace',
    step,
    ordinal: leader.ordinal,
    verb: 'reclaim',
    subject: wanted.kind === 'compact' ? `${step}@${wanted.revision}` : `${step}@${wanted.memberId}`,
    memberID: leader.id,
  })
  const fence = { operationId: operation.id, expectedConfigIndex: membership.configIndex }
  const request: UpkeepRequest = { ...wanted, ...fence }
  return inFlight(REASON, message, operation, [
    { kind: 'record-operation', operation },
    { kind: 'keep-up', url: membership.leader.adminUrl, request },
  ])
}

function giveBack(observed: Observed, membership: Membership, memory: NoSpaceStatus, member: Kept): Plan | undefined {
  if (member.id === membership.leader?.memberId && membership.voters.length > 1) {
    const isPreferred = ({ id }: { readonly id: string }): boolean => memory.defragmented.includes(id)
    return moveLeader(observed, membership, { type: 'ReclaimSpace', reason: REASON, leaving: member, isPreferred })
  }
  const message = `${member.name} is defragmented`
  return askToDefragment(observed, membership, member, {
    type: 'ReclaimSpace',
    reason: REASON,
    message,
    since: roundOf(memory),
  })
}
