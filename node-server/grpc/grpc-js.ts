/**
 * The first engine: @grpc/grpc-js. It serves a table of methods on plaintext HTTP/2.
 *
 * The library answers by itself what never reaches a handler: unknown methods (Unimplemented), messages over the limit
 * (ResourceExhausted), compressed messages. Client pings are always permitted. Calls are taken over from the library, see
 * {@link UnaryCall} and {@link StreamCall}: its own path costs an empty unary call about a fifth of its time more, and a
 * small response on a stream twice the time.
 */
import { Server, ServerCredentials, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js'
import { StreamCall, type StreamRoute } from './grpc-js-stream.ts'
import { UnaryCall, type UnaryRoute } from './grpc-js-unary.ts'
import type { RpcObserver, ServiceTable } from './service.ts'

export interface GrpcJsOptions {
  /** `http://host:port`; port 0 takes a free one. */
  readonly listenURLs: readonly string[]
  readonly services: ServiceTable
  /** A longer request is refused before it is read to its end. */
  readonly maxReceiveBytes: number
  readonly observer: RpcObserver
}

export interface GrpcServer {
  /** `host:port` as bound, in the order of the listen URLs. */
  readonly addresses: readonly string[]
  /** No new calls; those in flight may finish within `graceMs`, then they are cut. Never rejects. */
  stop(graceMs: number): Promise<void>
}

/** Streams at once on one connection; a client opens another connection beyond it. */
const MAX_CONCURRENT_STREAMS = 65_536
/** As etcd's --grpc-keepalive-interval and --grpc-keepalive-timeout. */
const KEEPALIVE_INTERVAL_MS = 2 * 60 * 60 * 1000
const KEEPALIVE_TIMEOUT_MS = 20 * 1000

/** Rejects when an address cannot be bound; then nothing is left open. */
export async function serveGrpcJs(options: GrpcJsOptions): Promise<GrpcServer> {
  const stopping = new AbortController()
  const unary = unaryRoutes(options)
  const streams = streamRoutes(options, stopping.signal)
  const takeOver: ServerInterceptor = ({ path }, call) => {
    const route = unary.get(path)
    if (route !== undefined) return new UnaryCall(call, route)
    const streamRoute = streams.get(path)
    return streamRoute === undefined ? new ServerInterceptingCall(call) : new StreamCall(call, streamRoute)
  }
  const server = new Server({
    'grpc.max_receive_message_length': options.maxReceiveBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    'grpc.keepalive_time_ms': KEEPALIVE_INTERVAL_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.enable_channelz': 0,
    interceptors: [takeOver],
  })
  register(server, options)
  const addresses: string[] = []
  try {
    for (const url of options.listenURLs) addresses.push(await bind(server, url))
  } catch (error) {
    server.forceShutdown()
    throw error
  }
  return {
    addresses,
    stop: (graceMs) => {
      stopping.abort()
      return stop(server, addresses, graceMs)
    },
  }
}

function unaryRoutes({ services, observer }: GrpcJsOptions): ReadonlyMap<string, UnaryRoute> {
  const routes = new Map<string, UnaryRoute>()
  for (const [path, method] of Object.entries(services)) {
    if (method.kind !== 'unary') continue
    routes.set(path, { path, handle: method.handle, calls: observer.method(path, 'unary'), observer })
  }
  return routes
}

function streamRoutes({ services, observer }: GrpcJsOptions, stopping: AbortSignal): ReadonlyMap<string, StreamRoute> {
  const routes = new Map<string, StreamRoute>()
  for (const [path, method] of Object.entries(services)) {
    if (method.kind !== 'stream') continue
    const { handle } = method
    routes.set(path, { path, handle, calls: observer.method(path, 'stream'), observer, stopping })
  }
  return routes
}

const unchanged = (bytes: Buffer): Buffer => bytes

/** UnaryCall and StreamCall answer, never these handlers; the library must know the paths nevertheless. */
function register(server: Server, { services }: GrpcJsOptions): void {
  for (const [path, { kind }] of Object.entries(services)) {
    // Two-way serves one-way streams as well: on the wire they are the same.
    server.register(path, () => undefined, unchanged, unchanged, kind === 'unary' ? 'unary' : 'bidi')
  }
}

function bind(server: Server, url: string): Promise<string> {
  const { host, hostname } = new URL(url)
  const port = host === hostname ? '80' : host.slice(hostname.length + 1)
  return new Promise((resolve, reject) => {
    server.bindAsync(`${hostname}:${port}`, ServerCredentials.createInsecure(), (error, boundPort) => {
      if (error === null) resolve(`${hostname}:${boundPort}`)
      else reject(new Error(`cannot listen on ${url}: ${error.message}`, { cause: error }))
    })
  })
}

/** Draining cuts what outlasts the grace; forceShutdown would not find the connections while channelz is off. */
function stop(server: Server, addresses: readonly string[], graceMs: number): Promise<void> {
  for (const address of addresses) server.drain(address, graceMs)
  return new Promise((resolve) => server.tryShutdown(() => resolve()))
}
