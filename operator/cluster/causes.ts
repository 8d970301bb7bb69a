/** Why a pod is not up, as the scheduler, the kubelet or the API server puts it: appended to the message of what waits for the pod. Pure. */
import type { Observed } from './observed.ts'

/** Undefined where nobody has said anything. */
export function causeOf({ pods, creationRefusal }: Observed, ordinal: number): string | undefined {
  const pod = pods.get(ordinal)
  const message = pod === undefined ? creationRefusal : pod.trouble?.message
  return message === '' ? undefined : message
}

/** "waits for kv-1 to start: kv-1: exceeded quota …", with as many causes as are known. */
export function because(observed: Observed, ordinals: readonly number[], message: string): string {
  const causes = ordinals.flatMap((ordinal) => causeOf(observed, ordinal) ?? [])
  return causes.length === 0 ? message : `${message}: ${[...new Set(causes)].join('; ')}`
}
