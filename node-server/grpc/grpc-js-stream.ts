/** A streaming call: requests as an iterable, answers with back-pressure. */
import { performance } from 'node:perf_hooks'
import { ServerInterceptingCall, type Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js'
import { asBuffer, commonNameOf, HANDLER_FAILED } from './grpc-js-unary.ts'
import { STATUS } from './grpc-js-status.ts'
import { RequestQueue } from './request-queue.ts'
import type { CallContext, CallObserver, RpcObserver, RpcStatus, RpcStream, StreamHandler } from './service.ts'
import { UnsentBytes } from './unsent-bytes.ts'

/** All that the calls of one method share. */
export interface StreamRoute {
  readonly path: string
  readonly handle: StreamHandler
  readonly calls: CallObserver
  readonly observer: RpcObserver
  /** Aborts when the engine stops: streams that would go on for ever end then. */
  readonly stopping: AbortSignal
}

const STOPPED: RpcStatus = { code: 'Unavailable', message: 'etcdserver: server stopped' }
const OK = { code: STATUS.OK, details: 'OK', metadata: null }

/**
 * Takes the place of the library's own path for streams, as UnaryCall does for unary calls. The library's stream writes
 * one response, waits until HTTP/2 has flushed it, and only then writes the next: while the process has other work, that
 * is one response in each round of the event loop.
 */
export class StreamCall extends ServerInterceptingCall implements CallContext, RpcStream {
  readonly #next: ServerInterceptingCallInterface
  readonly #route: StreamRoute
  readonly #gone = new AbortController()
  readonly #unsent: UnsentBytes
  readonly #requests: RequestQueue
  readonly signal: AbortSignal
  #headers: Metadata | undefined

  constructor(next: ServerInterceptingCallInterface, route: StreamRoute) {
    super(next)
    this.#next = next
    this.#route = route
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
    this.#route.observer.receivedBytes(request.length)
    this.#requests.push(request)
  }

  onReceiveHalfClose(): void {
    this.#requests.end()
  }

  /** The library also calls it when the call has ended. */
  onCancel(): void {
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

  async send(response: Uint8Array): Promise<boolean> {
    if (this.signal.aborted) return false
    this.#route.observer.sentBytes(response.length)
    this.#unsent.add(response.length)
    this.#next.sendMessage(asBuffer(response), () => this.#unsent.remove(response.length))
    await this.#unsent.whenFew()
    return !this.signal.aborted
  }

  async #serve(): Promise<void> {
    const startedMs = performance.now()
    const { calls } = this.#route
    calls.started()
    const status = await this.#outcome()
    const code = this.#gone.signal.aborted ? 'Canceled' : (status?.code ?? 'OK')
    calls.handled(code, (performance.now() - startedMs) / 1000)
    if (status === undefined) this.#next.sendStatus(OK)
    else this.#next.sendStatus({ code: STATUS[status.code], details: status.message, metadata: null })
  }

  async #outcome(): Promise<RpcStatus | undefined> {
    const { path, handle, observer, stopping } = this.#route
    try {
      const status = await handle(this, this)
      return stopping.aborted ? (status ?? STOPPED) : status
    } catch (error) {
      if (!this.#gone.signal.aborted) observer.failed(path, error)
      return HANDLER_FAILED
    }
  }
}
