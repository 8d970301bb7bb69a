/**
 * One reconcile of one RaftCluster: observe → decide → act → status. Level-based: it looks at everything each time and
 * remembers nothing between two calls but what is in `status`.
 *
 * It may be ended at any await, or run twice at once by an operator that lost its lease: what it records is conditional
 * on the object's version, what it asks of members is fenced by the configuration it decided on.
 */
import { type Finding, setCondition, timestamp } from '../api/conditions.ts'
import { API_VERSION, FINALIZER, KIND } from '../api/raft-cluster.ts'
import { parseStatus, type RaftClusterStatus } from '../api/status.ts'
import { act, type Outcome } from './act.ts'
import { decide } from './decide.ts'
import { type Observation, observe } from './observe.ts'
import { BLOCKED_MS, IN_FLIGHT_MS, type Plan } from './plan.ts'
import { KubeError, type KubeObject, type ReconcileDeps, type ReconcileKey, type ReconcileResult } from './ports.ts'
import { isWorthWriting, statusOf } from './status.ts'
import { writeStatus } from './write-status.ts'

export async function reconcile(deps: ReconcileDeps, key: ReconcileKey): Promise<ReconcileResult> {
  try {
    const observation = await observe(deps, key)
    if (observation.kind === 'gone') return { kind: 'done' }
    if (observation.kind === 'unreadable') {
      const { object, error } = observation
      await reportTrouble(deps, object, {
        type: 'Degraded',
        status: 'True',
        reason: 'Forbidden',
        message: error.message,
      })
      return { kind: 'retry', error }
    }
    if (observation.kind === 'invalid') return await reportInvalid(deps, observation)
    const plan = decide(observation.observed)
    const outcome = await act(deps, observation, plan)
    await report(deps, observation, plan, outcome)
    const isIdle = plan.isSettled && outcome.failure === undefined
    return { kind: 'done', requeueAfterMs: requeueAfterMs(plan, outcome), isIdle }
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    // Somebody edited it meanwhile, as people do: no trouble, but a reason to look again.
    if (error.problem.kind === 'conflict') return { kind: 'done', requeueAfterMs: IN_FLIGHT_MS }
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
  const { recovery } = after.handledRequests
  if (recovery !== before.handledRequests.recovery) {
    const message = `the cluster has its quorum: recovery ${recovery} is refused, and its id is used up`
    events.emit(object, 'Warning', 'RecoveryRefused', 'Recover', message)
  }
  const storage = after.conditions.find(({ type }) => type === 'StorageReady')
  const storageBefore = before.conditions.find(({ type }) => type === 'StorageReady')
  if (storage?.status === 'False' && storageBefore?.status === 'True')
    events.emit(object, 'Warning', storage.reason, 'Observe', storage.message)
  for (const type of ['QuorumLost', 'ClusterIDMismatch', 'Degraded', 'Ready', 'Paused', 'UpToDate']) {
    const was = before.conditions.find((condition) => condition.type === type)
    const is = after.conditions.find((condition) => condition.type === type)
    if (is === undefined || is.status !== 'True' || was?.status === 'True') continue
    const isGood = ['Ready', 'Paused', 'UpToDate'].includes(type)
    events.emit(object, isGood ? 'Normal' : 'Warning', type, isGood ? 'Settle' : 'Observe', is.message || is.reason)
  }
}

/** A refusal is asked again at once, then ever less often: 200 ms · 2ⁿ, at most 5 s. */
function requeueAfterMs(plan: Plan, { operation, failure }: Outcome): number {
  if (failure === undefined) return plan.requeueAfterMs
  return Math.min(5_000, plan.requeueAfterMs * 2 ** Math.min(operation?.attempts ?? 1, 8))
}

/**
 * Nothing is done for a spec that cannot be understood; what runs goes on running. If it is to be deleted, it is not held
 * back either: whether its volumes were to go cannot be read, so they stay.
 */
async function reportInvalid(
  deps: ReconcileDeps,
  { object, message }: Extract<Observation, { kind: 'invalid' }>,
): Promise<ReconcileResult> {
  const { metadata } = object
  const finalizers = metadata.finalizers ?? []
  if (metadata.deletionTimestamp !== undefined && finalizers.includes(FINALIZER)) {
    const ref = { apiVersion: API_VERSION, kind: KIND, namespace: metadata.namespace ?? '', name: metadata.name }
    const others = finalizers.filter((name) => name !== FINALIZER)
    await deps.writer.patchFinalizers(ref, metadata.resourceVersion ?? '', others)
    return { kind: 'done' }
  }
  await reportTrouble(deps, object, { type: 'Ready', status: 'False', reason: 'InvalidSpec', message })
  return { kind: 'done', requeueAfterMs: BLOCKED_MS }
}

/** One condition; all else stays as it was last known. */
async function reportTrouble(deps: ReconcileDeps, object: KubeObject, finding: Finding): Promise<void> {
  const recorded = parseStatus(object['status'])
  const generation = object.metadata.generation ?? 0
  const nowMs = deps.nowMs()
  const conditions = [...setCondition(recorded.conditions, finding, generation, nowMs)]
  const status = { ...recorded, observedGeneration: generation, sampledAt: timestamp(nowMs), conditions }
  if (isWorthWriting(recorded, status, nowMs)) await writeStatus(deps.writer, object, status)
}
