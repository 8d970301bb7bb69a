/** Carries out what was decided about change streams: Deployments are made, brought up to date and removed. I/O. */
import { setCondition } from '../api/conditions.ts'
import type { ScheduleStatus } from '../api/raft-backup.ts'
import { type EventSink, KubeError, type KubeObject, type KubeWriter } from '../cluster/ports.ts'
import { STREAM_READY, type StreamPlan } from './stream.ts'

export interface StreamDeps {
  readonly writer: KubeWriter
  readonly events: EventSink
  /** Wall clock: schedules are about it, and how old what is kept is. */
  readonly nowMs: () => number
  /** Once for each gap. */
  readonly onGap: () => void
}

/** What the API server said of what it did not take, by UID of the schedule. What is in the way of another goes first. */
export async function tendStreams(
  { writer }: StreamDeps,
  plans: readonly StreamPlan[],
): Promise<ReadonlyMap<string, string>> {
  const refusals = new Map<string, string>()
  const attempt = async ({ schedule }: StreamPlan, act: () => Promise<unknown>): Promise<void> => {
    try {
      await act()
    } catch (error) {
      if (!(error instanceof KubeError) || error.problem.kind === 'unavailable' || error.problem.kind === 'conflict')
        throw error
      refusals.set(schedule.metadata.uid, error.problem.message)
    }
  }
  for (const plan of plans) {
    const { remove, schedule } = plan
    if (remove === undefined || remove.isBeingDeleted) continue
    const { namespace } = schedule.metadata
    const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: remove.name }
    await attempt(plan, () => writer.delete(ref, { uid: remove.uid }))
  }
  for (const plan of plans) {
    const { apply } = plan
    if (apply !== undefined) await attempt(plan, () => writer.apply(apply))
  }
  return refusals
}

/** What the API server refused stands in the place of what was found. */
export function statusWith(
  { schedule }: StreamPlan,
  status: ScheduleStatus,
  refusal: string | undefined,
  nowMs: number,
): ScheduleStatus {
  if (refusal === undefined) return status
  const isOfStream = ({ type }: { readonly type: string }): boolean => type === STREAM_READY
  const others = status.conditions.filter((one) => !isOfStream(one))
  const before = schedule.status.conditions.filter(isOfStream)
  const finding = { type: STREAM_READY, status: 'False', reason: 'DeploymentRefused', message: refusal } as const
  return { ...status, conditions: [...others, ...setCondition(before, finding, schedule.metadata.generation, nowMs)] }
}

/** Events, once the status is written. */
export function tellStream(
  { events, onGap }: StreamDeps,
  about: readonly (KubeObject | undefined)[],
  { schedule, newGap }: StreamPlan,
  after: ScheduleStatus,
): void {
  const emit = (type: 'Normal' | 'Warning', reason: string, text: string): void => {
    const message = `ScheduledRaftBackup ${schedule.metadata.name}: ${text}`
    for (const object of about) if (object !== undefined) events.emit(object, type, reason, 'KeepChanges', message)
  }
  if (newGap !== undefined) {
    onGap()
    emit('Warning', 'ChangesGap', newGap)
  }
  const saidOf = (status: ScheduleStatus): ScheduleStatus['conditions'][number] | undefined =>
    status.conditions.find(({ type }) => type === STREAM_READY)
  const [before, now] = [saidOf(schedule.status), saidOf(after)]
  if (now === undefined || before?.status === now.status) return
  if (now.status === 'True') emit('Normal', 'ChangesKept', now.message)
  else if (before?.status === 'True') emit('Warning', 'ChangesNotKept', now.message)
}
