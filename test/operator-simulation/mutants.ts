/** `node test/operator-simulation/mutants.ts [word]`: each planted bug alone, and what noticed it. Ends with 1 when one survives. */
import { join } from 'node:path'
import { runMutant } from '../mutants/plant.ts'
import { MUTANTS } from './planted.ts'

const SEEDS = 250
const TIMEOUT_MS = 300_000

const word = process.argv[2] ?? ''
let survivors = 0
for (const mutant of MUTANTS.filter(({ name }) => name.includes(word))) {
  const program = join(import.meta.dirname, 'hunt.ts')
  const { verdict, output, seconds } = await runMutant(mutant, {
    program,
    args: ['1', String(SEEDS)],
    timeoutMs: TIMEOUT_MS,
  })
  const how = /CAUGHT (.*)/.exec(output)?.[1]
  const isCaught = verdict === 'caught' && how !== undefined
  if (!isCaught) survivors += 1
  const what = isCaught ? how : `${verdict.toUpperCase()}\n${output.slice(-2000)}`
  console.log(
    `${isCaught ? 'caught' : 'NOT   '} ${seconds.toFixed(1).padStart(6)} s  ${mutant.name}\n${' '.repeat(17)}${what}`,
  )
}
console.log(`${survivors} survive`)
process.exitCode = survivors === 0 ? 0 : 1
