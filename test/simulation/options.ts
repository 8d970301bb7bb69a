import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { err, ok, type Result } from '../../lib/result.ts'

export const USAGE = `Simulates whole clusters under faults, one for each seed.

  npm run simulate                      200 seeds
  npm run simulate -- --seed 17         that seed alone, with what happened before a failure
  npm run simulate -- --for 30m         as many seeds as fit (s, m, h)
  npm run simulate -- --seeds 1000 --first 5000 --jobs 2
`

export interface SimulateOptions {
  readonly first: number
  /** Infinity with a time. */
  readonly seeds: number
  readonly forMs: number
  readonly jobs: number
  /** One seed, to be looked at. */
  readonly isReplay: boolean
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

export function parseOptions(args: readonly string[]): Result<SimulateOptions, string> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string', default: '200' },
      first: { type: 'string', default: '1' },
      for: { type: 'string' },
      jobs: { type: 'string', default: String(availableParallelism()) },
    },
  })
  const [, amount, unit] = /^(\d+)([smh])$/.exec(values.for ?? '') ?? []
  if (values.for !== undefined && (amount === undefined || unit === undefined))
    return err(`--for ${values.for}: a number with s, m or h is expected, such as 30m`)
  const numbers = { seed: values.seed ?? '0', seeds: values.seeds, first: values.first, jobs: values.jobs }
  for (const [name, text] of Object.entries(numbers))
    if (!/^\d{1,10}$/.test(text)) return err(`--${name} ${text}: a whole number is expected`)
  const forMs = amount === undefined || unit === undefined ? Infinity : Number(amount) * (UNITS[unit] ?? 0)
  return ok({
    first: Number(values.seed ?? values.first),
    seeds: values.seed !== undefined ? 1 : forMs === Infinity ? Number(values.seeds) : Infinity,
    forMs,
    jobs: values.seed !== undefined ? 1 : Math.max(1, Number(values.jobs)),
    isReplay: values.seed !== undefined,
  })
}
