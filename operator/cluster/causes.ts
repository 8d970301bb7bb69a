/** Why a pod is not up, in the words of whoever stands in its way: to stand behind what waits for it. Pure. */
import type { Observed } from './observed.ts'

/** Undefined where nobody has said anything. */
export function causeOf({ pods, creationRefusal }: Observed, ordinal: number): string | undefined {
  const pod = pods.get(ordinal)
  const words = pod === undefined ? creationRefusal : pod.trouble?.message
  return words === '' ? undefined : words
}

/** "waits for kv-1 to start: kv-1: exceeded quota …", with as many causes as are known. */
export function because(observed: Observed, ordinals: readonly number[], message: string): string {
  const causes = ordinals.flatMap((ordinal) => causeOf(observed, ordinal) ?? [])
  return causes.length === 0 ? message : `${message}: ${[...new Set(causes)].join('; ')}`
}
