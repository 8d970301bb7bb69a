/**
 * Responses of one stream on their way to a client that reads as fast as it likes. Whoever fills it asks `hasRoom` first;
 * what may be waiting is bounded by that, and one response more.
 */
import type { RpcStream } from '../../grpc/service.ts'

/** What may wait for a client: enough for a fast one not to be slowed down, little enough for thousands of slow ones. */
export const OUTBOX_BYTES = 256 * 1024
/** What a response costs beside its bytes, about: a stream of tiny ones is bounded, too. */
const RESPONSE_OVERHEAD_BYTES = 256

export class Outbox {
  readonly #stream: RpcStream
  readonly #maxBytes: number
  readonly #onRoom: () => void
  readonly #onGone: () => void
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #isSending = false
  #isClosed = false
  #roomWaiters: (() => void)[] = []

  /** `onRoom` is called whenever there is room again, `onGone` when nothing reaches the client any more. */
  constructor(stream: RpcStream, onRoom: () => void, onGone: () => void, maxBytes = OUTBOX_BYTES) {
    this.#stream = stream
    this.#maxBytes = maxBytes
    this.#onRoom = onRoom
    this.#onGone = onGone
  }

  get hasRoom(): boolean {
    return this.#waitingBytes < this.#maxBytes
  }

  push(response: Uint8Array): void {
    if (this.#isClosed) return
    this.#waiting.push(response)
    this.#waitingBytes += response.length + RESPONSE_OVERHEAD_BYTES
    if (!this.#isSending) void this.#sendAll()
  }

  /** Resolves when there is room, or when nothing will be sent any more. */
  async whenRoom(): Promise<void> {
    if (this.hasRoom || this.#isClosed) return
    await new Promise<void>((resolve) => this.#roomWaiters.push(resolve))
  }

  /** Drops what waits. */
  close(): void {
    this.#isClosed = true
    this.#waiting = []
    this.#letWaitersGo()
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      for (const response of batch) await this.#sendOne(response)
    }
    this.#isSending = false
  }

  async #sendOne(response: Uint8Array): Promise<void> {
    if (this.#isClosed) return
    const isOpen = await this.#stream.send(response).catch(() => false)
    const hadRoom = this.hasRoom
    this.#waitingBytes -= response.length + RESPONSE_OVERHEAD_BYTES
    if (this.#isClosed) return
    if (!isOpen) {
      this.close()
      this.#onGone()
    } else if (!hadRoom && this.hasRoom) {
      this.#letWaitersGo()
      this.#onRoom()
    }
  }

  #letWaitersGo(): void {
    const waiters = this.#roomWaiters
    this.#roomWaiters = []
    for (const go of waiters) go()
  }
}
