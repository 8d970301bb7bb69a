/** Command line of the twin test. */
import { parseArgs } from 'node:util'

export interface Options {
  readonly seeds: number
  readonly firstSeed: number
  /** Replays one shrunk sequence of `firstSeed`. */
  readonly path: string | undefined
  /** Only cases whose name contains this; `none` for no case at all. */
  readonly cases: string | undefined
  /** Prints failures and the closing line only. */
  readonly isQuiet: boolean
  /** Sequences with users and roles, and no others. */
  readonly isWithUsers: boolean
  /** Services that are left out of sequences. */
  readonly without: ReadonlySet<string>
}

export const USAGE = `npm run test:twin -- [--seeds N] [--seed S [--path P]] [--cases TEXT|none] [--users] [--without lease,watch] [--quiet]`

export function parseOptions(args: readonly string[]): Options | { readonly problem: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seeds: { type: 'string' },
        seed: { type: 'string' },
        path: { type: 'string' },
        cases: { type: 'string' },
        without: { type: 'string', default: '' },
        users: { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false },
      },
    })
    const seeds = wholeNumber('seeds', values.seeds ?? (values.path === undefined ? '30' : '1'))
    const firstSeed = wholeNumber('seed', values.seed ?? '1')
    const { path, cases, quiet, users } = values
    const without = new Set(values.without.split(',').filter((name) => name !== ''))
    return { seeds, firstSeed, path, cases, isQuiet: quiet, isWithUsers: users, without }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name}: '${text}' is not a whole number`)
  return value
}
