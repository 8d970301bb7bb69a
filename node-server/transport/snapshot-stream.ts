/**
 * A snapshot on its way to a slow follower: a connection of its own, so that it holds up no message; pieces as fast as the
 * receiver's disk takes them; a digest at the end, without which the stream breaks off.
 */
import { createHash, type Hash } from 'node:crypto'
import { ByteReader, ByteWriter, MalformedBytes } from '../../lib/bytes.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Message } from '../raft/message.ts'
import { decodeMessages, encodeMessages } from './codec.ts'
import { dial, type Connection, type PeerDialer } from './connection.ts'
import { FRAME, encodeFrame, frameInParts, type Frame, type Hello } from './frame.ts'

export type SnapshotMessage = Extract<Message, { kind: 'snapshot-request' }>

/** What may wait for the receiver's disk; beyond it the sender is held up. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** A stream on which nothing moves for so long is given up. */
const STALL_TIMEOUT_MS = 20_000

/** What is sent. */
export interface SnapshotSource {
  readonly sizeBytes: number
  /** In pieces that fit a frame each, and do not change any more. */
  read(): AsyncIterable<Uint8Array>
}

/** Sends it to the first URL that answers; resolves once the receiver has taken it over, or with the reason why not. */
export async function sendSnapshot(
  urls: readonly string[],
  hello: Hello,
  message: SnapshotMessage,
  source: SnapshotSource,
  dialer: PeerDialer | undefined,
): Promise<Result<void, string>> {
  const dialled = await dialAny(urls, { ...hello, purpose: 'snapshot' }, dialer)
  if (!dialled.ok) return dialled
  const connection = dialled.value
  const stall = new Stall(() => connection.close('the snapshot stream stalled'))
  try {
    const { promise: answer, resolve } = Promise.withResolvers<Result<void, string>>()
    let isOver = false
    const end = (result: Result<void, string>): void => {
      isOver = true
      resolve(result)
    }
    connection.handlers = {
      onFrame: (frame) => {
        if (frame.type === FRAME.snapshotDone) end(readDone(frame.payload))
      },
      onClose: (reason) => end(err(reason)),
    }
    await sendAll(connection, message, source, stall, () => isOver)
    return await answer
  } finally {
    stall.end()
    connection.close('done')
  }
}

async function dialAny(
  urls: readonly string[],
  hello: Hello,
  dialer: PeerDialer | undefined,
): Promise<Result<Connection, string>> {
  let reason = 'the peer is not known here'
  for (const url of urls) {
    const dialled = await dial(url, hello, dialer)
    if (dialled.ok) return dialled
    reason = dialled.error.kind === 'refused' ? dialled.error.reason : dialled.error.message
  }
  return err(reason)
}

async function sendAll(
  connection: Connection,
  message: SnapshotMessage,
  source: SnapshotSource,
  stall: Stall,
  isOver: () => boolean,
): Promise<void> {
  connection.write(
    encodeFrame(
      FRAME.snapshotBegin,
      new ByteWriter()
        .u53(source.sizeBytes)
        .raw(encodeMessages([message]))
        .finish(),
    ),
  )
  const hash = createHash('sha256')
  for await (const piece of source.read()) {
    if (isOver()) return
    hash.update(piece)
    if (!connection.writev(frameInParts(FRAME.snapshotChunk, piece))) await connection.drained()
    stall.moved()
  }
  connection.write(encodeFrame(FRAME.snapshotEnd, hash.digest()))
}

function readDone(payload: Buffer): Result<void, string> {
  const problem = new ByteReader(payload).text()
  return problem === '' ? ok(undefined) : err(problem)
}

/** Calls back when nothing moved for too long. */
class Stall {
  #timer: NodeJS.Timeout
  readonly #onStall: () => void

  constructor(onStall: () => void) {
    this.#onStall = onStall
    this.#timer = setTimeout(onStall, STALL_TIMEOUT_MS)
  }

  moved(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#onStall, STALL_TIMEOUT_MS)
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

export interface IncomingSnapshot {
  readonly message: SnapshotMessage
  /** Of all pieces, as the sender says; more than that never come. */
  readonly sizeBytes: number
  /** To be read once. Throws when the stream breaks off, or is not what was sent; until its end nothing is known of that. */
  readonly pieces: AsyncIterable<Uint8Array>
}

/** What a receiver needs of its connection. */
export type ReceiverConnection = Pick<Connection, 'write' | 'pause' | 'resume' | 'end' | 'close'>

export interface ReceiverHandlers {
  /** Once it resolves, and has read all, the sender is told that the snapshot arrived. */
  onSnapshot(snapshot: IncomingSnapshot): Promise<void>
  /** The sender is told as well. */
  onRefused(reason: string): void
}

/** The receiving end: frames in, pieces out as fast as they are taken, and the answer when they were. */
export class SnapshotReceiver {
  readonly #connection: ReceiverConnection
  readonly #handlers: ReceiverHandlers
  readonly #stall: Stall
  readonly #hash: Hash = createHash('sha256')
  readonly #waiting: Buffer[] = []
  #waitingBytes = 0
  #hasBegun = false
  #leftBytes = 0
  /** `whole`: all has come, and the digest is right. */
  #state: 'open' | 'whole' | Error = 'open'
  /** Lets the reader look again. */
  #wake: () => void = () => {}
  #isAnswered = false

  constructor(connection: ReceiverConnection, handlers: ReceiverHandlers) {
    this.#connection = connection
    this.#handlers = handlers
    this.#stall = new Stall(() => connection.close('the snapshot stream stalled'))
  }

  onFrame(frame: Frame): void {
    this.#stall.moved()
    if (this.#state !== 'open' || this.#isAnswered) return
    try {
      this.#take(frame)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  onClose(reason: string): void {
    this.#stall.end()
    this.#isAnswered = true // nobody is there to hear it
    if (this.#state === 'open') this.#end(new Error(`the snapshot stream broke off: ${reason}`))
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case FRAME.snapshotBegin:
        return this.#begin(frame.payload)
      case FRAME.snapshotChunk:
        return this.#takePiece(frame.payload)
      case FRAME.snapshotEnd:
        if (!this.#hasBegun) throw new MalformedBytes('the stream has no beginning')
        if (this.#leftBytes > 0) throw new MalformedBytes('fewer bytes than announced')
        if (!this.#hash.digest().equals(frame.payload)) throw new MalformedBytes('the digest does not match')
        return this.#end('whole')
      default:
        throw new MalformedBytes(`unexpected frame ${frame.type}`)
    }
  }

  #begin(payload: Buffer): void {
    if (this.#hasBegun) throw new MalformedBytes('the stream begins twice')
    const reader = new ByteReader(payload)
    const sizeBytes = reader.u53()
    const message = decodeMessages(reader.raw(reader.remainingBytes))[0]
    if (message?.kind !== 'snapshot-request') throw new MalformedBytes('the stream does not begin with a snapshot')
    this.#hasBegun = true
    this.#leftBytes = sizeBytes
    this.#handlers.onSnapshot({ message, sizeBytes, pieces: this.#read() }).then(
      () => this.#answer(this.#state === 'whole' ? '' : 'the snapshot was not taken'),
      (error: unknown) => this.#answer(String(error)),
    )
  }

  #takePiece(piece: Buffer): void {
    this.#leftBytes -= piece.length
    if (!this.#hasBegun || this.#leftBytes < 0) throw new MalformedBytes('more bytes than announced')
    this.#hash.update(piece)
    this.#waiting.push(piece)
    this.#waitingBytes += piece.length
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#connection.pause()
    this.#wake()
  }

  async *#read(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const piece = this.#waiting.shift()
      if (piece !== undefined) {
        yield piece
        // Only now: what is being written counts as waiting.
        this.#waitingBytes -= piece.length
        if (this.#waitingBytes <= MAX_WAITING_BYTES) this.#connection.resume()
      } else if (this.#state === 'whole') return
      else if (this.#state !== 'open') throw this.#state
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  /** What has come so far is of no use. */
  #fail(error: Error): void {
    this.#waiting.length = 0
    this.#end(error)
    // Who reads hears of it, and gives the answer.
    if (!this.#hasBegun) this.#answer(String(error))
  }

  #end(state: 'whole' | Error): void {
    this.#state = state
    this.#wake()
  }

  #answer(problem: string): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#stall.end()
    if (problem !== '') this.#handlers.onRefused(problem)
    this.#connection.write(encodeFrame(FRAME.snapshotDone, new ByteWriter(64).text(problem).finish()))
    if (problem === '') return
    this.#connection.end()
    this.#waiting.length = 0
    this.#connection.resume() // a sender that is held up would not hear it
  }
}
