/** Command line of the benchmark. */
import { parseArgs } from 'node:util'
import { err, ok, type Result } from '../lib/result.ts'

export interface Options {
  /** Steps whose name contains one of these; all but the very long when there is none. */
  readonly only: readonly string[]
  readonly rounds: number
  /** Of the full counts. */
  readonly scale: number
  /** Without etcd: for a look at what a change does. */
  readonly isOursAlone: boolean
  /** More of Node's flags, for ours: what is faster with another one, say. */
  readonly nodeFlags: readonly string[]
  /** Flags of our members: what another value does. */
  readonly memberFlags: readonly string[]
  /** A folder with `etcd`, `benchmark` and `load` instead of building them. */
  readonly programs: string | undefined
  /** Where all figures are written besides. */
  readonly json: string | undefined
  /** The tables as they are printed. */
  readonly markdown: string | undefined
}

export const USAGE =
  'npm run bench -- [--quick] [--only NAME[,NAME]] [--rounds 3] [--scale 1] [--ours] [--node-flags=FLAGS] [--member-flags=FLAGS] [--programs FOLDER] [--json FILE] [--markdown FILE]'

const FULL = { rounds: '3', scale: '1' } as const
const QUICK = { rounds: '1', scale: '0.1' } as const
const MAX_ROUNDS = 99
const MAX_SCALE = 10

export function parseOptions(args: readonly string[]): Result<Options, string> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', default: '' },
        rounds: { type: 'string' },
        scale: { type: 'string' },
        ours: { type: 'boolean', default: false },
        'node-flags': { type: 'string', default: '' },
        'member-flags': { type: 'string', default: '' },
        programs: { type: 'string' },
        json: { type: 'string' },
        markdown: { type: 'string' },
      },
    })
    const form = values.quick ? QUICK : FULL
    const [rounds, scale] = [Number(values.rounds ?? form.rounds), Number(values.scale ?? form.scale)]
    if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= MAX_ROUNDS))
      return err(`--rounds: '${values.rounds}' is not between 1 and ${MAX_ROUNDS}`)
    if (!(scale > 0 && scale <= MAX_SCALE))
      return err(`--scale: '${values.scale}' is not above 0 and up to ${MAX_SCALE}`)
    const only = partsOf(values.only, ',')
    const nodeFlags = partsOf(values['node-flags'], ' ')
    const memberFlags = partsOf(values['member-flags'], ' ')
    const { ours: isOursAlone, programs, json, markdown } = values
    return ok({ only, rounds, scale, isOursAlone, nodeFlags, memberFlags, programs, json, markdown })
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error))
  }
}

const partsOf = (text: string, separator: string): readonly string[] =>
  text.split(separator).filter((part) => part !== '')
