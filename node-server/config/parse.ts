/**
 * Flags, environment or config file as a checked configuration, or all that is wrong with them at once. Pure: nothing is
 * read but the arguments, a config file through the function that is given. Defaults and rules are etcd's (etcd:
 * server/embed/config.go), except for waiting and the admin API.
 */
import { readAuth } from './auth.ts'
import { checkTogether } from './checks.ts'
import { readTls } from './tls.ts'
import { parseInitialCluster, type InitialMember } from './urls.ts'
import type { Config, LogConfig, Start } from './config.ts'
import { readCommandLine, type Environment } from './command-line.ts'
import { readConfigFile } from './config-file.ts'
import { parseDurationMs } from './duration.ts'
import { readFeatureGates } from './feature-gates.ts'
import { judge, type Given } from './given.ts'
import { helpText } from './help.ts'
import { FLAGS } from './table.ts'
import { Flags } from './values.ts'
import type { AutoCompaction, MaintenanceOptions } from '../node/options.ts'
import type { Result } from '../../lib/result.ts'
import { MAX_REQUEST_SIZE_BYTES } from '../limits.ts'
import { DEFAULT_LIMITS, type ListenLimits } from '../listen/limits.ts'

export type Parsed =
  | { readonly kind: 'run'; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'refused'; readonly problems: readonly string[] }

export type ReadText = (path: string) => Result<string, string>

const MAX_ELECTION_TIMEOUT_MS = 50_000
/** HTTP/2 counts it in 32 bits. */
const MAX_HEADER_BYTES = 2 ** 31 - 1
const MAX_UINT32 = 2 ** 32 - 1
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'panic', 'fatal'] as const

export function parseConfig(args: readonly string[], environment: Environment, readText: ReadText): Parsed {
  const commandLine = readCommandLine(args, environment)
  if (commandLine.wants === 'help') return { kind: 'help', text: helpText() }
  if (commandLine.wants === 'version') return { kind: 'version' }
  const { configFile } = commandLine
  const given: Given =
    configFile === undefined
      ? { ...commandLine, source: 'flags' }
      : givenByFile(configFile, readText, commandLine.problems)
  const judged = judge(given.values)
  const flags = new Flags({
    ...given,
    problems: [...given.problems, ...judged.problems],
    warnings: [...given.warnings, ...judged.warnings],
  })
  const config = readConfig(flags)
  if (flags.problems.length > 0) return { kind: 'refused', problems: flags.problems }
  return { kind: 'run', config, warnings: flags.warnings }
}

/** etcd parses the command line before it looks at the file, so what cannot be parsed ends the start in any case. */
function givenByFile(path: string, readText: ReadText, problems: readonly string[]): Given {
  const given: Given = { values: new Map(), source: 'file', wants: 'run', warnings: [], problems }
  const text = readText(path)
  if (!text.ok) return { ...given, problems: [...problems, `--config-file: ${text.error}`] }
  const file = readConfigFile(text.value)
  if (!file.ok) return { ...given, problems: [...problems, ...file.error.map((problem) => `${path}: ${problem}`)] }
  const warning = `the configuration is that of ${path}: other flags and the environment are ignored`
  return { ...given, values: file.value.values, warnings: [warning, ...file.value.warnings] }
}

function readConfig(flags: Flags): Config {
  const name = readName(flags)
  const peerURLs = flags.urls('initial-advertise-peer-urls', 'advertise')
  const config: Config = {
    name,
    dataDir: flags.has('data-dir') && flags.text('data-dir') !== '' ? flags.text('data-dir') : `${name}.etcd`,
    walDir: flags.path('wal-dir'),
    listenClientURLs: flags.urls('listen-client-urls', 'listen'),
    listenClientHTTPURLs: flags.urls('listen-client-http-urls', 'listen'),
    advertiseClientURLs: flags.urls('advertise-client-urls', 'advertise'),
    listenPeerURLs: flags.urls('listen-peer-urls', 'listen'),
    initialAdvertisePeerURLs: peerURLs,
    listenMetricsURLs: flags.urls('listen-metrics-urls', 'listen'),
    listenAdminURLs: flags.urls('listen-admin-urls', 'listen'),
    adminTokenFile: flags.path('admin-token-file'),
    peerSecret: readPeerSecret(flags),
    start: readStart(flags, name, peerURLs),
    isNewClusterForced: flags.switch('force-new-cluster'),
    isFsyncSkipped: flags.switch('unsafe-no-fsync'),
    heartbeatIntervalMs: flags.integer('heartbeat-interval', 1),
    electionTimeoutMs: flags.integer('election-timeout', 1, MAX_ELECTION_TIMEOUT_MS),
    snapshotCount: flags.integer('snapshot-count', 0) || Number(FLAGS['snapshot-count'].fallback),
    snapshotCatchUpEntries: flags.integer('snapshot-catchup-entries', 0),
    ...readLimits(flags),
    grpcEngine: flags.choice('grpc-engine', ['built-in', 'grpc-js'], 'built-in'),
    isWarmedUp: flags.switch('warm-up'),
    shutdownDelayMs: flags.durationMs('shutdown-delay-duration'),
    http: {
      isGatewayEnabled: flags.switch('enable-grpc-gateway'),
      corsOrigins: flags.list('cors'),
      hostWhitelist: flags.list('host-whitelist'),
    },
    maintenance: readMaintenance(flags),
    watchProgressNotifyIntervalMs:
      flags.durationMs('watch-progress-notify-interval') || defaultMs('watch-progress-notify-interval'),
    warningApplyMs: flags.durationMs('warning-apply-duration') || defaultMs('warning-apply-duration'),
    warningUnaryRequestMs:
      flags.durationMs('warning-unary-request-duration') || defaultMs('warning-unary-request-duration'),
    log: readLog(flags),
    ...readTls(flags),
    ...readAuth(flags),
  }
  checkTogether(flags, config)
  return config
}

function defaultMs(
  name: 'watch-progress-notify-interval' | 'warning-apply-duration' | 'warning-unary-request-duration',
): number {
  return parseDurationMs(FLAGS[name].fallback) ?? 0
}

function readName(flags: Flags): string {
  const name = flags.text('name')
  if (!/^[^\s=,/]+$/.test(name)) flags.refuse('name', `'${name}' is empty or has a blank, '=', ',' or '/' in it`)
  return name
}

function readLimits(
  flags: Flags,
): Pick<
  Config,
  'quotaBackendBytes' | 'maxRequestBytes' | 'maxTxnOps' | 'maxLearners' | 'isReconfigStrict' | 'clientLimits'
> {
  return {
    quotaBackendBytes:
      flags.integer('quota-backend-bytes', Number.MIN_SAFE_INTEGER) || Number(FLAGS['quota-backend-bytes'].fallback),
    maxRequestBytes: flags.integer('max-request-bytes', 1, MAX_REQUEST_SIZE_BYTES),
    maxTxnOps: flags.integer('max-txn-ops', 1),
    maxLearners: flags.integer('max-learners', 0),
    isReconfigStrict: flags.switch('strict-reconfig-check'),
    clientLimits: readClientLimits(flags),
  }
}

function readClientLimits(flags: Flags): ListenLimits {
  return {
    maxConnections: flags.integer('client-max-connections', 1),
    handshakeTimeoutMs: flags.durationMs('client-handshake-timeout') || DEFAULT_LIMITS.handshakeTimeoutMs,
    maxConcurrentStreams: flags.integer('max-concurrent-streams', 1, MAX_UINT32),
    maxStreams: flags.integer('client-max-streams', 1),
    maxConnectionRequestBytes: flags.integer('client-max-connection-request-bytes', 1),
    maxRequestBytesHeld: flags.integer('client-max-request-bytes-held', 1),
    maxConnectionResponseBytes: flags.integer('client-max-connection-response-bytes', 1),
    maxResponseBytesHeld: flags.integer('client-max-response-bytes-held', 1),
    keepaliveMinTimeMs: flags.durationMs('grpc-keepalive-min-time'),
    keepaliveIntervalMs: flags.durationMs('grpc-keepalive-interval'),
    keepaliveTimeoutMs: flags.durationMs('grpc-keepalive-timeout'),
    maxHeaderBytes: flags.integer('client-max-header-bytes', 1, MAX_HEADER_BYTES),
    headersTimeoutMs: flags.durationMs('client-header-timeout'),
    requestTimeoutMs: flags.durationMs('client-request-timeout'),
    idleTimeoutMs: flags.durationMs('client-idle-timeout'),
  }
}

function readLog(flags: Flags): LogConfig {
  const level = flags.choice('log-level', LOG_LEVELS, 'info')
  const outputs = flags.list('log-outputs')
  if (outputs.length > 1 && outputs.includes('default'))
    flags.refuse('log-outputs', `'default' only stands alone: name stderr instead`)
  const places = outputs.map((output) => (output === 'default' || output === 'systemd/journal' ? 'stderr' : output))
  return {
    level: level === 'panic' ? 'fatal' : level,
    format: flags.choice('log-format', ['json', 'console'], 'json'),
    outputs: places.length === 0 ? ['stderr'] : [...new Set(places)],
  }
}

/** etcd: parseCompactionRetention. A number alone means hours, or revisions. */
function readAutoCompaction(flags: Flags): AutoCompaction | undefined {
  const mode = flags.choice('auto-compaction-mode', ['periodic', 'revision'], 'periodic')
  const text = flags.text('auto-compaction-retention')
  const isCount = /^\d{1,15}$/.test(text)
  if (mode === 'revision') {
    if (!isCount) flags.refuse('auto-compaction-retention', `'${text}' is not a number of revisions`)
    return Number(text) === 0 || !isCount ? undefined : { mode, retentionRevisions: Number(text) }
  }
  const retentionMs = isCount ? Number(text) * 3_600_000 : parseDurationMs(text)
  if (retentionMs === undefined || retentionMs < 0) {
    flags.refuse('auto-compaction-retention', `'${text}' is neither a number of hours nor a duration such as 5m`)
    return undefined
  }
  return retentionMs === 0 ? undefined : { mode, retentionMs }
}

function readMaintenance(flags: Flags): MaintenanceOptions {
  const { gates, warnings, problems } = readFeatureGates(flags.text('feature-gates'))
  flags.warnings.push(...warnings)
  for (const problem of problems) flags.refuse('feature-gates', problem)
  const compactHashCheckMs = flags.durationMs('compact-hash-check-time')
  if (compactHashCheckMs === 0) flags.refuse('compact-hash-check-time', 'must be more than 0')
  return {
    autoCompaction: readAutoCompaction(flags),
    corruptCheckMs: flags.durationMs('corrupt-check-time'),
    compactHashCheckMs: gates.compactHashCheck ? compactHashCheckMs : 0,
    checksAtStart: gates.initialCorruptCheck,
  }
}

function readPeerSecret(flags: Flags): Config['peerSecret'] {
  const path = flags.path('peer-secret-file')
  const mode = flags.choice('peer-secret-mode', ['offer', 'require'], 'require')
  if (path === undefined && flags.has('peer-secret-mode'))
    flags.refuse('peer-secret-mode', 'needs --peer-secret-file: without it there is no secret to show')
  return path === undefined ? undefined : { path, mode }
}

function readStart(flags: Flags, name: string, peerURLs: readonly string[]): Start {
  const kind = flags.choice('initial-cluster-state', ['new', 'existing', 'wait'], 'new')
  if (kind !== 'wait') {
    return { kind, members: readMembers(flags, name, peerURLs), token: flags.text('initial-cluster-token') }
  }
  if (flags.has('initial-cluster')) {
    flags.refuse(
      'initial-cluster',
      `not together with --initial-cluster-state=wait: a waiting member is told its cluster`,
    )
  }
  if (!flags.has('listen-admin-urls')) {
    flags.refuse('listen-admin-urls', 'required with --initial-cluster-state=wait, otherwise nobody could end the wait')
  }
  return { kind }
}

function readMembers(flags: Flags, name: string, peerURLs: readonly string[]): readonly InitialMember[] {
  if (!flags.has('initial-cluster') || flags.text('initial-cluster') === '') return [{ name, peerURLs }]
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
