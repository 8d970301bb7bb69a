/**
 * The built-in engine: gRPC over our own HTTP/2. It serves a table of methods on the connections that `listen` has accepted,
 * beside all else that comes to the same address.
 *
 * Neighbours: `http2` knows connections and streams, and nothing of gRPC; the handlers know neither.
 */
import type { HttpHandler } from '../../lib/http-exchange.ts'
import { TLSSocket } from 'node:tls'
import type { Socket } from 'node:net'
import { Connection, type ConnectionOptions } from '../http2/connection.ts'
import { Exchange } from '../http2/exchange.ts'
import type { Field } from '../http2/hpack-encoder.ts'
import { fieldOf, type RequestHead } from '../http2/request-head.ts'
import { Slab } from '../http2/output.ts'
import type { Route } from '../http2/requests.ts'
import { Turn } from '../http2/turn.ts'
import { Http1 } from '../listen/http1.ts'
import { DEFAULT_LIMITS, type ListenLimits } from '../listen/limits.ts'
import { ConnectionLoad, ListenerLoad } from '../listen/load.ts'
import { refusal, type CallHead } from './built-in-call.ts'
import { RefusedCall } from './built-in-refused.ts'
import { StreamCall } from './built-in-stream.ts'
import { UnaryCall } from './built-in-unary.ts'
import { Deadlines } from './deadlines.ts'
import { notFound, type GrpcServer, type GrpcServerOptions } from './engine.ts'
import { openPort } from './one-port.ts'
import type { CallObserver, Method, RpcStatus } from './service.ts'
import { parseTimeoutMs } from './timeout.ts'
import { unknownMethod } from './unknown-method.ts'

/** Rejects when an address cannot be bound; then nothing is left open. */
export function serveBuiltIn(options: GrpcServerOptions): Promise<GrpcServer> {
  const limits = options.limits ?? DEFAULT_LIMITS
  const stopping = new AbortController()
  const http1 = new Http1(limits, options.handleRequest ?? notFound)
  const http2 = new BuiltInCalls(options, limits, stopping.signal)
  return openPort(options, { limits, http1, http2, stopping })
}

interface Served {
  readonly method: Method
  readonly calls: CallObserver
}

/** Calls on connections that somebody else has accepted. */
export class BuiltInCalls {
  readonly #options: GrpcServerOptions
  readonly #handleRequest: HttpHandler
  readonly #stopping: AbortSignal
  readonly #methods = new Map<string, Served>()
  readonly #deadlines = new Deadlines(() => performance.now())
  readonly #load: ListenerLoad
  readonly #shared: Pick<ConnectionOptions, 'limits' | 'turn' | 'slab' | 'text'>
  readonly #connections = new Set<Connection>()
  #onAllClosed: () => void = () => undefined

  constructor(options: GrpcServerOptions, limits: ListenLimits, stopping: AbortSignal) {
    this.#options = options
    this.#handleRequest = options.handleRequest ?? notFound
    this.#stopping = stopping
    this.#load = new ListenerLoad(limits)
    this.#shared = { limits, turn: new Turn(), slab: new Slab(), text: Buffer.allocUnsafe(limits.maxHeaderBytes) }
    for (const [path, method] of Object.entries(options.services))
      this.#methods.set(path, { method, calls: options.observer.method(path, method.kind) })
  }

  take(socket: Socket): void {
    const load = new ConnectionLoad(this.#load)
    const connection = new Connection(socket, {
      ...this.#shared,
      commonName: commonNameOf(socket),
      route: (head) => this.#route(head, load),
      onClosed: () => {
        this.#connections.delete(connection)
        if (this.#connections.size === 0) this.#onAllClosed()
      },
    })
    this.#connections.add(connection)
  }

  /** No new calls; those there are may end within `graceMs`, then they are cut. */
  async close(graceMs: number): Promise<void> {
    if (this.#connections.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        for (const connection of this.#connections) connection.destroy()
      }, graceMs)
      this.#onAllClosed = () => {
        clearTimeout(timer)
        resolve()
      }
      for (const connection of this.#connections) connection.drain()
    })
  }

  #route(head: RequestHead, connection: ConnectionLoad): Route {
    const contentType = fieldOf(head.fields, 'content-type')
    if (contentType?.startsWith('application/grpc') !== true) return exchanging(connection, head, this.#handleRequest)
    const served = this.#methods.get(head.path)
    if (served === undefined) {
      const message = unknownMethod(this.#options.services, head.path) ?? ''
      return refusing(connection, refusal({ code: 'Unimplemented', message }))
    }
    const call = this.#callHead(head, served)
    return 'code' in call ? refusing(connection, refusal(call)) : this.#calling(connection, call, served.method)
  }

  #callHead(head: RequestHead, { calls }: Served): CallHead | RpcStatus {
    const timeout = fieldOf(head.fields, 'grpc-timeout')
    const timeoutMs = timeout === undefined ? undefined : parseTimeoutMs(timeout)
    if (timeout !== undefined && timeoutMs === undefined)
      return { code: 'Internal', message: `malformed grpc-timeout: ${JSON.stringify(timeout)}` }
    const encoding = fieldOf(head.fields, 'grpc-encoding') ?? 'identity'
    if (encoding !== 'identity' && encoding !== 'gzip')
      return { code: 'Unimplemented', message: `grpc: Decompressor is not installed for grpc-encoding "${encoding}"` }
    const { observer, maxReceiveBytes } = this.#options
    const isGzip = encoding === 'gzip'
    return { path: head.path, head, timeoutMs, isGzip, calls, observer, deadlines: this.#deadlines, maxReceiveBytes }
  }

  #calling(connection: ConnectionLoad, call: CallHead, method: Method): Route {
    if (method.kind === 'unary') {
      const { handle } = method
      return {
        open: (port, id) => {
          const load = connection.openStream()
          return load && new UnaryCall(port, id, call, load, handle)
        },
      }
    }
    const { handle } = method
    const stopping = this.#stopping
    return {
      open: (port, id) => {
        const load = connection.openStream()
        return load && new StreamCall(port, id, call, load, handle, stopping)
      },
    }
  }
}

function exchanging(connection: ConnectionLoad, head: RequestHead, handle: HttpHandler): Route {
  return {
    open: (port, id) => {
      const load = connection.openStream()
      return load && new Exchange(port, id, head, load, handle)
    },
  }
}

function refusing(connection: ConnectionLoad, answer: readonly Field[]): Route {
  return {
    open: (port, id) => {
      const load = connection.openStream()
      return load && new RefusedCall(port, id, load, answer)
    },
  }
}

/** Of its certificate, when that comes from a trusted CA. */
function commonNameOf(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const subject: { readonly CN?: string | string[] } | undefined = socket.getPeerCertificate().subject // none: no subject
  const name = subject?.CN
  return Array.isArray(name) ? name.at(-1) : name
}
