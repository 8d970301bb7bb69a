/** How a member is started: the flags, checked and in the units that the program counts in. */
import type { ListenLimits } from '../listen/limits.ts'
import type { MaintenanceOptions } from '../node/options.ts'
import type { PeerSecretOptions } from '../transport/peer-secrets.ts'
import type { AuthConfig } from './auth.ts'
import type { TlsConfig } from './tls.ts'
import type { InitialMember } from './urls.ts'

/** How a member with an empty data directory begins. */
export type Start =
  | { readonly kind: 'new'; readonly members: readonly InitialMember[]; readonly token: string }
  | { readonly kind: 'existing'; readonly members: readonly InitialMember[]; readonly token: string }
  | { readonly kind: 'wait' }

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

export interface LogConfig {
  readonly level: LogLevel
  readonly format: 'json' | 'console'
  /** `stderr`, `stdout` or the path of a file; at least one. */
  readonly outputs: readonly string[]
}

export interface HttpConfig {
  readonly isGatewayEnabled: boolean
  /** With `*` in them, or empty: all. */
  readonly corsOrigins: readonly string[]
  readonly hostWhitelist: readonly string[]
}

export interface Config extends TlsConfig, AuthConfig {
  readonly name: string
  readonly dataDir: string
  readonly walDir: string | undefined
  readonly listenClientURLs: readonly string[]
  /** With any, HTTP is served only there. */
  readonly listenClientHTTPURLs: readonly string[]
  readonly advertiseClientURLs: readonly string[]
  readonly listenPeerURLs: readonly string[]
  readonly initialAdvertisePeerURLs: readonly string[]
  readonly listenMetricsURLs: readonly string[]
  readonly listenAdminURLs: readonly string[]
  readonly adminTokenFile: string | undefined
  readonly peerSecret: PeerSecretOptions | undefined
  readonly start: Start
  readonly isNewClusterForced: boolean
  readonly isFsyncSkipped: boolean
  readonly heartbeatIntervalMs: number
  readonly electionTimeoutMs: number
  readonly snapshotCount: number
  readonly snapshotCatchUpEntries: number
  /** Negative: no limit. */
  readonly quotaBackendBytes: number
  readonly maxRequestBytes: number
  readonly maxTxnOps: number
  readonly maxLearners: number
  readonly isReconfigStrict: boolean
  readonly clientLimits: ListenLimits
  /** What serves gRPC. */
  readonly grpcEngine: 'built-in' | 'grpc-js'
  /** See warm-up/warm-up.ts. */
  readonly isWarmedUp: boolean
  /** Between SIGTERM and the end of serving. */
  readonly shutdownDelayMs: number
  readonly http: HttpConfig
  readonly maintenance: MaintenanceOptions
  readonly watchProgressNotifyIntervalMs: number
  readonly warningApplyMs: number
  readonly warningUnaryRequestMs: number
  readonly log: LogConfig
}
