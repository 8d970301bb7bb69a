/** HTTP/1.1 on connections that somebody else has accepted, and requests that came by HTTP/2 but are no calls. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Http2ServerRequest, Http2ServerResponse, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { ListenLimits } from './limits.ts'

/** Answers requests in the form of Node's own server, which an HttpHandler takes as well. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/** How often the limits on time are checked. */
const CHECK_INTERVAL_MS = 1000

export class Http1 {
  readonly #server: Server
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
    this.#server = createServer(options, handle)
    // It never listens itself, and checks its limits on time only from then on.
    this.#server.emit('listening')
  }

  take(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    this.#server.emit('connection', socket)
  }

  /** The handler gets it in Node's compatible form, which has all that a handler of HTTP/1.1 uses. */
  takeStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
    const request = new Http2ServerRequest(stream, headers, {}, rawHeaders)
    this.#server.emit('request', request, new Http2ServerResponse(stream))
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
