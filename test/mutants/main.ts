/** `npm run test:mutants`: plants each bug alone and shows what caught it; one that survives is a hole in the simulation. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runMutant } from './plant.ts'
import { plantings } from './plantings.ts'

const TIMEOUT_MS = 600_000

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, seeds: { type: 'string', default: '400' } },
})
const waiting = plantings(values.seeds).filter(({ mutant: { name, file } }) => `${name} ${file}`.includes(values.only))
const all = waiting.length
let survived = 0

async function worker(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { mutant, program, args } = next
    const { verdict, output, seconds } = await runMutant(mutant, { program, args, timeoutMs: TIMEOUT_MS })
    // Of a test that fails the title says how.
    const how = /(?:CAUGHT|✖) (.*)/.exec(output)?.[1]
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
