/** What can be simulated: each runs one seed, and names the places that enough seeds must have come to. */
import * as operatorCoverage from '../operator-simulation/coverage.ts'
import { runSeed as runOperatorSeed } from '../operator-simulation/run-seed.ts'
import * as storeCoverage from '../simulation/coverage.ts'
import { runSeed as runStoreSeed } from '../simulation/run-seed.ts'

export interface SeedResult {
  readonly counts: Iterable<readonly [string, number]>
  /** Of the subject's unit. */
  readonly work: number
  readonly simulatedMs: number
  readonly failure: { readonly error: Error; readonly events: readonly string[] } | undefined
}

export interface Subject {
  readonly name: string
  /** What `work` counts. */
  readonly unit: string
  readonly places: readonly { readonly title: string; readonly names: readonly string[] }[]
  /** Fewer seeds need not have come everywhere. */
  readonly enough: number
  /** `members`: of the store, where the seed would draw them. */
  readonly run: (seed: number, members: number | undefined) => Promise<SeedResult>
}

const store: Subject = {
  name: 'store',
  unit: 'commits',
  places: [
    { title: 'Faults', names: storeCoverage.FAULTS },
    { title: 'Paths', names: storeCoverage.PATHS },
  ],
  enough: 200,
  run: async (seed, members) => {
    const run = await runStoreSeed(seed, members === undefined ? {} : { members })
    const { coverage, commits, simulatedMs, failure } = run
    return { counts: coverage.counts, work: commits, simulatedMs, failure }
  },
}

const operator: Subject = {
  name: 'operator',
  unit: 'reconciles',
  places: [
    { title: 'Faults', names: operatorCoverage.FAULTS },
    { title: 'Steps', names: operatorCoverage.STEPS },
  ],
  enough: 1000,
  run: async (seed) => {
    const { counts, reconciles, virtualMs, failure } = await runOperatorSeed(seed)
    return { counts, work: reconciles, simulatedMs: virtualMs, failure }
  },
}

export const SUBJECTS: readonly Subject[] = [store, operator]
