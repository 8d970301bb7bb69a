/** Command line of the limits. */
import { parseArgs } from 'node:util'
import { err, ok, type Result } from '../../lib/result.ts'

export interface Options {
  /** Scenarios whose name contains one of these; all when there is none. */
  readonly only: readonly string[]
  /** Of the full sizes. */
  readonly scale: number
  /** Multiplies the bounds that are multiples of another figure. */
  readonly slack: number
  /** Without variants and what is long, and judged by what happened rather than by how long it took. */
  readonly isQuick: boolean
  /** For each scenario with each server. */
  readonly limitMs: number
  /** Path of an etcd to take instead of building one; the quick form builds none. */
  readonly etcd: string | undefined
  /** Where the rows are written besides; a figure that was not reached is null there, one that is missing is left out. */
  readonly json: string | undefined
}

export const USAGE =
  'npm run test:limits -- [--quick] [--only TEXT[,TEXT]] [--scale 0.1] [--slack 1] [--etcd PATH] [--json FILE]'

const FULL = { scale: '1', limitMs: 300_000 } as const
const QUICK = { scale: '0.05', limitMs: 120_000 } as const
/** What a scenario writes at its full size fits the room that is asked for. */
const MAX_SCALE = 1

export function parseOptions(args: readonly string[]): Result<Options, string> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', default: '' },
        quick: { type: 'boolean', default: false },
        scale: { type: 'string' },
        slack: { type: 'string', default: '1' },
        etcd: { type: 'string' },
        json: { type: 'string' },
      },
    })
    const { quick, etcd, json } = values
    const form = quick ? QUICK : FULL
    const scale = Number(values.scale ?? form.scale)
    if (!(scale > 0 && scale <= MAX_SCALE))
      return err(`--scale: '${values.scale}' is not above 0 and up to ${MAX_SCALE}`)
    const slack = Number(values.slack)
    if (!(slack >= 1 && slack <= 100)) return err(`--slack: '${values.slack}' is not between 1 and 100`)
    const only = values.only.split(',').filter((text) => text !== '')
    return ok({ only, scale, slack, isQuick: quick, limitMs: form.limitMs, etcd, json })
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error))
  }
}
