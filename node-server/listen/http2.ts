/** HTTP/2 on connections that somebody else has accepted: sessions with limits; what comes by them is handed on. */
import {
  constants,
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { ListenLimits } from './limits.ts'
import { ConnectionLoad, ListenerLoad, type StreamLoad } from './load.ts'
import { PingPolicy } from './ping-policy.ts'

export interface Http2Handlers {
  onSession(session: ServerHttp2Session): void
  onStream(arrived: ArrivedStream): void
}

export interface ArrivedStream {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly load: StreamLoad
}

/** Cuts a stream that brings too much; of what is delivered the load must be told. Only once somebody reads the stream. */
export function countRequest({ stream, load }: Pick<ArrivedStream, 'stream' | 'load'>): void {
  stream.on('data', (chunk: Buffer) => {
    if (!load.received(chunk.length)) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  })
}

/** Calls that their clients give up, on one connection: so many at once, then so many each second. */
const RESET_BURST = 10_000
const RESETS_PER_SECOND = 1000

export class Http2 {
  readonly #limits: ListenLimits
  readonly #handlers: Http2Handlers
  readonly #options: ServerOptions
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #load: ListenerLoad

  constructor(limits: ListenLimits, handlers: Http2Handlers) {
    this.#limits = limits
    this.#handlers = handlers
    this.#load = new ListenerLoad(limits)
    this.#options = {
      settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes },
      maxSendHeaderBlockLength: Number.MAX_SAFE_INTEGER,
      // Node's own bound counts in megabytes and refuses streams of well-behaved clients under load: `load` is ours.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
      streamResetBurst: RESET_BURST,
      streamResetRate: RESETS_PER_SECOND,
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
    if (this.#limits.keepaliveMinTimeMs > 0) this.#watchPings(session, socket)
    this.#handlers.onSession(session)
    const load = new ConnectionLoad(this.#load)
    session.on('stream', (stream, headers, _flags, rawHeaders) => this.#onStream(stream, headers, rawHeaders, load))
  }

  #onStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    connection: ConnectionLoad,
  ): void {
    const load = connection.openStream()
    if (load === undefined) {
      stream.on('error', () => undefined)
      return stream.close(constants.NGHTTP2_REFUSED_STREAM)
    }
    stream.once('close', () => load.close())
    this.#handlers.onStream({ stream, headers, rawHeaders, load })
  }

  /** As grpc-go does: clients know this answer, and ping less often from then on. */
  #watchPings(session: ServerHttp2Session, socket: Socket): void {
    const policy = new PingPolicy(this.#limits.keepaliveMinTimeMs)
    const onPing = (): void => {
      if (policy.allows(performance.now(), socket.bytesWritten)) return
      session.off('ping', onPing)
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'))
      setImmediate(() => session.destroy())
    }
    session.on('ping', onPing)
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
