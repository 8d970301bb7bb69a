/** The flags of `npm start`. Pure. */
import { err, ok, type Result } from '../../lib/result.ts'

export interface Options {
  readonly isFresh: boolean
  readonly isDemo: boolean
  /** Without TLS; for a cluster that is made now. */
  readonly isPlain: boolean
  /** Of the API server; 0: any that is free. */
  readonly port: number
  /** Where state is kept between runs. */
  readonly directory: string
}

export const DEFAULT_PORT = 26_443

export const HELP = `npm start -- [flags]

Runs a RaftKV cluster on this machine: a stand-in for Kubernetes, the operator, a RaftCluster of three members.

  --fresh            throw away what earlier runs have left
  --demo             a tour by itself: writes, scales 3 -> 5 -> 3, kills the leader, counts what was lost, ends
  --plain            without TLS: one that is there already stays as it is, so with --fresh
  --port NUMBER      of the API server (default ${DEFAULT_PORT}; 0: any that is free)
  --directory PATH   where state is kept between runs (default .cache/sandbox)
  --help
`

export type Parsed = Options | 'help'

/** The error is for the user. */
export function parseOptions(args: readonly string[], defaultDirectory: string): Result<Parsed, string> {
  let options: Options = {
    isFresh: false,
    isDemo: false,
    isPlain: false,
    port: DEFAULT_PORT,
    directory: defaultDirectory,
  }
  const rest = args.flatMap((arg) => (/^--(port|directory)=/.test(arg) ? splitOnce(arg) : [arg]))
  for (let flag = rest.shift(); flag !== undefined; flag = rest.shift()) {
    switch (flag) {
      case '--help':
      case '-h':
        return ok('help')
      case '--fresh':
        options = { ...options, isFresh: true }
        break
      case '--demo':
        options = { ...options, isDemo: true }
        break
      case '--plain':
        options = { ...options, isPlain: true }
        break
      case '--port': {
        const value = rest.shift() ?? ''
        if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535) {
          return err(`--port must be a number from 0 to 65535, not '${value}'`)
        }
        options = { ...options, port: Number(value) }
        break
      }
      case '--directory': {
        const value = rest.shift() ?? ''
        if (value === '') return err('--directory must name a directory')
        options = { ...options, directory: value }
        break
      }
      default:
        return err(`there is no flag '${flag}'`)
    }
  }
  return ok(options)
}

function splitOnce(arg: string): readonly string[] {
  const at = arg.indexOf('=')
  return [arg.slice(0, at), arg.slice(at + 1)]
}
