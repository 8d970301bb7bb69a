/** One seed, with everything that is checked of it. */
import { checkHistories } from './histories.ts'
import { outsideOfMicrotasks } from './microtasks.ts'
import { simulateCore } from './raft-core.ts'
import { simulate, type Run, type SimulationOptions } from './simulation.ts'

export const FAULT_MS = 60_000

export function runSeed(seed: number, options: Partial<SimulationOptions> = {}): Promise<Run> {
  return outsideOfMicrotasks(() => {
    const run = simulate({ seed, faultMs: FAULT_MS, ...options })
    if (run.failure !== undefined) return run
    try {
      simulateCore(seed, run.coverage)
      checkHistories(run.calls, run.watches, run.clockDrift)
      return run
    } catch (error) {
      return {
        ...run,
        failure: { error: error instanceof Error ? error : new Error(String(error)), events: run.events },
      }
    }
  })
}
