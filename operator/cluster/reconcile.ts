/**
 * One reconcile of one RaftCluster: observe → decide → act → status. Level-based: it looks at everything each time and
 * remembers nothing between two calls but what is in `status`. That is written from what was observed, whatever call
 * failed: only where the RaftCluster itself cannot be read or written, or its namespace is going, nothing is.
 *
 * It may be ended at any await, or run twice at once by an operator that lost its lease: what it records is conditional
 * on the object's version, what it asks of members is fenced by the configuration it decided on.
 */
import { type Condition, type Finding, setCondition, timestamp } from '../api/conditions.ts'
import { API_VERSION, FINALIZER, KIND } from '../api/raft-cluster.ts'
import { parseStatus, type RaftClusterStatus } from '../api/status.ts'
import { act, type Outcome, untried } from './act.ts'
import { decide } from './decide.ts'
import { type Observation, observe } from './observe.ts'
import { blindLook, type Look, lookOf } from './look.ts'
import type { Observed } from './observed.ts'
import { BLOCKED_MS, type Decision, IN_FLIGHT_MS, type Plan, WAITING_MS } from './plan.ts'
import { KubeError, type KubeObject, type ReconcileDeps, type ReconcileKey, type ReconcileResult } from './ports.ts'
import { nextTryMs, subjectOf } from './refusals.ts'
import { replacementRefusal } from './rules/replace.ts'
import { isWorthWriting, statusOf } from './status.ts'
import { asRecorded } from './switch.ts'
import { upkeepNews } from './upkeep.ts'
import { usersFinding } from './users-finding.ts'
import { reportStatus } from './write-status.ts'

/** Until a RaftCluster is looked at again that nobody has deleted yet although its namespace goes. */
const TERMINATING_MS = 30_000

type Deps = ReconcileDeps & {
  /** Is shown each look that came to a status; undefined: nobody watches. */
  readonly onLook?: ((look: Look) => void) | undefined
}

export async function reconcile(deps: Deps, key: ReconcileKey): Promise<ReconcileResult> {
  let object: KubeObject | undefined
  try {
    object = await read(deps, key)
    if (object === undefined) return { kind: 'done' }
    const observation = await observe(deps, object)
    if (observation.kind === 'invalid') return await reportInvalid(deps, observation)
    const decision = decide(observation.observed)
    const outcome = await actOrTell(deps, observation, decision)
    await report(deps, observation, decision, outcome)
    return resultOf(observation, decision, outcome)
  } catch (error) {
    if (error instanceof KubeError) {
      // The RaftCluster goes with its namespace, whatever is not done for it now.
      if (error.problem.kind === 'terminating') return { kind: 'done', requeueAfterMs: TERMINATING_MS }
      // Somebody edited it meanwhile, as people do: no trouble, but a reason to look again.
      const isEdit = error.problem.kind === 'conflict' && (await isEdited(deps, key, object))
      return isEdit ? { kind: 'done', requeueAfterMs: IN_FLIGHT_MS } : { kind: 'retry', error }
    }
    if (object !== undefined) await reportBug(deps, object, error)
    throw error
  }
}

/**
 * Whoever edits the RaftCluster while it is looked at keeps an operation from being begun, and nothing from being told: where
 * calls hang until they time out, somebody may do so during every look.
 */
async function actOrTell(
  deps: Deps,
  observation: Extract<Observation, { kind: 'observed' }>,
  decision: Decision,
): Promise<Outcome> {
  try {
    return await act(deps, observation, decision)
  } catch (error) {
    if (error instanceof KubeError && error.problem.kind === 'conflict')
      await report(deps, observation, decision, untried(deps, observation, decision))
    throw error
  }
}

function read({ reader }: ReconcileDeps, key: ReconcileKey): Promise<KubeObject | undefined> {
  return reader.get({ apiVersion: API_VERSION, kind: KIND, ...key })
}

function resultOf(
  { observed }: Extract<Observation, { kind: 'observed' }>,
  decision: Decision,
  outcome: Outcome,
): ReconcileResult {
  const { error, failure } = outcome
  // Nothing was decided: it is tried again as fast as an API server in trouble bears.
  if (decision.reason === 'NotObserved' && error !== undefined) return { kind: 'retry', error }
  const afterMs = Math.min(requeueAfterMs(observed.nowMs, decision, outcome), usersAfterMs(observed, outcome))
  if (error !== undefined) return { kind: 'retry', error, requeueAfterMs: afterMs }
  return {
    kind: 'done',
    requeueAfterMs: afterMs,
    isIdle: decision.isSettled && failure === undefined && observed.users?.state === undefined,
  }
}

/** What changed users and roles is looked at once more. */
function usersAfterMs({ users, usersProblem }: Observed, outcome: Outcome): number {
  if (usersProblem !== undefined || outcome.users.problem !== undefined) return BLOCKED_MS
  return users?.state === undefined ? Infinity : WAITING_MS
}

/** A conflict may also be the word of a webhook, which stays the same however often it is asked. */
async function isEdited(deps: ReconcileDeps, key: ReconcileKey, before: KubeObject | undefined): Promise<boolean> {
  try {
    const now = await read(deps, key)
    return now?.metadata.resourceVersion !== before?.metadata.resourceVersion
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    return false
  }
}

async function report(
  deps: Deps,
  { observed: seen }: Extract<Observation, { kind: 'observed' }>,
  plan: Decision,
  { object, recorded, operation, failure, refusals, users }: Outcome,
): Promise<void> {
  const observed = asRecorded(seen, recorded)
  // With its last finalizer gone the object is gone too.
  const freeing = plan.actions.find(({ kind }) => kind === 'set-finalizers')
  const isFreed =
    freeing !== undefined && !refusals.some(({ subject }) => subject === subjectOf(observed.cluster, freeing))
  if (observed.cluster.isBeingDeleted && isFreed) return
  const usersFound = usersFinding(observed, plan.userSteps, users.problem)
  const { memory } = users
  const status = statusOf({ observed, plan, recorded, operation, failure, refusals, memory, usersFound })
  deps.onLook?.(lookOf(observed, plan, status))
  const refusal = replacementRefusal(observed)
  if (refusal !== undefined) deps.events.emit(object, 'Warning', 'RequestRefused', 'ReplaceMember', refusal)
  emitTransitions(deps, object, recorded, status)
  // Since the look before: what was learned at this one may have been recorded already.
  for (const { type, reason, action, message } of upkeepNews(observed.cluster.recorded, status))
    deps.events.emit(object, type, reason, action, message)
  if (isWorthWriting(recorded, status, observed.nowMs)) await reportStatus(deps, object, status)
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
  for (const type of ['StorageReady', 'TLSReady']) {
    const is = after.conditions.find((condition) => condition.type === type)
    const was = before.conditions.find((condition) => condition.type === type)
    if (is?.status === 'False' && was?.status === 'True')
      events.emit(object, 'Warning', is.reason, 'Observe', is.message)
  }
  for (const type of ['QuorumLost', 'ClusterIDMismatch', 'Degraded', 'Ready', 'Paused', 'UpToDate', 'TLSReady']) {
    const was = before.conditions.find((condition) => condition.type === type)
    const is = after.conditions.find((condition) => condition.type === type)
    if (is === undefined || is.status !== 'True' || (was?.status === 'True' && was.reason === is.reason)) continue
    const isGood = ['Ready', 'Paused', 'UpToDate', 'TLSReady'].includes(type)
    events.emit(object, isGood ? 'Normal' : 'Warning', type, isGood ? 'Settle' : 'Observe', is.message || is.reason)
  }
}

/** A refusal is asked again at once, then ever less often: 200 ms · 2ⁿ, at most 5 s. */
function requeueAfterMs(nowMs: number, plan: Plan, { operation, failure, refusals }: Outcome): number {
  const untilNextTryMs = Math.max(IN_FLIGHT_MS, (nextTryMs(refusals) ?? Infinity) - nowMs)
  if (failure === undefined) return Math.min(plan.requeueAfterMs, untilNextTryMs)
  if (operation === undefined) return BLOCKED_MS
  return Math.min(5_000, plan.requeueAfterMs * 2 ** Math.min(operation.attempts, 8))
}

/**
 * Nothing is done for a spec that cannot be understood; what runs goes on running. If it is to be deleted, it is not held
 * back either: whether its volumes were to go cannot be read, so they stay.
 */
async function reportInvalid(
  deps: Deps,
  { object, message }: Extract<Observation, { kind: 'invalid' }>,
): Promise<ReconcileResult> {
  const { metadata } = object
  const finalizers = metadata.finalizers ?? []
  if (metadata.deletionTimestamp !== undefined && finalizers.includes(FINALIZER)) {
    const ref = { apiVersion: API_VERSION, kind: KIND, namespace: metadata.namespace ?? '', name: metadata.name }
    const others = finalizers.filter((name) => name !== FINALIZER)
    const { resourceVersion = '' } = metadata
    await deps.writer.patch(ref, { metadata: { resourceVersion, finalizers: others } })
    return { kind: 'done' }
  }
  await reportTrouble(deps, object, [{ type: 'Ready', status: 'False', reason: 'InvalidSpec', message }])
  return { kind: 'done', requeueAfterMs: BLOCKED_MS }
}

/**
 * A failed assertion or any other bug ends the reconcile of this cluster, and of no other. As long as it lasts, nothing that
 * status says about the cluster is looked after.
 */
async function reportBug(deps: Deps, object: KubeObject, bug: unknown): Promise<void> {
  const because = { reason: 'InternalError', message: `the operator has a bug; its log has more: ${String(bug)}` }
  deps.events.emit(object, 'Warning', because.reason, 'Reconcile', because.message)
  try {
    await reportTrouble(deps, object, [
      { type: 'Ready', status: 'Unknown', ...because },
      { type: 'Degraded', status: 'True', ...because },
    ])
  } catch (error) {
    // That it cannot be told either is no news: the caller throws the bug itself.
    if (!(error instanceof KubeError)) throw error
  }
}

/** Some conditions; all else stays as it was last known. */
async function reportTrouble(deps: Deps, object: KubeObject, found: readonly Finding[]): Promise<void> {
  const recorded = parseStatus(object['status'])
  const generation = object.metadata.generation ?? 0
  const nowMs = deps.nowMs()
  let conditions: readonly Condition[] = recorded.conditions
  for (const finding of found) conditions = setCondition(conditions, finding, generation, nowMs)
  const status = {
    ...recorded,
    observedGeneration: generation,
    sampledAt: timestamp(nowMs),
    conditions: [...conditions],
  }
  deps.onLook?.(blindLook(object, status, nowMs))
  if (isWorthWriting(recorded, status, nowMs)) await reportStatus(deps, object, status)
}
