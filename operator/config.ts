/**
 * Flags and environment → Config, or what to print and how to exit. Pure. Every flag can also be set by a variable; a
 * flag wins over its variable.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { PodSelection } from './cluster/ports.ts'

export interface Config {
  /** Empty: all of them. */
  readonly namespaces: readonly string[]
  readonly isLeaderElected: boolean
  readonly leaseName: string
  /** Undefined: the namespace the operator runs in. */
  readonly leaseNamespace: string | undefined
  readonly memberImage: string
  /** Undefined: not known, or none. */
  readonly operatorPods: PodSelection | undefined
  /** Undefined: not served. */
  readonly metricsAddress: Address | undefined
  readonly healthAddress: Address | undefined
  readonly pageAddress: Address | undefined
  readonly logLevel: LogLevel
  readonly maxConcurrentReconciles: number
  readonly resyncPeriodMs: number
  readonly reconcileTimeoutMs: number
  readonly shutdownTimeoutMs: number
}

export interface Address {
  /** Empty: all interfaces. */
  readonly host: string
  readonly port: number
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export type ParsedFlags =
  | { readonly kind: 'config'; readonly config: Config }
  /** `text` is for standard output when `exitCode` is 0, otherwise for standard error. */
  | { readonly kind: 'exit'; readonly exitCode: 0 | 2; readonly text: string }

const ENVIRONMENT_PREFIX = 'RAFTCLUSTER_OPERATOR_'
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const MS_OF_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

interface Flags {
  readonly namespaces?: readonly string[]
  readonly leaderElect: boolean
  readonly leaseName: string
  readonly leaseNamespace?: string
  readonly memberImage: string
  readonly operatorPods?: PodSelection
  readonly metricsAddress: string
  readonly healthAddress: string
  readonly pageAddress: string
  readonly logLevel: LogLevel
  readonly maxConcurrentReconciles: number
  readonly resyncPeriod: number
  readonly reconcileTimeout: number
  readonly shutdownTimeout: number
}

/** `argv` without the program's own name. */
export function parseFlags(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
): ParsedFlags {
  const output: string[] = []
  const command = commandOf(version, (text) => output.push(text))
  try {
    const flags = command.parse([...flagsOf(command, environment), ...argv], { from: 'user' }).opts<Flags>()
    return { kind: 'config', config: configOf(flags) }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return { kind: 'exit', exitCode: error.exitCode === 0 ? 0 : 2, text: output.join('') }
  }
}

function commandOf(version: string, print: (text: string) => void): Command {
  return new Command('raftcluster-operator')
    .description(
      'Runs Raft key-value clusters that speak the etcd v3 API: one for each RaftCluster resource it sees.\n' +
        'Each flag can be set by a variable instead, e.g. --log-level by RAFTCLUSTER_OPERATOR_LOG_LEVEL; a flag wins.',
    )
    .version(version)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: print })
    .showHelpAfterError('(--help lists all flags)')
    .option('--namespaces <names>', 'namespaces to watch, separated by commas; empty for all', namespaces)
    .option('--leader-elect', 'let only one of several replicas work at a time, elected by a Lease', true)
    .option('--no-leader-elect', 'work without a Lease: only for a single replica')
    .option('--lease-name <name>', 'name of the Lease', label, 'raftcluster-operator')
    .option('--lease-namespace <name>', 'namespace of the Lease (default: the one the operator runs in)', label)
    .option('--member-image <image>', 'image of members whose RaftCluster names none', text, 'raftkv:latest')
    .option(
      '--operator-pods <namespace/labels>',
      'of the operator itself, as raftkv/app=operator,team=a: network policies of members let these pods in',
      podSelection,
    )
    .option('--metrics-address <[host]:port>', 'where /metrics is served; 0 turns it off', address, ':8080')
    .option(
      '--health-address <[host]:port>',
      'where /healthz and /readyz are served; 0 turns them off',
      address,
      ':8081',
    )
    .option(
      '--page-address <host:port>',
      'where a page for looking at clusters is served, on loopback alone: nobody is asked who they are; 0 turns it off',
      loopbackAddress,
      '0',
    )
    .option('--log-level <level>', `one of ${LOG_LEVELS.join(', ')}`, logLevel, 'info')
    .option('--max-concurrent-reconciles <number>', 'clusters worked on at once, 1 to 64', integer(1, 64), 4)
    .addOption(
      duration(
        '--resync-period',
        'how often a cluster is reconciled even if nothing changes, 10s to 1h',
        '10s',
        '5m',
        '1h',
      ),
    )
    .addOption(
      duration(
        '--reconcile-timeout',
        'the longest that one reconcile of one cluster may take, 10s to 10m',
        '10s',
        '2m',
        '10m',
      ),
    )
    .addOption(
      duration(
        '--shutdown-timeout',
        'the longest that it may take to stop after SIGTERM, 1s to 10m',
        '1s',
        '20s',
        '10m',
      ),
    )
}

/** The variables that are set, as flags to stand before the real ones. */
function flagsOf(command: Command, environment: Readonly<Record<string, string | undefined>>): string[] {
  return command.options.flatMap((option) => {
    if (option.long === undefined || option.negate || option.long === '--version') return []
    const name = ENVIRONMENT_PREFIX + option.long.slice(2).replaceAll('-', '_').toUpperCase()
    const value = environment[name]
    if (value === undefined || value === '') return []
    if (option.required) return [`${option.long}=${value}`]
    if (value === 'true') return [option.long]
    if (value === 'false') return [option.long.replace('--', '--no-')]
    throw command.error(`error: variable ${name} must be true or false, not '${value}'`)
  })
}

function configOf(flags: Flags): Config {
  return {
    namespaces: flags.namespaces ?? [],
    isLeaderElected: flags.leaderElect,
    leaseName: flags.leaseName,
    leaseNamespace: flags.leaseNamespace,
    memberImage: flags.memberImage,
    operatorPods: flags.operatorPods,
    metricsAddress: parseAddress(flags.metricsAddress),
    healthAddress: parseAddress(flags.healthAddress),
    pageAddress: parseAddress(flags.pageAddress),
    logLevel: flags.logLevel,
    maxConcurrentReconciles: flags.maxConcurrentReconciles,
    resyncPeriodMs: flags.resyncPeriod,
    reconcileTimeoutMs: flags.reconcileTimeout,
    shutdownTimeoutMs: flags.shutdownTimeout,
  }
}

function text(value: string): string {
  if (value === '') throw new InvalidArgumentError('It must not be empty.')
  return value
}

function label(value: string): string {
  if (!LABEL.test(value) || value.length > 63) throw new InvalidArgumentError('It must be a DNS label.')
  return value
}

function podSelection(value: string): PodSelection {
  const [, namespace = '', selector = ''] = /^([^/]*)\/(.*)$/.exec(value) ?? []
  const labels = selector.split(',').map((pair) => /^([^=]+)=(.*)$/.exec(pair)?.slice(1) ?? [])
  if (!LABEL.test(namespace) || labels.some(([key]) => key === undefined))
    throw new InvalidArgumentError('It must be like namespace/key=value,key=value.')
  return { namespace, labels: Object.fromEntries(labels) as Readonly<Record<string, string>> }
}

function namespaces(value: string): readonly string[] {
  return [...new Set(value.split(',').filter((name) => name !== ''))].map(label)
}

function logLevel(value: string): LogLevel {
  const level = LOG_LEVELS.find((level) => level === value)
  if (level === undefined) throw new InvalidArgumentError(`It must be one of ${LOG_LEVELS.join(', ')}.`)
  return level
}

function integer(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value)
    if (/^\d+$/.test(value) && number >= min && number <= max) return number
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** An option whose value is read as milliseconds. */
function duration(flag: string, description: string, min: string, initial: string, max: string): Option {
  return new Option(`${flag} <duration>`, description).default(parseMs(initial), initial).argParser((value) => {
    const ms = parseMs(value)
    if (ms >= parseMs(min) && ms <= parseMs(max)) return ms
    throw new InvalidArgumentError(`It must be a duration such as 90s or 2m, from ${min} to ${max}.`)
  })
}

/** NaN when it is no duration. */
function parseMs(value: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(value) ?? []
  return Math.round(Number(digits) * (MS_OF_UNIT[unit ?? ''] ?? NaN))
}

function address(value: string): string {
  if (value !== '0' && parseAddress(value) === undefined) {
    throw new InvalidArgumentError('It must be host:port, :port, or 0 to turn it off.')
  }
  return value
}

function loopbackAddress(value: string): string {
  const host = parseAddress(value)?.host
  if (value !== '0' && (host === undefined || !/^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host)))
    throw new InvalidArgumentError('It must be host:port on loopback, as 127.0.0.1:8082, or 0 for nowhere.')
  return value
}

function parseAddress(value: string): Address | undefined {
  const [, host, port] = /^(?:\[?([^\]]*?)\]?):(\d{1,5})$/.exec(value) ?? []
  if (host === undefined || Number(port) > 65_535) return undefined
  return { host, port: Number(port) }
}
