/** What clients are served: gRPC and HTTP, on one port or on two, for as long as the member runs. */
import type { Logger } from 'pino'
import type { Clock } from '../lib/clock.ts'
import type { MemberMetrics } from './api/admin/metrics.ts'
import { etcdServices } from './api/etcd/services.ts'
import { httpHandler, type HttpHandler } from './api/http/handler.ts'
import type { Config } from './config.ts'
import { serveGrpcJs, type GrpcServer } from './grpc/grpc-js.ts'
import type { RpcObserver } from './grpc/service.ts'
import { listenHttp } from './listen/http-listener.ts'
import { raisedAlarms } from './member-facts.ts'
import type { NodePort } from './node/ports.ts'
import { WatchHub } from './node/watch-hub.ts'
import type { TlsOptions } from './tls/options.ts'

/** For calls in flight when the member is asked to stop. */
const STOP_GRACE_MS = 5000
/** Beside the request itself: what gRPC and the message around it take, as in etcd. */
const GRPC_OVERHEAD_BYTES = 512 * 1024

export interface ClientServerParts {
  readonly config: Config
  readonly log: Logger
  readonly metrics: MemberMetrics
  readonly tls: TlsOptions | undefined
  readonly clock: Clock
  readonly onFatal: (error: unknown) => void
}

export class ClientServer {
  readonly hub: WatchHub
  /** /health and the like, without the gateway: for the metrics URLs. */
  readonly handleProbe: HttpHandler
  readonly #grpc: GrpcServer
  readonly #http: { close(graceMs: number): Promise<void> } | undefined
  /** Ends the streams of the JSON gateway. */
  readonly #stopping: AbortController

  private constructor(parts: {
    hub: WatchHub
    handleProbe: HttpHandler
    grpc: GrpcServer
    http: { close(graceMs: number): Promise<void> } | undefined
    stopping: AbortController
  }) {
    this.hub = parts.hub
    this.handleProbe = parts.handleProbe
    this.#grpc = parts.grpc
    this.#http = parts.http
    this.#stopping = parts.stopping
  }

  /** Rejects when an address cannot be bound. */
  static async open(member: NodePort, parts: ClientServerParts): Promise<ClientServer> {
    const { config, log, metrics, tls, clock } = parts
    const { listenClientURLs, listenClientHTTPURLs: urls, maxTxnOps, maxRequestBytes } = config
    const hub = new WatchHub(member, clock)
    const services = etcdServices(member, {
      maxTxnOps,
      clock,
      watch: {
        hub,
        maxRequestBytes,
        electionMs: config.electionTimeoutMs,
        progressNotifyIntervalMs: config.watchProgressNotifyIntervalMs,
      },
    })
    const maxReceiveBytes = maxRequestBytes + GRPC_OVERHEAD_BYTES
    const observer = rpcObserver(parts)
    const stopping = new AbortController()
    const { registry } = metrics
    const httpOptions = {
      ...config.http,
      maxReceiveBytes,
      observer,
      stopping: stopping.signal,
      health: { alarms: () => raisedAlarms(member.store.alarms), observer: metrics.health },
      metrics: { contentType: registry.contentType, text: () => registry.metrics() },
      log,
    }
    const handle = httpHandler(member, services, httpOptions)
    const http =
      urls.length === 0 ? undefined : await listenHttp({ urls, tls, handle, log, limits: config.clientLimits })
    const grpc = await serveGrpcJs({
      listenURLs: listenClientURLs,
      tls,
      services,
      maxReceiveBytes,
      observer,
      log,
      limits: config.clientLimits,
      ...(http === undefined ? { handleRequest: handle } : {}),
    })
    log.info({ urls: [...listenClientURLs, ...urls] }, 'serving clients')
    const handleProbe = httpHandler(member, services, { ...httpOptions, isGatewayEnabled: false })
    return new ClientServer({ hub, handleProbe, grpc, http, stopping })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#grpc.stop(STOP_GRACE_MS), this.#http?.close(STOP_GRACE_MS)])
  }
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
