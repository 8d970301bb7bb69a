/** `npm run test:mutants`: plants each bug alone and shows what caught it; one that survives is a hole in the simulation. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MUTANTS as OPERATOR_MUTANTS } from '../operator-simulation/planted.ts'
import { TORTURE_MUTANTS } from '../torture/planted.ts'
import { CATCH_UP_MUTANTS } from './catch-up-mutants.ts'
import { runMutant, type Mutant } from './plant.ts'
import { RECONFIGURATION_MUTANTS } from './reconfiguration-mutants.ts'
import { RUNS_MUTANTS } from './runs-mutants.ts'
import { STORE_MUTANTS } from './store-mutants.ts'

const TIMEOUT_MS = 600_000

interface Planting {
  readonly mutant: Mutant
  /** Runs seeds, or cases, until one fails. */
  readonly program: string
  readonly args: readonly string[]
}

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, seeds: { type: 'string', default: '400' } },
})
const hunt = (folder: string): string => join(import.meta.dirname, '..', folder, 'hunt.ts')
const store = STORE_MUTANTS.map((mutant): Planting => ({ mutant, program: hunt('simulation'), args: [values.seeds] }))
const program = join(import.meta.dirname, '..', 'simulation', 'reconfiguration-hunt.ts')
const reconfiguration = RECONFIGURATION_MUTANTS.map((mutant): Planting => ({ mutant, program, args: [] }))
const catchUpHunt = join(import.meta.dirname, '..', 'simulation', 'catch-up-hunt.ts')
const catchUp = CATCH_UP_MUTANTS.map((mutant): Planting => ({ mutant, program: catchUpHunt, args: [] }))
const runsHunt = join(import.meta.dirname, 'runs-hunt.ts')
const runs = RUNS_MUTANTS.map((mutant): Planting => ({ mutant, program: runsHunt, args: [] }))
const operator = OPERATOR_MUTANTS.map((mutant): Planting => ({
  mutant,
  program: hunt('operator-simulation'),
  args: ['1', values.seeds],
}))
const torture = TORTURE_MUTANTS.map((mutant): Planting => ({ mutant, program: hunt('torture'), args: [] }))
const waiting = [...store, ...reconfiguration, ...catchUp, ...runs, ...operator, ...torture].filter(
  ({ mutant: { name, file } }) => `${name} ${file}`.includes(values.only),
)
const all = waiting.length
let survived = 0

async function worker(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { mutant, program, args } = next
    const { verdict, output, seconds } = await runMutant(mutant, { program, args, timeoutMs: TIMEOUT_MS })
    const how = /CAUGHT (.*)/.exec(output)?.[1]
    const isCaught = verdict === 'caught' && how !== undefined
    if (!isCaught) survived += 1
    const what = isCaught ? how : `${verdict}\n${output.slice(-2000)}`
    console.log(
      `${isCaught ? 'caught' : 'NOT   '} ${seconds.toFixed(1).padStart(6)} s  ${mutant.name}\n${' '.repeat(17)}${what}`,
    )
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, worker))
console.log(`\n${all} bugs planted, ${survived} not caught`)
process.exitCode = survived === 0 ? 0 : 1
