/** A streaming call: requests as an iterable, answers with back-pressure. */
import { MAX_WAITING_BYTES } from '../http2/limits.ts'
import type { StreamPort } from '../http2/stream.ts'
import type { StreamLoad } from '../listen/load.ts'
import { Call, HANDLER_FAILED, TOO_MUCH_UNREAD, type CallHead } from './built-in-call.ts'
import { RequestQueue } from './request-queue.ts'
import type { ResponseParts, RpcStatus, RpcStream, StreamHandler } from './service.ts'

/** What a response costs beside its bytes, about: it is two pieces. */
const PIECE_OVERHEAD_BYTES = 128

const STOPPED: RpcStatus = { code: 'Unavailable', message: 'etcdserver: server stopped' }

export class StreamCall extends Call {
  readonly #handle: StreamHandler
  /** Aborts when the engine stops: streams that would go on forever end then. */
  readonly #stopping: AbortSignal
  readonly #requests = new RequestQueue(() => this.#onAsked())
  readonly #signal: AbortSignal
  #isAsked = false
  #isInflating = false
  /** Of what has come unasked: the client may send that much more once it is asked for. */
  #uncreditedBytes = 0
  #waiters: (() => void)[] = []

  constructor(
    port: StreamPort,
    id: number,
    call: CallHead,
    load: StreamLoad,
    handle: StreamHandler,
    stopping: AbortSignal,
  ) {
    super(port, id, call, load)
    this.#handle = handle
    this.#stopping = stopping
    this.#signal = AbortSignal.any([super.signal, stopping])
    this.#signal.addEventListener('abort', () => this.#letGo(), { once: true })
  }

  override onOpened(): void {
    void this.#serve()
  }

  override get signal(): AbortSignal {
    return this.#signal
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#isAsked || this.hasEnded) this.consumed(end - start)
    else this.#uncreditedBytes += end - start
    if (this.hasEnded || !this.take(bytes, start, end)) return
    this.#deliver()
    this.messages.keep()
  }

  onEnd(): void {
    this.#deliver()
  }

  onSent(bytes: number): void {
    this.load.sent(bytes)
    if (this.#waiters.length > 0 && this.#hasRoom) this.#letGo()
  }

  override onClosed(isComplete: boolean): void {
    super.onClosed(isComplete)
    this.#requests.end()
  }

  #onAsked(): void {
    this.#isAsked = true
    this.consumed(this.#uncreditedBytes)
    this.#uncreditedBytes = 0
    this.#deliver()
  }

  /** The next request, if it is asked for and there. */
  #deliver(): void {
    if (this.#isInflating) return
    const { problem } = this
    if (problem !== undefined) return this.#giveUp(problem)
    if (!this.messages.isNextWhole) {
      if (this.hasReceivedAll) this.#onAllDelivered()
      return
    }
    if (!this.#isAsked) return
    this.#isAsked = false
    this.#isInflating = true
    this.takeMessage((request) => {
      this.#isInflating = false
      this.call.observer.receivedBytes(request.length)
      this.#requests.push(request)
    })
  }

  #onAllDelivered(): void {
    if (this.messages.heldBytes === 0) return this.#requests.end()
    this.#giveUp({ code: 'Internal', message: 'a request that is not complete' })
  }

  get #isGone(): boolean {
    return this.#signal.aborted || this.hasEnded
  }

  #write(responses: readonly ResponseParts[]): boolean {
    if (this.#isGone) return false
    if (!this.load.mayQueue) {
      // The client reads too little on this connection: the stream ends, and its handler learns that nothing arrives.
      this.#giveUp(TOO_MUCH_UNREAD)
      return false
    }
    this.sendEach(responses)
    return this.#hasRoom
  }

  async #drained(): Promise<boolean> {
    if (!this.#isGone && !this.#hasRoom) await new Promise<void>((resolve) => this.#waiters.push(resolve))
    return !this.#isGone
  }

  get #hasRoom(): boolean {
    return this.queuedBytes + this.queueLength * PIECE_OVERHEAD_BYTES < MAX_WAITING_BYTES
  }

  #letGo(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const go of waiters) go()
  }

  #giveUp(status: RpcStatus): void {
    this.fail(status)
    this.cancel()
    this.#requests.end()
  }

  async #serve(): Promise<void> {
    this.started()
    const stream: RpcStream = {
      requests: this.#requests,
      write: (responses) => this.#write(responses),
      drained: () => this.#drained(),
    }
    const status = await this.#outcome(stream)
    this.handled(status?.code ?? 'OK')
    if (status === undefined) this.succeed()
    else this.fail(status)
  }

  async #outcome(stream: RpcStream): Promise<RpcStatus | undefined> {
    try {
      const status = await this.#handle(stream, this)
      return this.#stopping.aborted ? (status ?? STOPPED) : status
    } catch (error) {
      if (!this.isCanceled) this.call.observer.failed(this.call.path, error)
      return HANDLER_FAILED
    }
  }
}
