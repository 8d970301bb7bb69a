/** What the spec's options are called among the member's flags. Pure. */
import type { Options } from '../../api/options.ts'

type Value = Exclude<Options[keyof Options], undefined>
type Write = (value: Value) => string

const seconds: Write = (value) => `${String(value)}s`
const milliseconds: Write = (value) => `${String(value)}ms`

type TlsOption = 'tlsMinVersion' | 'tlsMaxVersion' | 'cipherSuites'
type Flags<Name extends keyof Options> = Readonly<Record<Name, readonly [flag: string, write: Write]>>

/** The order is that of the arguments. */
export const FLAGS: Flags<Exclude<keyof Options, TlsOption | 'initialCorruptCheck'>> = {
  heartbeatMs: ['heartbeat-interval', String],
  electionTimeoutMs: ['election-timeout', String],
  snapshotCount: ['snapshot-count', String],
  quotaBytes: ['quota-backend-bytes', String],
  snapshotCatchupEntries: ['snapshot-catchup-entries', String],
  autoCompactionMode: ['auto-compaction-mode', String],
  autoCompactionRetention: ['auto-compaction-retention', String],
  corruptCheckSeconds: ['corrupt-check-time', seconds],
  compactHashCheckSeconds: ['compact-hash-check-time', seconds],
  maxTxnOps: ['max-txn-ops', String],
  maxRequestBytes: ['max-request-bytes', String],
  maxConcurrentStreams: ['max-concurrent-streams', String],
  grpcKeepaliveMinTimeSeconds: ['grpc-keepalive-min-time', seconds],
  grpcKeepaliveIntervalSeconds: ['grpc-keepalive-interval', seconds],
  grpcKeepaliveTimeoutSeconds: ['grpc-keepalive-timeout', seconds],
  enableGrpcGateway: ['enable-grpc-gateway', String],
  clientMaxConnections: ['client-max-connections', String],
  clientMaxStreams: ['client-max-streams', String],
  clientMaxConnectionRequestBytes: ['client-max-connection-request-bytes', String],
  clientMaxRequestBytesHeld: ['client-max-request-bytes-held', String],
  clientMaxConnectionResponseBytes: ['client-max-connection-response-bytes', String],
  clientMaxResponseBytesHeld: ['client-max-response-bytes-held', String],
  clientMaxHeaderBytes: ['client-max-header-bytes', String],
  clientHandshakeTimeoutSeconds: ['client-handshake-timeout', seconds],
  clientHeaderTimeoutSeconds: ['client-header-timeout', seconds],
  clientRequestTimeoutSeconds: ['client-request-timeout', seconds],
  clientIdleTimeoutSeconds: ['client-idle-timeout', seconds],
  watchProgressNotifySeconds: ['watch-progress-notify-interval', seconds],
  warningApplyMs: ['warning-apply-duration', milliseconds],
  warningUnaryRequestMs: ['warning-unary-request-duration', milliseconds],
  logLevel: ['log-level', String],
  logFormat: ['log-format', String],
  cors: ['cors', String],
  hostWhitelist: ['host-whitelist', String],
  authTokenTTLSeconds: ['auth-token-ttl', String],
  bcryptCost: ['bcrypt-cost', String],
}

/** Apart from the others: only for members that are made to speak TLS (connections.ts). */
export const TLS_FLAGS: Flags<TlsOption> = {
  tlsMinVersion: ['tls-min-version', String],
  tlsMaxVersion: ['tls-max-version', String],
  cipherSuites: ['cipher-suites', String],
}

/** Of what is set; where nothing is, members have defaults of their own. */
export function memberFlags(options: Options): readonly string[] {
  const flags = flagsOf(FLAGS, options)
  const gates = [
    ...(options.initialCorruptCheck === true ? ['InitialCorruptCheck=true'] : []),
    ...(options.compactHashCheckSeconds === undefined ? [] : ['CompactHashCheck=true']),
  ]
  return gates.length === 0 ? flags : [...flags, `--feature-gates=${gates.join(',')}`]
}

export function tlsFlags(options: Options): readonly string[] {
  return flagsOf(TLS_FLAGS, options)
}

function flagsOf<Name extends keyof Options>(flags: Flags<Name>, options: Options): readonly string[] {
  return entries(flags).flatMap(([name, [flag, write]]) => {
    const value = options[name]
    return value === undefined ? [] : [`--${flag}=${write(value)}`]
  })
}

function entries<Key extends string, Item>(record: Readonly<Record<Key, Item>>): readonly (readonly [Key, Item])[] {
  const isKey = (key: string): key is Key => key in record
  return Object.keys(record)
    .filter(isKey)
    .map((key) => [key, record[key]])
}
