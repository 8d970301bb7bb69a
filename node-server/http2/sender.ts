/**
 * The sending half of a connection: what its streams and it itself have to say waits here until the turn ends, and leaves in
 * one write. Streams take turns, a frame each. While the socket has too much that the kernel did not take, answers wait where
 * they are.
 */
import type { Socket } from 'node:net'
import { ErrorCode, MAX_WINDOW_BYTES, rstStreamFrame } from './frame.ts'
import { MAX_UNSENT_BYTES } from './limits.ts'
import { Output, type Slab } from './output.ts'
import type { Stream } from './stream.ts'
import type { Turn } from './turn.ts'

export interface SenderPort {
  /** Its answer has left. */
  onAnswered(stream: Stream): void
  /** All that could leave has left. */
  onFlushed(): void
}

export class Sender {
  readonly #socket: Socket
  readonly #turn: Turn
  readonly #port: SenderPort
  readonly #output: Output
  /** Frames of the connection itself, which no window holds back. */
  #control: Uint8Array[] = []
  /** Streams that have something to send, each once; those that wait for the connection's window stay. */
  #ready: Stream[] = []
  #isFlushing = false
  #isInTurn = false

  constructor(socket: Socket, turn: Turn, slab: Slab, port: SenderPort) {
    this.#socket = socket
    this.#turn = turn
    this.#port = port
    this.#output = new Output(slab)
  }

  /** HEADERS and DATA, so far. */
  get answerBytes(): number {
    return this.#output.answerBytes
  }

  /** While it is so, nothing that would be answered should be read. */
  get isFull(): boolean {
    return this.#socket.writableLength > MAX_UNSENT_BYTES
  }

  get hasControl(): boolean {
    return this.#control.length > 0
  }

  resizeTable(bytes: number): void {
    this.#output.encoder.resize(bytes)
  }

  /** False: the window is larger than it may get. */
  widen(bytes: number): boolean {
    this.#output.window += bytes
    if (this.#ready.length > 0) this.schedule()
    return this.#output.window <= MAX_WINDOW_BYTES
  }

  control(frame: Uint8Array): void {
    this.#control.push(frame)
    this.schedule()
  }

  ready(stream: Stream): void {
    stream.isQueued = true
    this.#ready.push(stream)
    this.schedule()
  }

  /** The socket takes more. */
  onDrain(): void {
    if (this.#ready.length > 0) this.schedule()
  }

  /** What streams still had to send is not sent. */
  dropAnswers(): void {
    this.#ready = []
  }

  schedule(): void {
    if (!this.#isFlushing) this.#turnAgain()
  }

  #turnAgain(): void {
    if (this.#isInTurn) return
    this.#isInTurn = true
    this.#turn.add(this)
  }

  /** Called by the turn. */
  flush(): void {
    this.#isInTurn = false
    if (this.#socket.destroyed) return
    const out = this.#output
    this.#isFlushing = true
    out.begin()
    for (const frame of this.#control) out.frame(frame)
    this.#control = []
    this.#flushStreams(out)
    this.#isFlushing = false
    this.#write(out.take())
    this.#port.onFlushed()
  }

  #flushStreams(out: Output): void {
    const waiting: Stream[] = []
    const queue = this.#ready
    this.#ready = []
    // Streams that have more go to the end of the queue, so that each gets its share.
    for (let i = 0; i < queue.length; i++) {
      const stream = queue[i]
      if (stream === undefined || stream.isClosed) continue
      if (this.#socket.writableLength + out.heldBytes > MAX_UNSENT_BYTES) {
        waiting.push(stream)
        continue
      }
      stream.isQueued = false
      const flushed = stream.flush(out)
      if (flushed === 'ended') this.#onEnded(stream, out)
      else if (flushed === 'has-more') requeue(stream, queue)
      else if (flushed === 'blocked-by-connection') requeue(stream, waiting)
    }
    // What streams were given when they had sent something: for the next turn, after those that waited before.
    const given = this.#ready
    this.#ready = given.length === 0 ? waiting : [...waiting, ...given]
    if (given.length > 0) this.#turnAgain()
  }

  #onEnded(stream: Stream, out: Output): void {
    // The rest of the request is of no use (RFC 9113 §8.1).
    if (!stream.hasReceivedAll) out.frame(rstStreamFrame(stream.id, ErrorCode.noError))
    this.#port.onAnswered(stream)
  }

  #write(pieces: readonly Uint8Array[]): void {
    const [first] = pieces
    if (first === undefined) return
    if (pieces.length === 1) return void this.#socket.write(first)
    this.#socket.cork()
    for (const piece of pieces) this.#socket.write(piece)
    this.#socket.uncork()
  }
}

function requeue(stream: Stream, queue: Stream[]): void {
  if (stream.isQueued) return
  stream.isQueued = true
  queue.push(stream)
}
