/** Seeds one after the other, until the time is over or one fails. */
import type { StepKind } from './plan.ts'
import { torture, type TortureResult } from './run.ts'

export interface SeedsOptions {
  readonly firstSeed: number
  readonly forMs: number
  readonly maxSteps: number
}

export async function tortureFor(
  { firstSeed, forMs, maxSteps }: SeedsOptions,
  onSeed: (seed: number, result: TortureResult) => void = () => {},
): Promise<TortureResult> {
  const untilMs = performance.now() + forMs
  let total: TortureResult = { problem: undefined, steps: new Map(), commits: 0, kills: 0, largestStoreBytes: 0 }
  for (let seed = firstSeed; total.problem === undefined && performance.now() < untilMs; seed++) {
    const result = await torture({ seed, maxSteps, untilMs, isKept: true })
    onSeed(seed, result)
    total = sum(total, result)
  }
  return total
}

function sum(a: TortureResult, b: TortureResult): TortureResult {
  const steps = new Map<StepKind, number>(a.steps)
  for (const [kind, count] of b.steps) steps.set(kind, (steps.get(kind) ?? 0) + count)
  return {
    problem: a.problem ?? b.problem,
    steps,
    commits: a.commits + b.commits,
    kills: a.kills + b.kills,
    largestStoreBytes: Math.max(a.largestStoreBytes, b.largestStoreBytes),
  }
}

export function summary({ steps, commits, kills, largestStoreBytes }: TortureResult): string {
  const kinds = [...steps].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${count} ${kind}`)
  const all = [...steps.values()].reduce((total, count) => total + count, 0)
  const largest = `largest store ${(largestStoreBytes / 1e6).toFixed(0)} MB`
  return `${all} steps (${kinds.join(', ')}), ${commits} commits, ${kills} kills, ${largest}`
}
