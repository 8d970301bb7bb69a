import type { Stuck } from '../observed.ts'
import type { KubeObject } from '../ports.ts'

/** Time that whatever is being deleted has beside its own, before it counts as stuck. */
const STUCK_MS = 30_000

/** A pod's time of deletion is when its time to stop is over. */
export function stuckOf(
  { deletionTimestamp, finalizers = [] }: KubeObject['metadata'],
  nowMs: number,
): Stuck | undefined {
  const sinceMs = Date.parse(deletionTimestamp ?? '')
  return nowMs - sinceMs >= STUCK_MS ? { sinceMs, finalizers } : undefined
}
