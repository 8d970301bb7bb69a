/**
 * Flags on the command line and in the environment, as etcd's reader takes them (Go's flag package): `--name value`,
 * `--name=value`, one dash or two; a switch stands alone or with `=`, never with a value behind it. Pure.
 */
import { flagOf, FLAGS, FORGOTTEN_FLAGS, isFlag, type FlagName } from './table.ts'
import type { Given } from './given.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface CommandLine extends Omit<Given, 'source'> {
  /** Path of a config file; with one, etcd ignores all other flags. */
  readonly configFile: string | undefined
}

const CONFIG_FILE = 'config-file'
/** Read by etcd itself, or by the scripts around it, and no flags. */
const NO_FLAG_VARIABLES: ReadonlySet<string> = new Set(['ETCD_UNSUPPORTED_ARCH', 'ETCD_CONFIG_FILE'])

/** A flag on the command line wins over its variable. */
export function readCommandLine(args: readonly string[], environment: Environment): CommandLine {
  const reader = new Reader(args)
  const wants = reader.read()
  const warnings = [...reader.warnings]
  const values = new Map<FlagName, string>()
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('ETCD_') || value === undefined || NO_FLAG_VARIABLES.has(variable)) continue
    const name = variable.slice('ETCD_'.length).toLowerCase().replaceAll('_', '-')
    if (!isFlag(name)) warnings.push(`${variable} is ignored: there is no flag --${name}`)
    else if (reader.values.has(name)) warnings.push(`${variable} is ignored: --${name} is given as well`)
    else if (value !== '') values.set(name, value) // etcd, too, takes an empty one as not set
  }
  for (const [name, value] of reader.values) values.set(name, value)
  const configFile = reader.configFile ?? environment[variableOf(CONFIG_FILE)]
  const { problems } = reader
  return { values, wants, warnings, problems, configFile: configFile === '' ? undefined : configFile }
}

export function variableOf(name: string): string {
  return `ETCD_${name.toUpperCase().replaceAll('-', '_')}`
}

class Reader {
  readonly #args: readonly string[]
  readonly values = new Map<FlagName, string>()
  readonly warnings: string[] = []
  readonly problems: string[] = []
  configFile: string | undefined

  constructor(args: readonly string[]) {
    this.#args = args
  }

  read(): Given['wants'] {
    for (let i = 0; i < this.#args.length; i++) {
      const argument = this.#args[i] ?? ''
      const [, name = '', inline] = /^--?([a-z][a-z0-9.-]*)(?:=([\s\S]*))?$/.exec(argument) ?? []
      if (name === 'help' || name === 'h') return 'help'
      if (name === 'version' && (inline === undefined || inline === 'true')) return 'version'
      if (FORGOTTEN_FLAGS.has(name)) {
        this.warnings.push(`--${name} has no effect: it is a flag of early versions of etcd`)
        continue
      }
      if (!isFlag(name) && name !== CONFIG_FILE) {
        this.problems.push(unknownArgument(argument, name))
        continue
      }
      const isSwitch = name !== CONFIG_FILE && flagOf(name).value === 'switch'
      const value = inline ?? (isSwitch ? 'true' : this.#args[++i])
      if (value === undefined) this.problems.push(`--${name}: the value is missing, give --${name}=VALUE`)
      else if (name === CONFIG_FILE) this.configFile = value
      else this.values.set(name, value)
    }
    return 'run'
  }
}

function unknownArgument(argument: string, name: string): string {
  if (argument === 'gateway' || argument === 'grpc-proxy')
    return `'${argument}': this program is no proxy, only a member`
  if (name === '') return `'${argument}' is not a flag: flags are of the form --name=value`
  const successor = name.replace(/^experimental-/, '')
  if (successor !== name) return `--${name}: etcd 3.7 has no such flag any more; ${successorOf(successor)}`
  return `--${name}: there is no such flag; --help lists all`
}

/** Features that were flags before they were gates. */
const GATES: Readonly<Record<string, string>> = {
  'initial-corrupt-check': 'InitialCorruptCheck',
  'compact-hash-check-enabled': 'CompactHashCheck',
  'enable-lease-checkpoint': 'LeaseCheckpoint',
  'enable-lease-checkpoint-persist': 'LeaseCheckpointPersist',
  'stop-grpc-service-on-defrag': 'StopGRPCServiceOnDefrag',
  'txn-mode-write-with-shared-buffer': 'TxnModeWriteWithSharedBuffer',
  'set-member-localaddr': 'SetMemberLocalAddr',
}

function successorOf(name: string): string {
  const gate = Object.hasOwn(GATES, name) ? GATES[name] : undefined
  if (gate !== undefined) return `it is --feature-gates=${gate}=true now`
  return Object.hasOwn(FLAGS, name) ? `it is --${name} now` : '--help lists all'
}
