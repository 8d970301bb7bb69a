/**
 * Messages that wait to be written to one peer, bounded in bytes. Small ones without entries go first, so that no heartbeat waits
 * behind the log of a slow peer; appends and proposals keep their order. Messages wait as they are and become bytes frame
 * by frame, as the peer reads. It is empty whenever there is no connection.
 */
import { FRAME_SIZE_BYTES } from '../limits.ts'
import type { Message } from '../raft/message.ts'
import { messageSizeBytes } from './codec.ts'

export class Outbox {
  readonly #maxSizeBytes: number
  readonly #frameSizeBytes: number
  #prompt: Message[] = []
  #bulk: Message[] = []
  #sizeBytes = 0

  constructor(maxSizeBytes: number, frameSizeBytes = FRAME_SIZE_BYTES) {
    this.#maxSizeBytes = maxSizeBytes
    this.#frameSizeBytes = frameSizeBytes
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get isEmpty(): boolean {
    return this.#sizeBytes === 0
  }

  get isFull(): boolean {
    return this.#sizeBytes >= this.#maxSizeBytes
  }

  /**
   * False if it is full: the message is not accepted. A proposal is always accepted, because it is never sent again: the forwarding
   * member checks for room first, and bounds what is under way.
   */
  add(message: Message): boolean {
    if (this.isFull && message.kind !== 'propose-request') return false
    if (isBulk(message)) this.#bulk.push(message)
    else this.#prompt.push(message)
    this.#sizeBytes += messageSizeBytes(message)
    return true
  }

  /** What goes into the next frame: as many as fit it, or one alone that does not. Empty when nothing waits. */
  next(): Message[] {
    const batch: Message[] = []
    const promptSizeBytes = this.#move(this.#prompt, batch, 0)
    this.#sizeBytes -= this.#move(this.#bulk, batch, promptSizeBytes)
    return batch
  }

  clear(): void {
    this.#prompt = []
    this.#bulk = []
    this.#sizeBytes = 0
  }

  /** The size of the batch, before and afterwards. */
  #move(from: Message[], batch: Message[], sizeBytes: number): number {
    let filledBytes = sizeBytes
    let count = 0
    for (const message of from) {
      const nextBytes = filledBytes + messageSizeBytes(message)
      if (nextBytes > this.#frameSizeBytes && batch.length > 0) break
      batch.push(message)
      filledBytes = nextBytes
      count += 1
    }
    from.splice(0, count)
    return filledBytes
  }
}

/** They must not overtake one another: an append that comes before the one it follows is rejected. */
function isBulk({ kind }: Message): boolean {
  return kind === 'append-request' || kind === 'propose-request'
}
