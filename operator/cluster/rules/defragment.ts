/**
 * spec.maintenance.defragmentation: at the times of its schedule the stores that have much free space give it back, one member at a
 * time, followers from the highest ordinal down, the leader last and only once it has handed over. A member is begun with only while all
 * are well and nothing else is to be done: this rule comes last. What is not begun within the time that a run has waits for the next.
 *
 * `defragmentationSeen` is what is known of the run at a look; status.ts writes it. Pure.
 */
import type { Result } from '../../../lib/result.ts'
import { timestamp } from '../../api/conditions.ts'
import { type DefragmentationRun, type DefragmentationStatus, percentOf } from '../../api/maintenance.ts'
import { parseSchedule, type Schedule } from '../../api/schedule.ts'
import type { Membership, Observed } from '../observed.ts'
import { type Plan, waiting } from '../plan.ts'
import { isFit } from './rollout.ts'
import {
  askToDefragment,
  DEFRAGMENTATION_MS,
  hasMoreFreeThan,
  inOrder,
  type Kept,
  megabytes,
  reportOf,
  storeOf,
} from './store-room.ts'
import { moveLeader } from './transfer.ts'

/** From its time on: nobody wants at noon what was to happen at night. */
const RUN_MS = 2 * 3_600_000
/** Clocks of two operators may differ by so much. */
const SKEW_MS = 60_000
/** What status may have. */
const MAX_MESSAGE_LENGTH = 512

type Begun = DefragmentationRun['members'][number]

export function defragment(observed: Observed): Plan | undefined {
  const { membership } = observed
  const run = defragmentationSeen(observed)?.run
  if (run === undefined || run.endedAt !== undefined || membership?.leader === undefined) return undefined
  const begun = run.members.find(isUnderWay)
  if (begun !== undefined) return awaitEnd(observed, membership, run, begun)
  if (!areAllWell(observed, membership)) return undefined
  const next = inOrder(membership).find((member) => isLeft(observed, run, member))
  return next === undefined ? undefined : begin(observed, membership, run, next)
}

/** Why the schedule cannot be followed. */
export function scheduleProblem({ spec }: Observed['cluster']): string | undefined {
  const { defragmentation } = spec.maintenance
  if (defragmentation === undefined) return undefined
  const schedule = scheduleOf(defragmentation)
  return schedule.ok ? undefined : schedule.error
}

/** A look asks for it again and again; a spec that was read is never changed in place. */
const schedules = new WeakMap<Wanted, Result<Schedule, string>>()
type Wanted = NonNullable<Observed['cluster']['spec']['maintenance']['defragmentation']>

function scheduleOf(wanted: Wanted): Result<Schedule, string> {
  const schedule = schedules.get(wanted) ?? parseSchedule(wanted.schedule, wanted.timeZone)
  schedules.set(wanted, schedule)
  return schedule
}

/** Undefined where nothing is scheduled. */
export function defragmentationSeen(observed: Observed): DefragmentationStatus | undefined {
  const { cluster, nowMs } = observed
  const wanted = cluster.spec.maintenance.defragmentation
  const known = cluster.recorded.maintenance?.defragmentation
  if (wanted === undefined) return undefined
  const schedule = scheduleOf(wanted)
  if (!schedule.ok) return known
  const text = `${wanted.schedule} ${wanted.timeZone}`
  // A time that is yet to come was written by a clock that was wrong.
  const isKnown = known?.schedule === text && Date.parse(known.dueAfter) <= nowMs + SKEW_MS
  const memory = isKnown ? known : { ...known, schedule: text, dueAfter: timestamp(nowMs) }
  if (memory.run !== undefined && memory.run.endedAt === undefined)
    return { ...memory, run: runSeen(observed, memory.run) }
  const dueMs = schedule.value.lastMs(nowMs)
  if (dueMs === undefined || dueMs <= Date.parse(memory.dueAfter)) return memory
  const scheduledAt = timestamp(dueMs)
  const run = { scheduledAt, startedAt: timestamp(nowMs), message: '', members: [] }
  return {
    ...memory,
    dueAfter: scheduledAt,
    run: isLate(observed, run) ? missed(observed, run) : runSeen(observed, run),
  }
}

/** With whom the plan begins. */
export function defragmentationAfter(observed: Observed, plan: Plan): DefragmentationStatus | undefined {
  const seen = defragmentationSeen(observed)
  const { operation } = plan
  if (seen?.run === undefined || seen.run.endedAt !== undefined) return seen
  if (operation?.type !== 'Defragment' || operation.step !== 'Defragment') return seen
  const { run } = seen
  const member = observed.membership?.members.find(({ id }) => id === operation.memberID)
  if (member === undefined || run.members.some(({ id }) => id === member.id)) return seen
  const sizeBytes = observed.pods.get(operation.ordinal)?.status?.store?.sizeBytes ?? 0
  const begun: Begun = { name: member.name, id: member.id, startedAt: timestamp(observed.nowMs), sizeBytes }
  return { ...seen, run: { ...run, members: [...run.members, begun] } }
}

function missed({ nowMs }: Observed, run: DefragmentationRun): DefragmentationRun {
  const message = 'the operator did not see the cluster within two hours of the scheduled time'
  return { ...run, endedAt: timestamp(nowMs), result: 'Missed', message }
}

function runSeen(observed: Observed, before: DefragmentationRun): DefragmentationRun {
  const run = { ...before, members: before.members.map((begun) => resultOf(observed, before, begun)) }
  const end = (result: DefragmentationRun['result'], message: string): DefragmentationRun => {
    const endedAt = timestamp(observed.nowMs)
    return { ...run, endedAt, result, message: message.slice(0, MAX_MESSAGE_LENGTH) }
  }
  const failed = run.members.find(({ problem }) => problem !== undefined)
  if (failed !== undefined) return end('Failed', `${failed.name}: ${failed.problem}`)
  if (run.members.some(isUnderWay)) return run
  const { membership, cluster } = observed
  const left = membership === undefined ? [] : inOrder(membership).filter((member) => isLeft(observed, run, member))
  if (membership?.leader !== undefined && left.length === 0) {
    const freedBytes = run.members.reduce((sum, member) => sum + (member.freedBytes ?? 0), 0)
    const { onlyAbove } = cluster.spec.maintenance.defragmentation ?? {}
    const nobody = `no member had more than ${onlyAbove} of its store free`
    return end('Succeeded', run.members.length === 0 ? nobody : `${megabytes(freedBytes)} were freed`)
  }
  if (!isLate(observed, run)) return run
  const list = left.map((member) => `${member.name}${isSilent(observed, member) ? ' (does not report its size)' : ''}`)
  return end('Incomplete', `not done within two hours: ${list.join(', ') || 'nobody led'}`)
}

function isSilent(observed: Observed, member: Kept): boolean {
  return storeOf(observed, member) === undefined
}

function isLate({ nowMs }: Observed, { scheduledAt }: DefragmentationRun): boolean {
  return nowMs - Date.parse(scheduledAt) > RUN_MS
}

function isUnderWay({ freedBytes, problem }: Begun): boolean {
  return freedBytes === undefined && problem === undefined
}

function resultOf(observed: Observed, { scheduledAt }: DefragmentationRun, begun: Begun): Begun {
  if (!isUnderWay(begun)) return begun
  const member = memberOf(observed.membership, begun)
  const report = member && reportOf(observed, 'defragment', member, scheduledAt)
  const sizeBytes = member && storeOf(observed, member)?.sizeBytes
  if (report?.state === 'done' && sizeBytes !== undefined)
    return { ...begun, freedBytes: Math.max(0, begun.sizeBytes - sizeBytes) }
  if (report?.state === 'failed') return { ...begun, problem: report.message.slice(0, MAX_MESSAGE_LENGTH) }
  const isOverdue = observed.nowMs - Date.parse(begun.startedAt) > DEFRAGMENTATION_MS
  return isOverdue ? { ...begun, problem: 'it did not finish within half an hour' } : begun
}

function memberOf(membership: Membership | undefined, { id }: Pick<Begun, 'id'>): Kept | undefined {
  return membership === undefined ? undefined : inOrder(membership).find((member) => member.id === id)
}

/** One that does not say how much is free may have much. */
function isLeft(observed: Observed, { members }: DefragmentationRun, member: Kept): boolean {
  if (members.some(({ id }) => id === member.id)) return false
  const store = storeOf(observed, member)
  const { onlyAbove = '' } = observed.cluster.spec.maintenance.defragmentation ?? {}
  return store === undefined || hasMoreFreeThan(percentOf(onlyAbove), store)
}

/** All members are there as wanted, vote, are caught up, and serve; nothing else is in flight, and no alarm in force. */
function areAllWell(observed: Observed, membership: Membership): boolean {
  const { cluster } = observed
  const { operation } = cluster.recorded
  if (operation !== undefined && operation.type !== 'Defragment') return false
  if (membership.isChangePending || membership.learners.length > 0 || membership.alarms.length > 0) return false
  const members = inOrder(membership)
  if (members.length !== cluster.spec.replicas || membership.members.length !== members.length) return false
  return members.every((member) => storeOf(observed, member) !== undefined && isFit(observed, membership, member))
}

function begin(observed: Observed, membership: Membership, run: DefragmentationRun, member: Kept): Plan | undefined {
  const isLeader = member.id === membership.leader?.memberId
  // The only voter has nobody to hand over to; it serves all the same.
  if (isLeader && membership.voters.length > 1) {
    const isPreferred = ({ id }: { readonly id: string }): boolean => run.members.some((begun) => begun.id === id)
    return moveLeader(observed, membership, {
      type: 'Defragment',
      reason: 'Defragmenting',
      leaving: member,
      isPreferred,
    })
  }
  const store = storeOf(observed, member)
  const free =
    store === undefined
      ? ''
      : `: ${megabytes(store.sizeBytes - store.inUseBytes)} of ${megabytes(store.sizeBytes)} are free`
  const message = `${member.name} is defragmented${free}`
  const since = run.scheduledAt
  return askToDefragment(observed, membership, member, { type: 'Defragment', reason: 'Defragmenting', message, since })
}

/** Asked again where the member knows nothing of it: the call was lost, or the member has started anew since. */
function awaitEnd(observed: Observed, membership: Membership, run: DefragmentationRun, begun: Begun): Plan | undefined {
  const member = memberOf(membership, begun)
  const isUnknown = member !== undefined && reportOf(observed, 'defragment', member, run.scheduledAt) === undefined
  if (isUnknown && areAllWell(observed, membership)) return begin(observed, membership, run, member)
  const { operation } = observed.cluster.recorded
  const ours = operation?.type === 'Defragment' ? operation : undefined
  return waiting('Defragmenting', `${begun.name} is being defragmented`, ours)
}
