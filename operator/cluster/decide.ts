/**
 * What to do next: the first rule with work wins, and only its membership change is in the plan. Objects edited by hand
 * are put back beside it, so that a long wait for a learner does not hold that up. A rule whose work the API server
 * refuses is passed over until that is tried again: it would win for ever. So is one that only waits for Kubernetes longer than
 * that should take.
 *
 * Invariants (safety.ts asserts them): at most one membership change a plan, decided on the configuration in force and
 * recorded in status first; no removal that costs the quorum; no volume deleted whose ordinal is a member.
 *
 * Pure: equal inputs, equal plan. Each rule looks at the live member list, not at what the operator remembers: what is
 * already done is thereby not done again, and an edit that turns a plan around takes effect at the next step.
 */
import type { Observed } from './observed.ts'
import {
  type Action,
  blocked,
  BLOCKED_MS,
  chainsOf,
  type Decision,
  IN_FLIGHT_MS,
  type Plan,
  SETTLED_MS,
} from './plan.ts'
import { isHeldBack, isRefused } from './refusals.ts'
import { deleteStaleVolumes, finishRemoval } from './rules/cleanup.ts'
import { defragment } from './rules/defragment.ts'
import { deletion } from './rules/deletion.ts'
import { form } from './rules/form.ts'
import { heal } from './rules/heal.ts'
import { awaitChange, awaitLeader } from './rules/leader.ts'
import { finishLearner } from './rules/learner.ts'
import { moveLeaderAsAsked } from './rules/move-leader.ts'
import { restoreObjects, takenNames } from './rules/objects.ts'
import { reclaimSpace } from './rules/reclaim.ts'
import { emptyFormer, recover } from './rules/recover.ts'
import { restoreInPlace } from './rules/restore-in-place.ts'
import { replaceMember } from './rules/replace.ts'
import { renewStopped, rollOut } from './rules/rollout.ts'
import { scaleDown } from './rules/scale-down.ts'
import { scaleUp } from './rules/scale-up.ts'
import { isPhaseNew } from './rules/tls-phase.ts'
import { awaitSight } from './rules/unread.ts'
import { userSteps } from './rules/users.ts'
import { scaleToZero } from './rules/scale-to-zero.ts'
import { assertSafe } from './safety.ts'

type Rule = (observed: Observed) => Plan | undefined

/** These leave the objects alone. */
const STANDSTILL: readonly Rule[] = [awaitSight, deletion, paused, takenNames]

/**
 * Without a leader only what a stopped process or a lost quorum needs is decided; then what was begun, room for writes, then repair
 * before rollout, rollout before growth, growth before shrinking, and upkeep last.
 */
const RULES: readonly Rule[] = [
  scaleToZero,
  renewStopped,
  form,
  restoreInPlace,
  recover,
  awaitLeader,
  awaitChange,
  emptyFormer,
  finishRemoval,
  reclaimSpace,
  heal,
  finishLearner,
  replaceMember,
  rollOut,
  scaleUp,
  scaleDown,
  deleteStaleVolumes,
  moveLeaderAsAsked,
  defragment,
]

export function decide(observed: Observed): Decision {
  const standstill = firstOf(STANDSTILL, observed)
  const { plan, wanted } = standstill ?? firstOf(RULES, observed) ?? { plan: settled(), wanted: [] }
  assertSafe(observed, plan)
  const objects = standstill === undefined ? restoreObjects(observed) : []
  const free = objects.filter((action) => !isHeldBack(observed, action))
  const isTurning = standstill === undefined && isPhaseNew(observed)
  return {
    ...plan,
    // The next certificate, or pod template, builds on what is made or recorded now.
    ...((isTurning || free.some(isOfTls)) && { requeueAfterMs: Math.min(plan.requeueAfterMs, IN_FLIGHT_MS) }),
    objects: free,
    userSteps: standstill === undefined ? userSteps(observed) : undefined,
    wanted: [...objects, ...wanted],
  }
}

function isOfTls({ kind }: Action): boolean {
  return kind === 'make-authority' || kind === 'write-certificates'
}

interface Choice {
  readonly plan: Plan
  /** Also what is held back in it, and in the plans before it. */
  readonly wanted: readonly Action[]
}

function firstOf(rules: readonly Rule[], observed: Observed): Choice | undefined {
  let held: Choice | undefined
  for (const rule of rules) {
    const plan = rule(observed)
    if (plan === undefined) continue
    const free = chainsOf(plan.actions).filter((chain) => !chain.some((action) => isHeldBack(observed, action)))
    const actions = free.flat()
    const wanted = [...(held?.wanted ?? []), ...plan.actions]
    const isHeld = actions.length < plan.actions.length || isRefused(observed, plan.waitsFor ?? '')
    const isWaiting = plan.yields === true && !hasWork(actions)
    if (!isWaiting && (hasWork(actions) || !isHeld)) return { plan: after(held?.plan, { ...plan, actions }), wanted }
    held ??= { plan: { ...plan, actions: [], requeueAfterMs: BLOCKED_MS }, wanted }
  }
  return held
}

function hasWork(actions: readonly Action[]): boolean {
  return actions.some(({ kind }) => kind !== 'record-operation')
}

/** What is in flight in a plan that is held back is not forgotten, unless something else is begun. */
function after(held: Plan | undefined, plan: Plan): Plan {
  if (held === undefined || hasWork(plan.actions)) return plan
  return { ...plan, operation: plan.operation ?? held.operation, requeueAfterMs: BLOCKED_MS }
}

function paused({ cluster }: Observed): Plan | undefined {
  if (!cluster.spec.paused) return undefined
  const message = 'spec.paused is set: the cluster runs on, the operator changes nothing'
  return { ...blocked('Paused', message, cluster.recorded.operation), isBlocked: false }
}

function settled(): Plan {
  return {
    reason: 'Settled',
    message: 'all members are as wanted',
    actions: [],
    operation: undefined,
    requeueAfterMs: SETTLED_MS,
    isSettled: true,
    isBlocked: false,
  }
}
