/** A streaming call: requests as an iterable, answers with back-pressure. */
import type { ServerHttp2Stream } from 'node:http2'
import { performance } from 'node:perf_hooks'
import { Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { StreamLoad } from '../listen/load.ts'
import { framed, PREFIX_BYTES, sizeOf } from './frames.ts'
import { STATUS_CODE } from './status-code.ts'
import { commonNameOf, HANDLER_FAILED, TOO_MUCH_UNREAD } from './grpc-js-unary.ts'
import { RequestQueue } from './request-queue.ts'
import type {
  CallContext,
  CallObserver,
  ResponseParts,
  RpcObserver,
  RpcStatus,
  RpcStream,
  StreamHandler,
} from './service.ts'
import { UnsentBytes } from './unsent-bytes.ts'

/** All that the calls of one method share. */
export interface StreamRoute {
  readonly path: string
  readonly handle: StreamHandler
  readonly calls: CallObserver
  readonly observer: RpcObserver
  /** Aborts when the engine stops: streams that would go on forever end then. */
  readonly stopping: AbortSignal
}

const STOPPED: RpcStatus = { code: 'Unavailable', message: 'etcdserver: server stopped' }
const NO_HEADERS = new Metadata()
const OK = { code: STATUS_CODE.OK, details: 'OK', metadata: null }

/**
 * Takes the place of the library's own path for streams, as UnaryCall does for unary calls. The library's stream writes
 * one response, waits until HTTP/2 has flushed it, and only then writes the next: while the process has other work, that
 * is one response in each round of the event loop. So responses are written to HTTP/2 from here, many at once; headers
 * and status remain the library's.
 */
export class StreamCall extends ServerInterceptingCall implements CallContext, RpcStream {
  readonly #next: ServerInterceptingCallInterface
  readonly #stream: ServerHttp2Stream
  readonly #route: StreamRoute
  readonly #load: StreamLoad
  readonly #gone = new AbortController()
  readonly #unsent: UnsentBytes
  readonly #requests: RequestQueue
  readonly signal: AbortSignal
  #headers: Metadata | undefined
  #isGone = false

  constructor(next: ServerInterceptingCallInterface, stream: ServerHttp2Stream, route: StreamRoute, load: StreamLoad) {
    super(next)
    this.#next = next
    this.#stream = stream
    this.#route = route
    this.#load = load
    this.signal = AbortSignal.any([this.#gone.signal, route.stopping])
    this.#unsent = new UnsentBytes(this.signal)
    this.#requests = new RequestQueue(() => next.startRead())
  }

  /** The library's listener would answer from its own handler: it is left out. */
  override start(): void {
    this.#next.start(this)
  }

  onReceiveMetadata(headers: Metadata): void {
    this.#headers = headers
    void this.#serve()
  }

  onReceiveMessage(request: Buffer): void {
    this.#load.delivered(request.length + PREFIX_BYTES)
    this.#route.observer.receivedBytes(request.length)
    this.#requests.push(request)
  }

  onReceiveHalfClose(): void {
    this.#requests.end()
  }

  /** The library also calls it when the call has ended. */
  onCancel(): void {
    this.#isGone = true
    this.#gone.abort()
    this.#requests.end()
  }

  metadata(name: string): string | undefined {
    return this.#headers?.get(name)[0]?.toString()
  }

  get peer(): string {
    return this.#next.getPeer()
  }

  get commonName(): string | undefined {
    return commonNameOf(this.#next.getAuthContext())
  }

  get requests(): AsyncIterable<Uint8Array> {
    return this.#requests
  }

  write(responses: readonly ResponseParts[]): boolean {
    if (!this.#isOpen) return false
    if (!this.#load.mayQueue) return this.#giveUp()
    let sizeBytes = 0
    for (const response of responses) sizeBytes += sizeOf(response)
    this.#route.observer.sentBytes(sizeBytes)
    this.#unsent.add(responses.length, sizeBytes)
    this.#load.queued(sizeBytes)
    this.#write(framed(responses), () => {
      this.#unsent.remove(responses.length, sizeBytes)
      this.#load.sent(sizeBytes)
    })
    return this.#unsent.areFew
  }

  async drained(): Promise<boolean> {
    if (this.#isOpen) await this.#unsent.whenFew()
    return this.#isOpen
  }

  get #isOpen(): boolean {
    return !this.#isGone && !this.#route.stopping.aborted && this.#stream.writable
  }

  /** `onTaken` is also called when the stream has failed. */
  #write(pieces: readonly Uint8Array[], onTaken: () => void): void {
    this.#next.sendMetadata(NO_HEADERS) // once, whatever it is told again
    this.#stream.cork()
    for (const [position, piece] of pieces.entries()) {
      if (position < pieces.length - 1) this.#stream.write(piece)
      else this.#stream.write(piece, onTaken)
    }
    this.#stream.uncork()
  }

  /** The client reads too little on this connection: the stream ends, and its handler learns that nothing arrives. */
  #giveUp(): false {
    this.#next.sendStatus({ code: STATUS_CODE[TOO_MUCH_UNREAD.code], details: TOO_MUCH_UNREAD.message, metadata: null })
    this.onCancel()
    return false
  }

  async #serve(): Promise<void> {
    const startedMs = performance.now()
    const { calls } = this.#route
    calls.started()
    const status = await this.#outcome()
    const code = this.#isGone ? 'Canceled' : (status?.code ?? 'OK')
    calls.handled(code, (performance.now() - startedMs) / 1000)
    if (status === undefined) this.#next.sendStatus(OK)
    else this.#next.sendStatus({ code: STATUS_CODE[status.code], details: status.message, metadata: null })
  }

  async #outcome(): Promise<RpcStatus | undefined> {
    const { path, handle, observer, stopping } = this.#route
    try {
      const status = await handle(this, this)
      return stopping.aborted ? (status ?? STOPPED) : status
    } catch (error) {
      if (!this.#isGone) observer.failed(path, error)
      return HANDLER_FAILED
    }
  }
}
