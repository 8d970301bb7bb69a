/**
 * One reconcile of one RaftCluster: observe → decide → act → status. Level-based: it looks at everything each time and
 * remembers nothing between two calls but what is in `status`.
 *
 * It may be ended at any await, or run twice at once by an operator that lost its lease: what it records is conditional
 * on the object's version, what it asks of members is fenced by the configuration it decided on.
 */
import { setCondition, timestamp } from '../api/conditions.ts'
import { parseStatus, type RaftClusterStatus } from '../api/status.ts'
import { act, type Outcome } from './act.ts'
import { decide } from './decide.ts'
import { type Observation, observe } from './observe.ts'
import { BLOCKED_MS, type Plan } from './plan.ts'
import { KubeError, type ReconcileDeps, type ReconcileKey, type ReconcileResult } from './ports.ts'
import { isWorthWriting, statusOf } from './status.ts'
import { writeStatus } from './write-status.ts'

export async function reconcile(deps: ReconcileDeps, key: ReconcileKey): Promise<ReconcileResult> {
  try {
    const observation = await observe(deps, key)
    if (observation.kind === 'gone') return { kind: 'done' }
    if (observation.kind === 'invalid') return await reportInvalid(deps, observation)
    const plan = decide(observation.observed)
    const outcome = await act(deps, observation, plan)
    await report(deps, observation, plan, outcome)
    return { kind: 'done', requeueAfterMs: requeueAfterMs(plan, outcome) }
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    return { kind: 'retry', error }
  }
}

async function report(
  deps: ReconcileDeps,
  { observed }: Extract<Observation, { kind: 'observed' }>,
  plan: Plan,
  { object, recorded, operation, failure }: Outcome,
): Promise<void> {
  // With its last finalizer gone the object is gone too.
  if (observed.cluster.isBeingDeleted && plan.actions.some(({ kind }) => kind === 'set-finalizers')) return
  const status = statusOf({ observed, plan, recorded, operation, failure })
  emitTransitions(deps, object, recorded, status)
  if (isWorthWriting(recorded, status, observed.nowMs)) await writeStatus(deps.writer, object, status)
}

/** News that deserve an event, whatever the plan. */
function emitTransitions(
  { events }: ReconcileDeps,
  object: Outcome['object'],
  before: RaftClusterStatus,
  after: RaftClusterStatus,
): void {
  for (const type of ['QuorumLost', 'ClusterIDMismatch', 'Degraded', 'Ready']) {
    const was = before.conditions.find((condition) => condition.type === type)
    const is = after.conditions.find((condition) => condition.type === type)
    if (is === undefined || is.status !== 'True' || was?.status === 'True') continue
    const isGood = type === 'Ready'
    events.emit(object, isGood ? 'Normal' : 'Warning', type, isGood ? 'Settle' : 'Observe', is.message || is.reason)
  }
}

/** A refusal is asked again at once, then ever less often: 200 ms · 2ⁿ, at most 5 s. */
function requeueAfterMs(plan: Plan, { operation, failure }: Outcome): number {
  if (failure === undefined) return plan.requeueAfterMs
  return Math.min(5_000, plan.requeueAfterMs * 2 ** Math.min(operation?.attempts ?? 1, 8))
}

/** Nothing is done for a spec that cannot be understood; what runs goes on running. */
async function reportInvalid(
  deps: ReconcileDeps,
  { object, message }: Extract<Observation, { kind: 'invalid' }>,
): Promise<ReconcileResult> {
  const recorded = parseStatus(object['status'])
  const generation = object.metadata.generation ?? 0
  const nowMs = deps.nowMs()
  const finding = { type: 'Ready', status: 'False', reason: 'InvalidSpec', message } as const
  const conditions = [...setCondition(recorded.conditions, finding, generation, nowMs)]
  const status = { ...recorded, observedGeneration: generation, sampledAt: timestamp(nowMs), conditions }
  if (isWorthWriting(recorded, status, nowMs)) await writeStatus(deps.writer, object, status)
  return { kind: 'done', requeueAfterMs: BLOCKED_MS }
}
