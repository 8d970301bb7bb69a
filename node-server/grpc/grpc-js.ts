/**
 * The first engine: @grpc/grpc-js. It serves a table of methods on HTTP/2 connections that `listen` has accepted, beside
 * all else that comes to the same address.
 *
 * The library answers by itself what never reaches a handler: messages over the limit (ResourceExhausted), compressed
 * messages. Calls are taken over from the library, see {@link UnaryCall} and
 * {@link StreamCall}: its own path costs an empty unary call about a fifth of its time more, and a small response on a
 * stream twice the time.
 */
import assert from 'node:assert/strict'
import { Http2ServerRequest, Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'
import {
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerOptions,
} from '@grpc/grpc-js'
import { Http1 } from '../listen/http1.ts'
import { countRequest, Http2 } from '../listen/http2.ts'
import { DEFAULT_LIMITS, type ListenLimits } from '../listen/limits.ts'
import type { StreamLoad } from '../listen/load.ts'
import { notFound, type GrpcServer, type GrpcServerOptions } from './engine.ts'
import { StreamCall, type StreamRoute } from './grpc-js-stream.ts'
import { UnaryCall, type UnaryRoute } from './grpc-js-unary.ts'
import { openPort } from './one-port.ts'
import { refuseUnknown } from './unknown-method.ts'

/** Rejects when an address cannot be bound; then nothing is left open. */
export async function serveGrpcJs(options: GrpcServerOptions): Promise<GrpcServer> {
  const limits = options.limits ?? DEFAULT_LIMITS
  const stopping = new AbortController()
  const arriving: Arriving = { stream: undefined, load: undefined }
  const server = makeServer(options, limits, stopping.signal, arriving)
  register(server, options)
  const engine = engineOf(server)
  const http1 = new Http1(limits, options.handleRequest ?? notFound)
  const http2 = new Http2(limits, {
    onSession: (session) => engine.emit('session', session),
    onStream: ({ stream, headers, rawHeaders, load }) => {
      if (headers['content-type']?.startsWith('application/grpc') !== true)
        return http1.takeRequest(
          new Http2ServerRequest(stream, headers, {}, rawHeaders),
          new Http2ServerResponse(stream),
        )
      if (refuseUnknown(options.services, stream, headers)) return undefined
      Object.assign(arriving, { stream, load })
      engine.emit('stream', stream, headers)
      countRequest({ stream, load })
    },
  })
  const port = await openPort(options, { limits, http1, http2, stopping })
  return {
    addresses: port.addresses,
    stop: async (graceMs) => {
      await port.stop(graceMs)
      server.forceShutdown()
    },
  }
}

/** Of the stream that the library is being given: before it returns it has made the call, which takes this over. */
interface Arriving {
  stream: ServerHttp2Stream | undefined
  load: StreamLoad | undefined
}

function makeServer(
  options: GrpcServerOptions,
  limits: ListenLimits,
  stopping: AbortSignal,
  arriving: Arriving,
): Server {
  const unary = unaryRoutes(options)
  const streams = streamRoutes(options, stopping)
  const takeOver: ServerInterceptor = ({ path }, call) => {
    const { stream, load } = arriving
    Object.assign(arriving, { stream: undefined, load: undefined })
    assert(stream !== undefined && load !== undefined, 'one call is made for one stream, at once')
    const route = unary.get(path)
    if (route !== undefined) return new UnaryCall(call, route, load)
    const streamRoute = streams.get(path)
    return streamRoute === undefined
      ? new ServerInterceptingCall(call)
      : new StreamCall(call, stream, streamRoute, load)
  }
  const keepalive: ServerOptions =
    limits.keepaliveIntervalMs === 0 || limits.keepaliveTimeoutMs === 0
      ? {}
      : {
          'grpc.keepalive_time_ms': limits.keepaliveIntervalMs,
          'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
        }
  return new Server({
    'grpc.max_receive_message_length': options.maxReceiveBytes,
    'grpc.max_send_message_length': -1,
    'grpc.enable_channelz': 0,
    ...keepalive,
    interceptors: [takeOver],
  })
}

/**
 * What the library itself gives its connections' events to. It makes one for an injector, and an injector would do, if it
 * let others see the streams that are not gRPC's, and take options of HTTP/2.
 */
function engineOf(server: Server): { emit(event: 'session' | 'stream', ...values: unknown[]): boolean } {
  server.createConnectionInjector(ServerCredentials.createInsecure())
  const [engine, ...others] = server['http2Servers'].keys()
  assert(engine !== undefined && others.length === 0, 'the library makes one HTTP/2 server for one injector')
  return engine
}

function unaryRoutes({ services, observer }: GrpcServerOptions): ReadonlyMap<string, UnaryRoute> {
  const routes = new Map<string, UnaryRoute>()
  for (const [path, method] of Object.entries(services)) {
    if (method.kind !== 'unary') continue
    routes.set(path, { path, handle: method.handle, calls: observer.method(path, 'unary'), observer })
  }
  return routes
}

function streamRoutes(
  { services, observer }: GrpcServerOptions,
  stopping: AbortSignal,
): ReadonlyMap<string, StreamRoute> {
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
function register(server: Server, { services }: GrpcServerOptions): void {
  for (const [path, { kind }] of Object.entries(services)) {
    // Two-way serves one-way streams as well: on the wire they are the same.
    server.register(path, () => undefined, unchanged, unchanged, kind === 'unary' ? 'unary' : 'bidi')
  }
}
