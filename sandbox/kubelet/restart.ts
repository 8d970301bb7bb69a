/** Whether and when a container that has ended runs again. Pure; Kubernetes' delays: 10 s, doubled to 5 min. */
import type { RestartPolicy } from './pod.ts'

const FIRST_MS = 10_000
const MAX_MS = 300_000
/** After so long a run the next failure counts as the first again. */
const FORGIVEN_AFTER_MS = 600_000

export interface Crashes {
  /** Since the last long run. */
  readonly count: number
}

export const NO_CRASHES: Crashes = { count: 0 }

export function countExit(crashes: Crashes, ranMs: number): Crashes {
  return { count: (ranMs >= FORGIVEN_AFTER_MS ? 0 : crashes.count) + 1 }
}

/** The first restart is immediate. */
export function restartDelayMs({ count }: Crashes): number {
  return count <= 1 ? 0 : Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(count - 2, 20))
}

export function isRestarted(policy: RestartPolicy, exitCode: number): boolean {
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0)
}
