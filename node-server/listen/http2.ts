/** HTTP/2 on connections that somebody else has accepted: sessions with limits; what comes by them is handed on. */
import {
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { ListenLimits } from './limits.ts'

export interface Http2Handlers {
  onSession(session: ServerHttp2Session): void
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void
}

export class Http2 {
  readonly #limits: ListenLimits
  readonly #handlers: Http2Handlers
  readonly #options: ServerOptions
  readonly #sessions = new Set<ServerHttp2Session>()

  constructor(limits: ListenLimits, handlers: Http2Handlers) {
    this.#limits = limits
    this.#handlers = handlers
    this.#options = {
      settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes },
      maxSendHeaderBlockLength: Number.MAX_SAFE_INTEGER,
      // Node's own bound counts in megabytes and refuses streams of well-behaved clients under load.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    }
  }

  take(socket: Socket): void {
    const session = performServerHandshake(socket, this.#options)
    this.#sessions.add(session)
    const timer = setTimeout(() => session.destroy(), this.#limits.handshakeTimeoutMs)
    session.once('remoteSettings', () => clearTimeout(timer))
    session.once('close', () => {
      clearTimeout(timer)
      this.#sessions.delete(session)
    })
    session.on('error', () => undefined) // 'close' follows
    this.#handlers.onSession(session)
    session.on('stream', (stream, headers, _flags, rawHeaders) => this.#handlers.onStream(stream, headers, rawHeaders))
  }

  /** No new streams; those there are may end within `graceMs`, then they are cut. */
  async close(graceMs: number): Promise<void> {
    const closed = [...this.#sessions].map(
      (session) =>
        new Promise<void>((resolve) => {
          if (session.destroyed) return resolve()
          session.once('close', () => resolve())
          if (!session.closed) session.close()
        }),
    )
    const timer = setTimeout(() => {
      for (const session of this.#sessions) session.destroy()
    }, graceMs)
    await Promise.all(closed)
    clearTimeout(timer)
  }
}
