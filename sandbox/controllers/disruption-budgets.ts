/** Counts how many pods a PodDisruptionBudget lets go: what the eviction API, and so `kubectl drain`, looks at. */
import { z } from 'zod'
import type { StoredObject } from '../client/object.ts'
import { controllerUid, keyOf, timestamp } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import { Selector, matches } from '../client/selector.ts'
import type { Loop, Sandbox } from './loop.ts'
import { startLoop } from './loop.ts'

/** An eviction that was granted counts against the budget until its pod is seen to go, this long at most. */
const DISRUPTED_FOR_MS = 120_000

const share = z.union([z.number(), z.string()])
const Budget = z.object({
  spec: z.object({ minAvailable: share.optional(), maxUnavailable: share.optional(), selector: Selector.optional() }),
  status: z
    .looseObject({
      disruptedPods: z.record(z.string(), z.string()).default({}),
      conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
    })
    .prefault({}),
})
export type Budget = z.infer<typeof Budget>

const PodHealth = z.object({
  status: z
    .object({
      phase: z.string().default('Pending'),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    })
    .prefault({}),
})

export interface BudgetCount {
  readonly expectedPods: number
  readonly currentHealthy: number
  readonly desiredHealthy: number
  readonly disruptionsAllowed: number
}

/** `scale` is how many pods the controllers of these pods want. */
export function countBudget(
  { minAvailable, maxUnavailable }: Budget['spec'],
  healthy: number,
  total: number,
  scale: number,
): BudgetCount {
  const isAbsolute = typeof minAvailable === 'number'
  const expectedPods = isAbsolute ? total : scale
  const desiredHealthy =
    maxUnavailable === undefined
      ? portion(minAvailable ?? 1, expectedPods)
      : Math.max(0, expectedPods - portion(maxUnavailable, expectedPods))
  const disruptionsAllowed = expectedPods > 0 ? Math.max(0, healthy - desiredHealthy) : 0
  return { expectedPods, currentHealthy: healthy, desiredHealthy, disruptionsAllowed }
}

/** A percentage is rounded up. */
function portion(value: number | string, total: number): number {
  if (typeof value === 'number') return value
  return Math.ceil((Number(value.replace('%', '')) * total) / 100)
}

export async function startDisruptionBudgets(sandbox: Sandbox): Promise<Loop> {
  const { mirrors } = sandbox
  const budgets = mirrors.of(RESOURCES.disruptionBudgets)
  const pods = mirrors.of(RESOURCES.pods)
  const sets = mirrors.of(RESOURCES.statefulSets)
  await Promise.all([budgets.synced, pods.synced, sets.synced])
  const loop = startLoop(sandbox, {
    name: 'disruption-budget',
    reconcile: async (key) => reconcile(sandbox, key),
    keys: () => [...budgets.values()].map(keyOf),
  })
  budgets.onChange((budget, isGone) => isGone || loop.enqueue(keyOf(budget)))
  const all = (object: StoredObject): void => {
    for (const budget of budgets.inNamespace(object.metadata.namespace)) loop.enqueue(keyOf(budget))
  }
  pods.onChange(all)
  sets.onChange(all)
  return loop
}

async function reconcile({ client, mirrors }: Sandbox, key: string): Promise<number | undefined> {
  const object = mirrors.of(RESOURCES.disruptionBudgets).get(key)
  if (object === undefined) return undefined
  const { spec, status } = Budget.parse(object)
  const pods = mirrors
    .of(RESOURCES.pods)
    .inNamespace(object.metadata.namespace)
    .filter((pod) => matches(spec.selector, pod.metadata.labels))
  const nowMs = Date.now()
  const present = new Set(
    pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map(({ metadata }) => metadata.name),
  )
  const disrupted = Object.fromEntries(
    Object.entries(status.disruptedPods).filter(
      ([name, since]) => present.has(name) && nowMs - Date.parse(since) < DISRUPTED_FOR_MS,
    ),
  )
  const healthy = pods.filter((pod) => isHealthy(pod) && !Object.hasOwn(disrupted, pod.metadata.name)).length
  const owners = new Set(pods.map(controllerUid))
  const scale = mirrors
    .of(RESOURCES.statefulSets)
    .inNamespace(object.metadata.namespace)
    .filter(({ metadata }) => owners.has(metadata.uid))
    .reduce(
      (sum, set) => sum + z.object({ spec: z.object({ replicas: z.number().default(1) }) }).parse(set).spec.replicas,
      0,
    )
  const count = countBudget(spec, healthy, pods.length, scale)
  const next = { ...count, observedGeneration: object.metadata.generation ?? 0 }
  const isSame =
    Object.entries(next).every(([name, value]) => status[name] === value) &&
    Object.keys(disrupted).length === Object.keys(status.disruptedPods).length
  if (!isSame) {
    const body = {
      ...object,
      status: { ...next, disruptedPods: disrupted, conditions: conditionsOf(status, next, nowMs) },
    }
    await client.update(RESOURCES.disruptionBudgets, body, { subresource: 'status' })
  }
  return Object.keys(disrupted).length === 0 ? undefined : DISRUPTED_FOR_MS
}

function isHealthy(pod: StoredObject): boolean {
  const { conditions } = PodHealth.parse(pod).status
  const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  return isReady && pod.metadata.deletionTimestamp === undefined
}

function conditionsOf(
  status: Budget['status'],
  count: BudgetCount & { readonly observedGeneration: number },
  nowMs: number,
): readonly unknown[] {
  const { observedGeneration } = count
  const isAllowed = count.disruptionsAllowed > 0
  const known = status.conditions.find(({ type }) => type === 'DisruptionAllowed')
  const state = isAllowed ? 'True' : 'False'
  const condition = {
    type: 'DisruptionAllowed',
    status: state,
    reason: isAllowed ? 'SufficientPods' : 'InsufficientPods',
    message: '',
    observedGeneration,
    lastTransitionTime: known?.status === state ? known['lastTransitionTime'] : timestamp(nowMs),
  }
  return [...status.conditions.filter(({ type }) => type !== 'DisruptionAllowed'), condition]
}
