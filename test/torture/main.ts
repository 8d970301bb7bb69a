/**
 * The store's database under torture: `npm run test:torture -- --for 10m --seed 1`. As many seeds as fit, each for at most
 * `--steps 400`, one after the other on one core; a failure tells its seed and step, which come again with `--seed`. The
 * seed fixes what is done and which steps are killed; how far such a step has come by then is up to the machine.
 *
 * Exit codes: 0 all held, 1 something did not, 2 wrong flags.
 */
import { parseArgs } from 'node:util'
import { err, ok, type Result } from '../../lib/result.ts'
import { parseDurationMs } from '../../node-server/config/duration.ts'
import { summary, tortureFor, type SeedsOptions } from './seeds.ts'

function parseOptions(args: readonly string[]): Result<SeedsOptions, string> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      for: { type: 'string', default: '10m' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      steps: { type: 'string', default: '400' },
    },
  })
  const forMs = parseDurationMs(values.for)
  const [firstSeed, maxSteps] = [Number(values.seed), Number(values.steps)]
  if (forMs === undefined || forMs <= 0) return err(`--for: '${values.for}' is not a duration such as 10m`)
  if (!Number.isSafeInteger(firstSeed) || firstSeed < 0) return err(`--seed: '${values.seed}' is not a natural number`)
  if (!Number.isSafeInteger(maxSteps) || maxSteps < 1) return err(`--steps: '${values.steps}' is not a count`)
  return ok({ firstSeed, forMs, maxSteps })
}

const parsed = parseOptions(process.argv.slice(2))
if (parsed.ok) {
  const total = await tortureFor(parsed.value, (seed, result) => console.log(`seed ${seed}: ${summary(result)}`))
  console.log(`in all: ${summary(total)}`)
  console.log(total.problem === undefined ? 'all held' : `FAILED: ${total.problem}`)
  process.exitCode = total.problem === undefined ? 0 : 1
} else {
  console.error(parsed.error)
  process.exitCode = 2
}
