/** Seeds one after the other until one fails: ends with 1 then, with 0 when none does. For planted bugs. */
import { runCrashPoint } from './crash-points.ts'
import { runSeed } from './run-seed.ts'

const [first = '1', count = '200', step = '1'] = process.argv.slice(2)
for (let tried = 1; tried <= Number(count); tried++) {
  const seed = Number(first) + (tried - 1) * Number(step)
  const { failure } = await runSeed(seed)
  if (failure === undefined) continue
  console.log(`CAUGHT after ${tried} seeds (seed ${seed}): ${failure.error.message}`)
  process.exit(1)
}
const { failure } = await runCrashPoint(undefined)
if (failure !== undefined) {
  console.log(`CAUGHT by the scenario of the crash points: ${failure.error.message}`)
  process.exit(1)
}
