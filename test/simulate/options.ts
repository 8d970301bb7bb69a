import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { err, ok, type Result } from '../../lib/result.ts'

export const USAGE = `Simulates under faults, one whole cluster for each seed: first the store, then the operator.

  npm run simulate                      200 seeds of each
  npm run simulate -- store --seed 17   that seed alone, with what happened before a failure
  npm run simulate -- --for 30m         as many seeds as fit (s, m, h), half of the time for each
  npm run simulate -- operator --seeds 1000 --first 5000 --jobs 2
  npm run simulate -- store --members 5 clusters of five, where the seed would draw one to seven
`

export interface SimulateOptions {
  /** Names of what is simulated, one after the other; empty: everything there is. */
  readonly subjects: readonly string[]
  readonly first: number
  /** Of each; Infinity with a time. */
  readonly seeds: number
  /** For all together. */
  readonly forMs: number
  readonly jobs: number
  readonly members: number | undefined
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }
const MAX_MEMBERS = 7

export function parseOptions(args: readonly string[], names: readonly string[]): Result<SimulateOptions, string> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      first: { type: 'string', default: '1' },
      for: { type: 'string' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      members: { type: 'string' },
    },
  })
  const unknown = positionals.find((name) => !names.includes(name))
  if (unknown !== undefined) return err(`${unknown} cannot be simulated, only ${names.join(' and ')}`)
  const [, amount, unit] = /^(\d+)([smh])$/.exec(values.for ?? '') ?? []
  if (values.for !== undefined && (amount === undefined || unit === undefined))
    return err(`--for ${values.for}: a number with s, m or h is expected, such as 30m`)
  for (const [name, text] of Object.entries(values))
    if (name !== 'for' && !/^\d{1,10}$/.test(text)) return err(`--${name} ${text}: a whole number is expected`)
  const members = values.members === undefined ? undefined : Number(values.members)
  if (members !== undefined && (members < 1 || members > MAX_MEMBERS))
    return err(`--members ${members}: 1 to ${MAX_MEMBERS} are expected`)
  const forMs = amount === undefined || unit === undefined ? Infinity : Number(amount) * (UNITS[unit] ?? 0)
  const isReplay = values.seed !== undefined
  return ok({
    subjects: positionals,
    first: Number(values.seed ?? values.first),
    seeds: isReplay ? 1 : Number(values.seeds ?? (forMs === Infinity ? 200 : Infinity)),
    forMs,
    jobs: isReplay ? 1 : Math.max(1, Number(values.jobs)),
    members,
  })
}
