/**
 * One request and its answer: what is sent waits here until the windows have room, what is received is handed on as it comes.
 * Who answers requests extends it; one object is all that a call needs.
 */
import { type ErrorCode, MAX_FRAME_BYTES, MAX_WINDOW_BYTES } from './frame.ts'
import type { Field } from './hpack-encoder.ts'
import { STREAM_WINDOW_BYTES } from './limits.ts'
import type { Output } from './output.ts'

/** What a stream asks of its connection. */
export interface StreamPort {
  /** Of the client; without both over a unix socket. */
  readonly remote: { readonly remoteAddress?: string | undefined; readonly remotePort?: number | undefined }
  /** Of the client's certificate. */
  readonly commonName: string | undefined
  readonly isSecure: boolean
  /** The client's SETTINGS_INITIAL_WINDOW_SIZE. */
  readonly initialWindowBytes: number
  /** It has something to send: `flush` is called before the turn ends. */
  ready(stream: Stream): void
  allowMore(stream: Stream, bytes: number): void
  reset(stream: Stream, code: ErrorCode): void
}

/** Undefined after `flush`: nothing is left to do now. */
export type Flushed = 'blocked-by-connection' | 'has-more' | 'ended' | undefined

export abstract class Stream {
  readonly id: number
  protected readonly port: StreamPort
  /** The client has said all: it has half-closed. */
  hasReceivedAll = false
  /** Nothing is sent or received any more. */
  isClosed = false
  /** The connection's: whether it stands in its queue of those that have something to send. */
  isQueued = false
  sendWindow: number
  receiveWindow = STREAM_WINDOW_BYTES
  /** Of the client's content-length, what has not come; undefined when it has given none. */
  bytesToCome: number | undefined
  #consumedBytes = 0
  #head: readonly Field[] | undefined
  #isHeadSent = false
  #queue: Uint8Array[] = []
  /** Of the first in the queue, what is sent. */
  #sentOfFirst = 0
  #queuedBytes = 0
  #end: readonly Field[] | undefined

  constructor(port: StreamPort, id: number) {
    this.port = port
    this.id = id
    this.sendWindow = port.initialWindowBytes
  }

  /** Its connection knows it: from now on it may be reset. */
  onOpened(): void {
    // Who needs it says so.
  }

  /** Part of the body: `bytes` from `start` to `end`. Whoever takes it calls `consumed`, at once or later. */
  abstract onData(bytes: Buffer, start: number, end: number): void
  /** The client has half-closed. */
  abstract onEnd(): void
  /** Exactly once, after everything else. `isComplete`: the answer has left; otherwise nobody waits for it any more. */
  abstract onClosed(isComplete: boolean): void
  /** So many bytes of the body have left for the socket. */
  abstract onSent(bytes: number): void

  /** Bytes of the body that wait for the client. */
  protected get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** The pieces that they are in. */
  protected get queueLength(): number {
    return this.#queue.length
  }

  /** Head of the answer; leaves with what comes first after it. */
  protected respond(head: readonly Field[]): void {
    this.#head = head
    this.#ready()
  }

  protected write(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.length
    this.#ready()
  }

  /** The answer ends, with trailers or without. */
  protected finish(trailers: readonly Field[]): void {
    this.#end = trailers
    this.#ready()
  }

  /** What waits is not sent. */
  protected reset(code: ErrorCode): void {
    if (!this.isClosed) this.port.reset(this, code)
  }

  /** The client may send so many bytes more. It is told of them in large pieces. */
  consumed(bytes: number): void {
    this.#consumedBytes += bytes
    if (this.hasReceivedAll || this.isClosed || this.#consumedBytes < STREAM_WINDOW_BYTES / 2) return
    this.receiveWindow += this.#consumedBytes
    this.port.allowMore(this, this.#consumedBytes)
    this.#consumedBytes = 0
  }

  /** False: the window is larger than it may get. */
  widen(bytes: number): boolean {
    this.sendWindow += bytes
    if (this.sendWindow > MAX_WINDOW_BYTES) return false
    if (this.#queuedBytes > 0) this.#ready()
    return true
  }

  #ready(): void {
    if (!this.isQueued && !this.isClosed) this.port.ready(this)
  }

  /** Writes what the windows allow, of its body one frame at most: others want to write as well. */
  flush(out: Output): Flushed {
    const isEmpty = this.#queuedBytes === 0
    if (!this.#isHeadSent) {
      if (this.#head === undefined) return undefined
      this.#isHeadSent = true
      const endsHere = isEmpty && this.#end?.length === 0
      out.headers(this.id, this.#head, endsHere)
      if (endsHere) return 'ended'
    }
    if (!isEmpty) {
      const length = Math.min(this.#queuedBytes, this.sendWindow, out.window, MAX_FRAME_BYTES)
      if (length <= 0) return this.sendWindow <= 0 ? undefined : 'blocked-by-connection'
      this.#writeData(out, length)
      if (this.#queuedBytes > 0) return 'has-more'
    }
    if (this.#end === undefined) return undefined
    if (this.#end.length > 0) out.headers(this.id, this.#end, true)
    else if (isEmpty) out.dataHeader(this.id, 0, true)
    return 'ended'
  }

  #writeData(out: Output, length: number): void {
    const isEnd = length === this.#queuedBytes && this.#end?.length === 0
    out.dataHeader(this.id, length, isEnd)
    this.sendWindow -= length
    this.#queuedBytes -= length
    let left = length
    let index = 0
    while (left > 0) {
      const bytes = this.#queue[index]
      if (bytes === undefined) break
      const end = Math.min(bytes.length, this.#sentOfFirst + left)
      out.payload(bytes, this.#sentOfFirst, end)
      left -= end - this.#sentOfFirst
      if (end < bytes.length) this.#sentOfFirst = end
      else {
        this.#sentOfFirst = 0
        index += 1
      }
    }
    if (index === this.#queue.length) this.#queue = []
    else this.#queue.splice(0, index)
    this.onSent(length)
  }

  /** The connection's, when it has let go of it. */
  close(isComplete: boolean): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#queue = []
    this.#queuedBytes = 0
    this.onClosed(isComplete)
  }
}
