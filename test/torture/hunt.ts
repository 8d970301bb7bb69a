/** Seeds one after the other until one fails: ends with 1 then, with 0 when none does. For planted bugs. */
import '../../node-server/storage/runs/runs-backend.ts' // Here only for who looks whether the bug was planted: it is used in children.
import { torture } from './run.ts'

const MAX_STEPS = 60

const [count = '5'] = process.argv.slice(2)
for (let seed = 1; seed <= Number(count); seed++) {
  const { problem } = await torture({ seed, maxSteps: MAX_STEPS, untilMs: Infinity, isKept: false })
  if (problem === undefined) continue
  console.log(`CAUGHT after ${seed} ${seed === 1 ? 'seed' : 'seeds'}: ${problem.split('\n')[0]?.slice(0, 150)}`)
  process.exit(1)
}
