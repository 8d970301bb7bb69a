/**
 * Flags and environment as a checked configuration, or all that is wrong with them at once. Pure: nothing is read but the
 * arguments. Defaults and rules are etcd's (etcd: server/embed/config.go), except for waiting and the admin API.
 */
import { FLAGS, helpText, readFlags, type Environment, type FlagName } from './config-flags.ts'
import type { TlsOptions } from './tls/options.ts'
import { parseInitialCluster, parseURLs, type InitialMember } from './config-urls.ts'

/** How a member with an empty data directory begins. */
export type Start =
  | { readonly kind: 'new'; readonly members: readonly InitialMember[]; readonly token: string }
  | { readonly kind: 'existing'; readonly members: readonly InitialMember[]; readonly token: string }
  | { readonly kind: 'wait' }

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

export interface Config {
  readonly name: string
  readonly dataDir: string
  readonly listenClientURLs: readonly string[]
  readonly advertiseClientURLs: readonly string[]
  readonly listenPeerURLs: readonly string[]
  readonly initialAdvertisePeerURLs: readonly string[]
  readonly listenMetricsURLs: readonly string[]
  readonly listenAdminURLs: readonly string[]
  readonly adminTokenFile: string | undefined
  readonly start: Start
  readonly heartbeatIntervalMs: number
  readonly electionTimeoutMs: number
  readonly snapshotCount: number
  readonly quotaBackendBytes: number
  readonly maxRequestBytes: number
  readonly maxTxnOps: number
  readonly logLevel: LogLevel
  readonly clientTls?: TlsOptions | undefined
  readonly peerTls?: TlsOptions | undefined
}

export type Parsed =
  | { readonly kind: 'run'; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'refused'; readonly problems: readonly string[] }

const MAX_ELECTION_TIMEOUT_MS = 50_000
/** A longer request would hold up heartbeats; etcd warns from here on. */
const MAX_MAX_REQUEST_BYTES = 10 * 1024 * 1024
const LOG_LEVELS: Readonly<Record<string, LogLevel>> = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  panic: 'fatal',
  fatal: 'fatal',
}

export function parseConfig(args: readonly string[], environment: Environment): Parsed {
  const given = readFlags(args, environment)
  if (given.wants === 'help') return { kind: 'help', text: helpText() }
  if (given.wants === 'version') return { kind: 'version' }
  const flags = new Flags(given.values, [...given.problems])
  const config = readConfig(flags)
  if (flags.problems.length > 0) return { kind: 'refused', problems: flags.problems }
  return { kind: 'run', config, warnings: given.warnings }
}

/** Typed access to what was given; a wrong value becomes a problem, and something harmless in its place. */
class Flags {
  readonly #given: ReadonlyMap<FlagName, string>
  readonly problems: string[]

  constructor(given: ReadonlyMap<FlagName, string>, problems: string[]) {
    this.#given = given
    this.problems = problems
  }

  has(name: FlagName): boolean {
    return this.#given.has(name)
  }

  text(name: FlagName): string {
    return this.#given.get(name) ?? FLAGS[name].fallback
  }

  refuse(name: FlagName, problem: string): void {
    this.problems.push(`--${name}: ${problem}`)
  }

  urls(name: FlagName, purpose: 'listen' | 'advertise'): readonly string[] {
    const text = this.text(name)
    if (text === '' && FLAGS[name].fallback === '') return []
    const urls = parseURLs(text, purpose === 'listen')
    if (urls.ok) return urls.value
    this.refuse(name, urls.error)
    return []
  }

  integer(name: FlagName, min: number, max = Number.MAX_SAFE_INTEGER): number {
    const text = this.text(name)
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
    this.refuse(name, `'${text}' is not a whole number ${range}`)
    return Number(FLAGS[name].fallback)
  }
}

function readConfig(flags: Flags): Config {
  const name = readName(flags)
  const peerURLs = flags.urls('initial-advertise-peer-urls', 'advertise')
  const config: Config = {
    name,
    dataDir: flags.has('data-dir') ? flags.text('data-dir') : `${name}.etcd`,
    listenClientURLs: flags.urls('listen-client-urls', 'listen'),
    advertiseClientURLs: flags.urls('advertise-client-urls', 'advertise'),
    listenPeerURLs: flags.urls('listen-peer-urls', 'listen'),
    initialAdvertisePeerURLs: peerURLs,
    listenMetricsURLs: flags.urls('listen-metrics-urls', 'listen'),
    listenAdminURLs: flags.urls('listen-admin-urls', 'listen'),
    adminTokenFile: flags.text('admin-token-file') === '' ? undefined : flags.text('admin-token-file'),
    start: readStart(flags, name, peerURLs),
    heartbeatIntervalMs: flags.integer('heartbeat-interval', 1),
    electionTimeoutMs: flags.integer('election-timeout', 1, MAX_ELECTION_TIMEOUT_MS),
    snapshotCount: flags.integer('snapshot-count', 1),
    quotaBackendBytes: flags.integer('quota-backend-bytes', 0) || Number(FLAGS['quota-backend-bytes'].fallback),
    maxRequestBytes: flags.integer('max-request-bytes', 1, MAX_MAX_REQUEST_BYTES),
    maxTxnOps: flags.integer('max-txn-ops', 1),
    logLevel: readLogLevel(flags),
  }
  checkTogether(flags, config)
  return config
}

function readName(flags: Flags): string {
  const name = flags.text('name')
  if (!/^[^\s=,/]+$/.test(name)) flags.refuse('name', `'${name}' is empty or has a blank, '=', ',' or '/' in it`)
  return name
}

function readLogLevel(flags: Flags): LogLevel {
  const text = flags.text('log-level')
  const level = Object.hasOwn(LOG_LEVELS, text) ? LOG_LEVELS[text] : undefined
  if (level === undefined) flags.refuse('log-level', `'${text}' is none of ${Object.keys(LOG_LEVELS).join(', ')}`)
  return level ?? 'info'
}

function readStart(flags: Flags, name: string, peerURLs: readonly string[]): Start {
  const kind = flags.text('initial-cluster-state')
  const token = flags.text('initial-cluster-token')
  switch (kind) {
    case 'new':
    case 'existing':
      return { kind, members: readMembers(flags, name, peerURLs), token }
    case 'wait':
      if (flags.has('initial-cluster')) {
        flags.refuse('initial-cluster', `not together with --initial-cluster-state=wait: who waits is told its cluster`)
      }
      if (!flags.has('listen-admin-urls')) {
        flags.refuse('listen-admin-urls', 'required with --initial-cluster-state=wait, or nobody could end the waiting')
      }
      return { kind }
    default:
      flags.refuse('initial-cluster-state', `'${kind}' is none of new, existing, wait`)
      return { kind: 'wait' }
  }
}

function readMembers(flags: Flags, name: string, peerURLs: readonly string[]): readonly InitialMember[] {
  if (!flags.has('initial-cluster')) return [{ name, peerURLs }]
  const text = flags.text('initial-cluster')
  const members = parseInitialCluster(text)
  if (!members.ok) {
    flags.refuse('initial-cluster', members.error)
    return []
  }
  const own = members.value.find((member) => member.name === name)
  if (own === undefined) {
    flags.refuse('initial-cluster', `'${text}' has no member named ${name}: add it, or correct --name`)
  } else if (peerURLs.length > 0 && !areSameURLs(own.peerURLs, peerURLs)) {
    const [listed, advertised] = [own.peerURLs.join(','), peerURLs.join(',')]
    flags.refuse(
      'initial-cluster',
      `it has ${name} at ${listed}, but --initial-advertise-peer-urls is ${advertised}: both must be the same`,
    )
  }
  return members.value
}

function areSameURLs(a: readonly string[], b: readonly string[]): boolean {
  return a.toSorted().join() === b.toSorted().join()
}

function checkTogether(flags: Flags, config: Config): void {
  if (flags.has('listen-client-urls') && !flags.has('advertise-client-urls')) {
    flags.refuse('advertise-client-urls', 'required when --listen-client-urls is set')
  }
  const { heartbeatIntervalMs, electionTimeoutMs } = config
  if (electionTimeoutMs < 5 * heartbeatIntervalMs) {
    flags.refuse(
      'election-timeout',
      `${electionTimeoutMs} ms is less than 5 times --heartbeat-interval (${heartbeatIntervalMs} ms)`,
    )
  }
  const listeners = new Map<string, FlagName>()
  for (const [flag, urls] of [
    ['listen-client-urls', config.listenClientURLs],
    ['listen-peer-urls', config.listenPeerURLs],
    ['listen-admin-urls', config.listenAdminURLs],
    ['listen-metrics-urls', config.listenMetricsURLs],
  ] as const) {
    for (const url of urls.filter((url) => !url.endsWith(':0'))) {
      const other = listeners.get(url)
      if (other === undefined) listeners.set(url, flag)
      else flags.refuse(flag, `'${url}' is in --${other} as well: each needs a port of its own`)
    }
  }
}
