/** What clients are served: gRPC and HTTP, on one port or on two, for as long as the member runs. */
import type { Logger } from 'pino'
import type { Clock } from '../lib/clock.ts'
import type { HttpHandler } from '../lib/http-exchange.ts'
import type { MemberMetrics } from './api/admin/metrics.ts'
import { etcdServices } from './api/etcd/services.ts'
import { httpHandler } from './api/http/handler.ts'
import type { Config } from './config/config.ts'
import { serveBuiltIn } from './grpc/built-in.ts'
import type { GrpcServer, GrpcServerOptions } from './grpc/engine.ts'
import type { RpcObserver, ServiceTable } from './grpc/service.ts'
import { listenHttp } from './listen/http-listener.ts'
import { raisedAlarms } from './member-facts.ts'
import { BcryptPasswords } from './node/auth/passwords.ts'
import type { Tokens } from './node/auth/tokens.ts'
import type { NodePort } from './node/ports.ts'
import { WatchableStore } from './node/watch/watchable-store.ts'
import { UNSAFE_NO_FSYNC } from './storage/unsynced-disk.ts'
import type { TlsOptions } from './tls/options.ts'

/** For calls in flight when the member is asked to stop. */
const STOP_GRACE_MS = 5000
/** Beside the request itself: what gRPC and the message around it take, as in etcd. */
const GRPC_OVERHEAD_BYTES = 512 * 1024

const ENGINES: Readonly<Record<Config['grpcEngine'], (options: GrpcServerOptions) => Promise<GrpcServer>>> = {
  'built-in': serveBuiltIn,
  // Its library is a tenth of what a start loads.
  'grpc-js': async (options) => (await import('./grpc/grpc-js.ts')).serveGrpcJs(options),
}

export interface ClientServerParts {
  readonly config: Config
  readonly log: Logger
  readonly metrics: MemberMetrics
  readonly tls: TlsOptions | undefined
  readonly tokens: Tokens
  readonly clock: Clock
  readonly onFatal: (error: unknown) => void
}

export class ClientServer {
  readonly watchableStore: WatchableStore
  /** /health and the like, without the gateway: for the metrics URLs. They ask the member itself, whether it serves or not. */
  readonly handleProbe: HttpHandler
  readonly #parts: ClientServerParts
  readonly #services: ServiceTable
  readonly #handle: HttpHandler
  readonly #observer: RpcObserver
  #grpc: GrpcServer | undefined
  #http: { close(graceMs: number): Promise<void> } | undefined
  /** Ends the streams of the JSON gateway. */
  readonly #stopping = new AbortController()

  /** Nothing is listened on until {@link listen}. */
  constructor(member: NodePort, parts: ClientServerParts) {
    const { config, log, metrics, clock, tokens } = parts
    const { maxTxnOps, maxRequestBytes } = config
    this.#parts = parts
    this.#observer = rpcObserver(parts)
    this.watchableStore = new WatchableStore(member, clock)
    this.#services = etcdServices(member, {
      maxTxnOps,
      clock,
      auth: {
        tokens,
        passwords: new BcryptPasswords(config.bcryptCost),
        isClientCertAuth: config.clientTls?.clientCertAuth === true,
      },
      standingErrors: config.isFsyncSkipped ? [UNSAFE_NO_FSYNC] : [],
      watch: {
        watchableStore: this.watchableStore,
        maxRequestBytes,
        electionMs: config.electionTimeoutMs,
        progressNotifyIntervalMs: config.watchProgressNotifyIntervalMs,
      },
    })
    const httpOptions = {
      ...config.http,
      maxReceiveBytes: maxReceiveBytes(config),
      observer: this.#observer,
      stopping: this.#stopping.signal,
      health: { alarms: () => raisedAlarms(member.store.alarms), observer: metrics.health },
      metrics: metrics.page,
      log,
    }
    this.#handle = httpHandler(member, this.#services, httpOptions)
    this.handleProbe = httpHandler(member, this.#services, { ...httpOptions, isGatewayEnabled: false })
  }

  /** Rejects when an address cannot be bound. */
  async listen(): Promise<void> {
    const { config, log, tls } = this.#parts
    const { listenClientURLs, listenClientHTTPURLs: urls, clientLimits: limits } = config
    const handle = this.#handle
    if (urls.length > 0) this.#http = await listenHttp({ urls, tls, handle, log, limits })
    this.#grpc = await ENGINES[config.grpcEngine]({
      listenURLs: listenClientURLs,
      tls,
      services: this.#services,
      maxReceiveBytes: maxReceiveBytes(config),
      observer: this.#observer,
      log,
      limits,
      ...(this.#http === undefined ? { handleRequest: handle } : {}),
    })
    log.info({ urls: [...listenClientURLs, ...urls] }, 'serving clients')
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#grpc?.stop(STOP_GRACE_MS), this.#http?.close(STOP_GRACE_MS)])
  }
}

function maxReceiveBytes({ maxRequestBytes }: Config): number {
  return maxRequestBytes + GRPC_OVERHEAD_BYTES
}

function rpcObserver({ config, log, metrics, onFatal }: ClientServerParts): RpcObserver {
  const { rpc } = metrics
  return {
    ...rpc,
    method: (path, kind) => {
      const observer = rpc.method(path, kind)
      if (kind !== 'unary') return observer
      return {
        started: () => observer.started(),
        handled: (code, seconds) => {
          observer.handled(code, seconds)
          if (seconds * 1000 > config.warningUnaryRequestMs) log.warn({ path, code, seconds }, 'a call took long')
        },
      }
    },
    failed: (path, error) => {
      log.error({ err: error, path }, 'a call failed')
      if (error instanceof Error && error.name === 'AssertionFailed') onFatal(error)
    },
  }
}
