/** Nothing is decided on half of the picture: what was not read may be just what would forbid it. Pure. */
import type { Observed, Unread } from '../observed.ts'
import { type Plan, waiting } from '../plan.ts'

/** They are only put back: where one cannot be read, it alone is left as it is. */
const DISPENSABLE: ReadonlySet<string> = new Set([
  'ServiceAccount',
  'Service',
  'PodDisruptionBudget',
  'NetworkPolicy',
  'Certificate',
])

export function unreadEssential({ unread }: Observed): Unread | undefined {
  return unread.find(({ kind }) => !DISPENSABLE.has(kind))
}

export function awaitSight(observed: Observed): Plan | undefined {
  const missing = unreadEssential(observed)
  if (missing === undefined) return undefined
  const message = `the operator does nothing while ${missing.kind} cannot be read: ${missing.error.problem.message}`
  return waiting('NotObserved', message, observed.cluster.recorded.operation)
}
