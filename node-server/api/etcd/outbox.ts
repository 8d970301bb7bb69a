/**
 * Responses of one stream on their way to a client that reads as fast as it likes. Whoever fills it asks `hasRoom` first;
 * what may be waiting is bounded by that, and one response more.
 */
import type { ResponseParts, RpcStream } from '../../grpc/service.ts'
import { OUTBOX_SHARE } from '../../limits.ts'

/** What a response costs beside its bytes, about: a stream of tiny ones is bounded, too. */
const RESPONSE_OVERHEAD_BYTES = 256

/** Of all streams together. */
export class OutboxTotal {
  readonly maxBytes: number
  bytes = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }
}

export class Outbox {
  readonly #stream: RpcStream
  readonly #maxBytes: number
  readonly #total: OutboxTotal
  readonly #onRoom: () => void
  readonly #onGone: () => void
  #waiting: ResponseParts[] = []
  #waitingBytes = 0
  /** It is under way, or the client has no room. */
  #isSending = false
  #isClosed = false
  #roomWaiters: (() => void)[] = []

  /** `onRoom` is called whenever the client has taken something and there is room, `onGone` when nothing reaches it. */
  constructor(stream: RpcStream, maxBytes: number, total: OutboxTotal, onRoom: () => void, onGone: () => void) {
    this.#stream = stream
    this.#maxBytes = maxBytes
    this.#total = total
    this.#onRoom = onRoom
    this.#onGone = onGone
  }

  get hasRoom(): boolean {
    const { maxBytes, bytes } = this.#total
    const mine = this.#waitingBytes
    return mine === 0 || mine < Math.min(this.#maxBytes, (maxBytes - bytes) * OUTBOX_SHARE)
  }

  push(response: ResponseParts): void {
    if (this.#isClosed) return
    this.#waiting.push(response)
    let sizeBytes = RESPONSE_OVERHEAD_BYTES
    for (const { length } of response) sizeBytes += length
    this.#count(sizeBytes)
    if (this.#isSending) return
    // What is pushed in one go leaves as one.
    this.#isSending = true
    queueMicrotask(() => this.#send())
  }

  /** Resolves when there is room, or when nothing will be sent any more. */
  async whenRoom(): Promise<void> {
    if (this.hasRoom || this.#isClosed) return
    await new Promise<void>((resolve) => this.#roomWaiters.push(resolve))
  }

  /** Drops what waits. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#waiting = []
    this.#count(-this.#waitingBytes)
    this.#letWaitersGo()
  }

  /** All that waits at once: what comes meanwhile waits until the stream takes more. */
  #send(): void {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      const bytes = this.#waitingBytes
      this.#waiting = []
      if (!this.#stream.write(batch)) return void this.#whenDrained(bytes)
      this.#sent(bytes)
    }
    this.#isSending = false
  }

  async #whenDrained(bytes: number): Promise<void> {
    const isOpen = await this.#stream.drained()
    if (!isOpen) return this.#goneAway()
    this.#sent(bytes)
    this.#send()
  }

  #sent(bytes: number): void {
    if (this.#isClosed) return
    this.#count(-bytes)
    if (!this.hasRoom) return
    this.#letWaitersGo()
    this.#onRoom()
  }

  #count(bytes: number): void {
    this.#waitingBytes += bytes
    this.#total.bytes += bytes
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
