/** Scaled to zero: no pod, every member and every volume stays; what was in flight waits. Pure. */
import type { Observed } from '../observed.ts'
import { type Plan, SETTLED_MS, waiting } from '../plan.ts'

export function scaleToZero({ cluster, pods }: Observed): Plan | undefined {
  if (cluster.spec.replicas > 0) return undefined
  const { operation } = cluster.recorded
  if (pods.size > 0) return waiting('ScalingToZero', 'pods stop; members and their volumes stay', operation)
  const message = 'spec.replicas is 0: members and their volumes stay'
  return { ...waiting('ScaledToZero', message, operation), requeueAfterMs: SETTLED_MS, isSettled: true }
}
