/** HTTP/1.1 on connections that somebody else has accepted, and requests that came by HTTP/2 but are no calls. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { ListenLimits } from './limits.ts'
import { createServer } from './node-http.ts'

/** Answers requests in the form of Node's own server, which an HttpHandler takes as well. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/** How often the limits on time are checked. */
const CHECK_INTERVAL_MS = 1000
/** Requests that one client has sent before it was answered the first of them: hardly any client sends a second one. */
const MAX_WAITING_REQUESTS = 16
/** What is left of a request is read for so long once it is answered: nobody looks at it. */
const REST_TIMEOUT_MS = 500

export class Http1 {
  readonly #handle: RequestHandler
  readonly #server: Server
  /** Of each connection with a request under way those that wait for its answer. */
  readonly #waiting = new Map<Socket, (() => void)[]>()
  readonly #sockets = new Set<Socket>()

  constructor(limits: ListenLimits, handle: RequestHandler) {
    const { headersTimeoutMs, requestTimeoutMs } = limits
    const options = {
      maxHeaderSize: limits.maxHeaderBytes,
      // Node refuses a longer one for the part than for the whole.
      headersTimeout: requestTimeoutMs === 0 ? headersTimeoutMs : Math.min(headersTimeoutMs, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, headersTimeoutMs || CHECK_INTERVAL_MS),
    }
    this.#handle = handle
    this.#server = createServer(options, (request, response) => this.#serve(request, response))
    // It never listens itself, and checks its limits on time only from then on.
    this.#server.emit('listening')
  }

  take(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    this.#server.emit('connection', socket)
  }

  /** Those of one connection one after the other: Node would have all that it has read handled at once. */
  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (request.httpVersionMajor > 1) return this.#handle(request, response)
    const { socket } = request
    const begin = (): void => {
      response.once('close', () => {
        if (!request.complete) endUnlessComplete(request)
        this.#serveNext(socket)
      })
      this.#handle(request, response)
    }
    const waiting = this.#waiting.get(socket)
    if (waiting === undefined) {
      this.#waiting.set(socket, [])
      begin()
    } else if (waiting.push(begin) > MAX_WAITING_REQUESTS) socket.destroy()
  }

  #serveNext(socket: Socket): void {
    const next = socket.destroyed ? undefined : this.#waiting.get(socket)?.shift()
    if (next === undefined) this.#waiting.delete(socket)
    else next()
  }

  /** One that came by HTTP/2: Node's compatible form has all that a handler of HTTP/1.1 uses. */
  takeRequest(request: Http2ServerRequest, response: Http2ServerResponse): void {
    this.#server.emit('request', request, response)
  }

  /** Requests under way may finish within `graceMs`, then they are cut. */
  async close(graceMs: number): Promise<void> {
    this.#server.close() // ends the idle connections
    if (this.#sockets.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        for (const socket of this.#sockets) socket.destroy()
      }, graceMs)
      for (const socket of this.#sockets) {
        socket.once('close', () => {
          if (this.#sockets.size > 0) return
          clearTimeout(timer)
          resolve()
        })
      }
    })
  }
}

/** A body without end would be read for as long as the time limit on requests allows. */
function endUnlessComplete(request: IncomingMessage): void {
  const { socket } = request
  const timer = setTimeout(() => {
    if (!request.complete) socket.destroy()
  }, REST_TIMEOUT_MS)
  socket.once('close', () => clearTimeout(timer))
}
