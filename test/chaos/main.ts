/**
 * Real processes under faults: `npm run test:chaos -- --for 20m --seed 1`. Besides: `--clients 6`, `--pause 25ms` between
 * the calls of a client, `--recovery 10s` that the cluster may take after each episode, `--etcdctl PATH` (without
 * it the one on the PATH, if there is one) and `--keep` of logs and history also when all held.
 *
 * The seed fixes the plan of the faults and what each client does; when they meet is up to the machine. Exit codes: 0 all
 * held, 1 something did not, 2 wrong flags.
 *
 * Before it the database under the store is tortured by itself, for `--torture 3m` (see test/torture).
 */
import { parseArgs } from 'node:util'
import { err, ok, type Result } from '../../lib/result.ts'
import { parseDurationMs } from '../../node-server/config/duration.ts'
import { hasEtcdctl } from './etcdctl.ts'
import { summary as tortureSummary, tortureFor } from '../torture/seeds.ts'
import { summary, runChaos, type RunOptions } from './run.ts'

interface ChaosOptions extends RunOptions {
  readonly tortureMs: number
}

const TORTURE_STEPS_OF_A_SEED = 400

function parseOptions(args: readonly string[]): Result<ChaosOptions, string> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      for: { type: 'string', default: '20m' },
      torture: { type: 'string', default: '3m' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      clients: { type: 'string', default: '6' },
      pause: { type: 'string', default: '25ms' },
      recovery: { type: 'string', default: '10s' },
      etcdctl: { type: 'string', default: 'etcdctl' },
      keep: { type: 'boolean', default: false },
    },
  })
  const [forMs, pauseMs] = [parseDurationMs(values.for), parseDurationMs(values.pause)]
  const [recoveryMs, tortureMs] = [parseDurationMs(values.recovery), parseDurationMs(values.torture)]
  const [seed, clients] = [Number(values.seed), Number(values.clients)]
  if (forMs === undefined || forMs <= 0) return err(`--for: '${values.for}' is not a duration such as 20m`)
  if (pauseMs === undefined || pauseMs < 0) return err(`--pause: '${values.pause}' is not a duration such as 25ms`)
  if (recoveryMs === undefined || recoveryMs <= 0) return err(`--recovery: '${values.recovery}' is not a duration`)
  if (tortureMs === undefined || tortureMs < 0) return err(`--torture: '${values.torture}' is not a duration`)
  if (!Number.isSafeInteger(seed) || seed < 0) return err(`--seed: '${values.seed}' is not a natural number`)
  if (!Number.isSafeInteger(clients) || clients < 1) return err(`--clients: '${values.clients}' is not a count`)
  return ok({ seed, forMs, tortureMs, recoveryMs, clients, pauseMs, etcdctl: values.etcdctl, isKept: values.keep })
}

async function main(): Promise<number> {
  const parsed = parseOptions(process.argv.slice(2))
  if (!parsed.ok) {
    console.error(parsed.error)
    return 2
  }
  const { etcdctl: program = '' } = parsed.value
  const etcdctl = (await hasEtcdctl(program)) ? program : undefined
  const options = { ...parsed.value, etcdctl }
  const clients =
    etcdctl === undefined ? 'etcdctl is not there: with clients of our own alone' : `with ${etcdctl} besides`
  console.log(`chaos for ${options.forMs / 1000} s, seed ${options.seed}, ${clients}`)
  const tortured = await tortureFor({
    firstSeed: options.seed,
    forMs: options.tortureMs,
    maxSteps: TORTURE_STEPS_OF_A_SEED,
  })
  console.log(`the database, tortured: ${tortureSummary(tortured)}`)
  if (tortured.problem !== undefined) {
    console.log(`FAILED: ${tortured.problem}`)
    return 1
  }
  const result = await runChaos(options)
  console.log(summary(options, result))
  for (const kind of result.missed) console.log(`MISSED: ${kind} never struck`)
  for (const problem of result.problems) console.log(`PROBLEM: ${problem}`)
  const isGood = result.missed.length === 0 && result.problems.length === 0
  if (!isGood || options.isKept) console.log(`schedule, logs and history: ${result.directory}`)
  console.log(isGood ? 'all held' : `FAILED; again: npm run test:chaos -- --seed ${options.seed}`)
  return isGood ? 0 : 1
}

process.exitCode = await main()
