/**
 * Where the API server is and how to prove who we are: kube-config.ts says so; the connections are ours: one dispatcher
 * for all calls, since the library opens a connection for each.
 *
 * Credentials are asked for again every few seconds (a mounted token and CA rotate) and afresh after a 401; the
 * dispatcher is rebuilt only when TLS material changed, and the old one ends with its last request.
 */
import type { RequestOptions } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import type { Dispatcher } from 'undici'
import { Agent, ProxyAgent } from 'undici'
import type { Clock } from '../../lib/clock.ts'
import type { ConfigLoader, ConnectionConfig } from './kube-config.ts'

/** Watches hold one each; short calls share the rest. */
const MAX_CONNECTIONS = 256
const CREDENTIALS_MAX_AGE_MS = 10_000
/** The API server closes what is idle for 90 s. Shorter, and each look at a quiet cluster would begin with TLS handshakes. */
const KEEP_ALIVE_MS = 60_000

type TlsMaterial = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>

export interface Endpoint {
  /** With the path in front of all paths, without a slash at the end. */
  readonly baseUrl: string
  readonly headers: Readonly<Record<string, string>>
  readonly dispatcher: Dispatcher
}

export interface Connection {
  endpoint(): Promise<Endpoint>
  /** The server did not accept what `endpoint` gave: read everything afresh next time. */
  invalidate(): void
  close(): Promise<void>
}

export class KubeConfigConnection implements Connection {
  readonly #clock: Clock
  readonly #load: ConfigLoader
  #config: ConnectionConfig
  #current: Endpoint | undefined
  #currentAtMs = 0
  #tlsMaterial = ''
  /** Shared by all who ask meanwhile, so that there is never a second dispatcher. */
  #refreshing: Promise<Endpoint> | undefined

  constructor(clock: Clock, load: ConfigLoader) {
    this.#clock = clock
    this.#load = load
    this.#config = load()
  }

  /** Of the current context; in a pod, the pod's own. */
  get defaultNamespace(): string {
    return this.#config.getContextObject(this.#config.getCurrentContext())?.namespace ?? 'default'
  }

  async endpoint(): Promise<Endpoint> {
    const ageMs = this.#clock.monotonicMs() - this.#currentAtMs
    if (this.#current !== undefined && ageMs < CREDENTIALS_MAX_AGE_MS) return this.#current
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined))
    return this.#refreshing
  }

  async #refresh(): Promise<Endpoint> {
    const nowMs = this.#clock.monotonicMs()
    const cluster = this.#config.getCurrentCluster()
    if (cluster === null) throw new Error('the kubeconfig has no current cluster')
    const options: RequestOptions = {}
    await this.#config.applyToHTTPSOptions(options)
    const tls = tlsMaterialOf(options)
    const material = JSON.stringify([cluster.server, cluster.proxyUrl, tls])
    const previous = this.#current
    const isSame = previous !== undefined && material === this.#tlsMaterial
    const dispatcher = isSame ? previous.dispatcher : newDispatcher(cluster.proxyUrl, tls)
    if (!isSame) void previous?.dispatcher.close()
    this.#tlsMaterial = material
    this.#currentAtMs = nowMs
    this.#current = { baseUrl: cluster.server.replace(/\/+$/, ''), headers: headersOf(options), dispatcher }
    return this.#current
  }

  invalidate(): void {
    this.#currentAtMs = -Infinity
    try {
      this.#config = this.#load()
    } catch {
      // A file may be missing in the middle of its rotation: what is known stays in use, and the next 401 tries again.
    }
  }

  async close(): Promise<void> {
    await this.#current?.dispatcher.destroy()
  }
}

function newDispatcher(proxyUrl: string | undefined, tls: TlsMaterial): Dispatcher {
  // HTTP/1.1: a broken connection then costs one watch, not all of them.
  const shared = { connections: MAX_CONNECTIONS, allowH2: false, keepAliveTimeout: KEEP_ALIVE_MS }
  if (proxyUrl === undefined) return new Agent({ ...shared, connect: tls })
  if (proxyUrl.startsWith('socks')) {
    throw new Error(`the proxy ${proxyUrl} is a SOCKS proxy, which is not supported: use an HTTP proxy`)
  }
  return new ProxyAgent({ ...shared, uri: proxyUrl, requestTls: tls })
}

/** Only what is set: an explicit undefined would switch the system's own certificates off. */
function tlsMaterialOf(options: RequestOptions): TlsMaterial {
  const { ca, cert, key, servername, rejectUnauthorized } = options
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  }
}

function headersOf(options: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': 'raftcluster-operator' }
  if (options.headers !== undefined && !Array.isArray(options.headers)) {
    for (const [name, value] of Object.entries(options.headers)) headers[name.toLowerCase()] = String(value).trim()
  }
  if (typeof options.auth === 'string') {
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`
  }
  return headers
}
