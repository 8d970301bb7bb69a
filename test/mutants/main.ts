/** `npm run test:mutants`: plants each bug alone and shows what caught it; one that survives is a hole in the simulation. */
import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { Mutant } from './plant.ts'
import type { Finding } from './run-planted.ts'
import { STORE_MUTANTS } from './store-mutants.ts'

const run = promisify(execFile)
const CHILD = join(import.meta.dirname, 'run-planted.ts')

async function find(mutant: Mutant, seeds: string): Promise<Finding> {
  const { stdout } = await run(process.execPath, [CHILD, mutant.name, seeds], { maxBuffer: 64 * 1024 * 1024 })
  const line: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
  if (typeof line !== 'object' || line === null || !('seeds' in line)) throw new Error(`${mutant.name}: no finding`)
  return line as Finding
}

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, seeds: { type: 'string', default: '200' } },
})
const waiting = STORE_MUTANTS.filter(({ name }) => name.includes(values.only))
const all = waiting.length
let survived = 0

async function worker(): Promise<void> {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const { caughtBy, seeds, seconds } = await find(mutant, values.seeds)
    if (caughtBy === undefined) survived += 1
    const effort = `${seeds} ${seeds === 1 ? 'seed' : 'seeds'}, ${seconds.toFixed(1)} s`
    console.log(`${caughtBy === undefined ? 'SURVIVED' : 'caught  '}  ${mutant.name}  (${effort})`)
    if (caughtBy !== undefined) console.log(`            by ${caughtBy}`)
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, worker))
console.log(`\n${all} bugs planted, ${all - survived} caught, ${survived} survived`)
process.exitCode = survived === 0 ? 0 : 1
