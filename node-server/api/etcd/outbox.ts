/**
 * Responses of one stream on their way to a client that reads as fast as it likes. Whoever fills it asks `hasRoom` first;
 * what may be waiting is bounded by that, and one response more.
 */
import type { ResponseParts, RpcStream } from '../../grpc/service.ts'

/** What may wait for a client: enough for a fast one not to be slowed down, little enough for thousands of slow ones. */
export const OUTBOX_BYTES = 256 * 1024
/** What a response costs beside its bytes, about: a stream of tiny ones is bounded, too. */
const RESPONSE_OVERHEAD_BYTES = 256

export class Outbox {
  readonly #stream: RpcStream
  readonly #maxBytes: number
  readonly #onRoom: () => void
  readonly #onGone: () => void
  #waiting: ResponseParts[] = []
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

  push(response: ResponseParts): void {
    if (this.#isClosed) return
    this.#waiting.push(response)
    this.#waitingBytes += RESPONSE_OVERHEAD_BYTES
    for (const { length } of response) this.#waitingBytes += length
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

  /** All that waits at once: what comes meanwhile waits until the stream takes more. */
  async #sendAll(): Promise<void> {
    this.#isSending = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      const before = this.#waitingBytes
      this.#waiting = []
      const isOpen = await this.#stream.sendAll(batch).catch(() => false)
      if (!isOpen) this.#goneAway()
      else this.#sent(before)
    }
    this.#isSending = false
  }

  #sent(bytes: number): void {
    const hadRoom = this.hasRoom
    this.#waitingBytes -= bytes
    if (this.#isClosed || hadRoom || !this.hasRoom) return
    this.#letWaitersGo()
    this.#onRoom()
  }

  #goneAway(): void {
    if (this.#isClosed) return
    this.close()
    this.#onGone()
  }

  #letWaitersGo(): void {
    const waiters = this.#roomWaiters
    this.#roomWaiters = []
    for (const go of waiters) go()
  }
}
