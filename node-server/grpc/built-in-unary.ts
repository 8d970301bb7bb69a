/** A unary call, from its first byte to its status. */
import type { Result } from '../../lib/result.ts'
import type { StreamPort } from '../http2/stream.ts'
import type { StreamLoad } from '../listen/load.ts'
import { Call, HANDLER_FAILED, TOO_MUCH_UNREAD, type CallHead } from './built-in-call.ts'
import type { RpcStatus, UnaryHandler } from './service.ts'

export class UnaryCall extends Call {
  readonly #handle: UnaryHandler

  constructor(port: StreamPort, id: number, call: CallHead, load: StreamLoad, handle: UnaryHandler) {
    super(port, id, call, load)
    this.#handle = handle
  }

  onData(bytes: Buffer, start: number, end: number): void {
    // A request is read as it comes, whatever its length up to the limit.
    this.consumed(end - start)
    if (this.hasEnded || !this.take(bytes, start, end)) return
    const { problem } = this
    if (problem !== undefined) return this.fail(problem)
    if (!this.hasReceivedAll) this.messages.keep()
  }

  onEnd(): void {
    if (this.hasEnded) return
    const { messages } = this
    if (!messages.isNextWhole)
      return this.fail({ code: 'Internal', message: messages.heldBytes === 0 ? NO_REQUEST : HALF_A_REQUEST })
    this.takeMessage((request) => this.#serve(request))
  }

  onSent(): void {
    // The load is told when the call has ended, which follows at once.
  }

  #serve(request: Buffer): void {
    if (this.messages.heldBytes > 0) return this.fail({ code: 'Internal', message: MORE_REQUESTS })
    this.started()
    this.call.observer.receivedBytes(request.length)
    try {
      const answer = this.#handle(request, this)
      if (!(answer instanceof Promise)) return this.#answer(answer)
      answer.then(
        (settled) => this.#answer(settled),
        (error: unknown) => this.#fail(error),
      )
    } catch (error) {
      this.#fail(error)
    }
  }

  #answer(answer: Result<Uint8Array, RpcStatus>): void {
    if (!answer.ok) return this.#refuse(answer.error)
    if (this.hasEnded) return this.handled('OK')
    if (!this.load.mayQueue) return this.#refuse(TOO_MUCH_UNREAD)
    this.handled('OK')
    this.send(answer.value)
    this.succeed()
  }

  #fail(error: unknown): void {
    this.call.observer.failed(this.call.path, error)
    this.#refuse(HANDLER_FAILED)
  }

  #refuse(status: RpcStatus): void {
    this.handled(status.code)
    this.fail(status)
  }
}

const NO_REQUEST = 'a unary call without a request'
const HALF_A_REQUEST = 'a request that is not complete'
const MORE_REQUESTS = 'more than one request in a unary call'
