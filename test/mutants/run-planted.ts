/**
 * One planted bug in a process of its own: `run-planted.ts NAME MOST-SEEDS`. Prints one line of JSON: {@link Finding}.
 */
import { plant } from './plant.ts'
import { STORE_MUTANTS } from './store-mutants.ts'

export interface Finding {
  /** What broke; undefined when the bug survived. */
  readonly caughtBy: string | undefined
  readonly seeds: number
  readonly seconds: number
}

const [name, most = '100'] = process.argv.slice(2)
const mutant = STORE_MUTANTS.find((each) => each.name === name)
if (mutant === undefined) throw new Error(`there is no mutant ${name}`)
const isPlanted = plant(mutant)
const { runSeed } = await import('../simulation/run-seed.ts')

const startedMs = performance.now()
let caughtBy: string | undefined
let seeds = 0
while (caughtBy === undefined && seeds < Number(most)) {
  seeds += 1
  const { failure } = await runSeed(seeds)
  caughtBy = failure?.error.message.split('\n')[0]?.slice(0, 160)
}
if (!isPlanted()) throw new Error(`${mutant.file} was never loaded`)
const finding: Finding = { caughtBy, seeds, seconds: (performance.now() - startedMs) / 1000 }
console.log(JSON.stringify(finding))
