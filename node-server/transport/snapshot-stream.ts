/**
 * A snapshot on its way to a slow follower: a connection of its own, so that it holds up no message; chunks as fast as the
 * receiver's disk takes them; a digest at the end, checked before anything is done with the file.
 */
import { createHash, type Hash } from 'node:crypto'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Message } from '../raft/message.ts'
import type { TlsDialer } from '../tls/dialer.ts'
import { decodeMessages, encodeMessages } from './codec.ts'
import { dial, type Connection } from './connection.ts'
import { FRAME, encodeFrame, type Frame, type Hello } from './frame.ts'

export type SnapshotMessage = Extract<Message, { kind: 'snapshot-request' }>

const CHUNK_SIZE_BYTES = 256 * 1024
/** What may wait for the receiver's disk; beyond it the sender is held up. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** A stream on which nothing moves for so long is given up. */
const STALL_TIMEOUT_MS = 20_000

/** Sends the file to the first URL that answers; resolves once the receiver has taken it over, or with the reason why not. */
export async function sendSnapshot(
  urls: readonly string[],
  hello: Hello,
  message: SnapshotMessage,
  path: string,
  tls: TlsDialer | undefined,
): Promise<Result<void, string>> {
  const dialled = await dialAny(urls, { ...hello, purpose: 'snapshot' }, tls)
  if (!dialled.ok) return dialled
  const connection = dialled.value
  const file = await open(path, 'r')
  const stall = new Stall(() => connection.close('the snapshot stream stalled'))
  try {
    const answer = new Promise<Result<void, string>>((resolve) => {
      connection.handlers = {
        onFrame: (frame) => {
          if (frame.type === FRAME.snapshotDone) resolve(readDone(frame.payload))
        },
        onClose: (reason) => resolve(err(reason)),
      }
    })
    await sendFile(connection, message, file, stall)
    return await answer
  } finally {
    stall.end()
    await file.close()
    connection.close('done')
  }
}

async function dialAny(
  urls: readonly string[],
  hello: Hello,
  tls: TlsDialer | undefined,
): Promise<Result<Connection, string>> {
  let reason = 'the peer is not known here'
  for (const url of urls) {
    const dialled = await dial(url, hello, tls)
    if (dialled.ok) return dialled
    reason = dialled.error.kind === 'refused' ? dialled.error.reason : dialled.error.message
  }
  return err(reason)
}

async function sendFile(
  connection: Connection,
  message: SnapshotMessage,
  file: FileHandle,
  stall: Stall,
): Promise<void> {
  const { size } = await file.stat()
  connection.write(
    encodeFrame(
      FRAME.snapshotBegin,
      new ByteWriter()
        .u53(size)
        .raw(encodeMessages([message]))
        .finish(),
    ),
  )
  const hash = createHash('sha256')
  for (let position = 0; position < size;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_SIZE_BYTES), 0, CHUNK_SIZE_BYTES, position)
    if (bytesRead === 0) break
    const chunk = buffer.subarray(0, bytesRead)
    hash.update(chunk)
    position += bytesRead
    if (!connection.write(encodeFrame(FRAME.snapshotChunk, chunk))) await connection.drained()
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

export interface ReceivedSnapshot {
  readonly message: SnapshotMessage
  /** Verified and fsynced. */
  readonly path: string
}

/** What a receiver needs of its connection. */
export type ReceiverConnection = Pick<Connection, 'write' | 'pause' | 'resume' | 'end' | 'close'>

export interface ReceiverHandlers {
  /** See TransportHandlers. */
  claimRoom(sizeBytes: number): Result<() => void, string>
  onReceived(snapshot: ReceivedSnapshot): Promise<void>
  /** The sender is told as well. */
  onRefused(reason: string): void
}

/** The receiving end: frames in, one after the other, a file on disk out. */
export class SnapshotReceiver {
  readonly #connection: ReceiverConnection
  readonly #path: string
  readonly #handlers: ReceiverHandlers
  readonly #stall: Stall
  readonly #hash: Hash = createHash('sha256')
  #work: Promise<void> = Promise.resolve()
  #file: FileHandle | undefined
  #message: SnapshotMessage | undefined
  #sizeBytes = 0
  #receivedBytes = 0
  #waitingBytes = 0
  #isOver = false
  #releaseRoom: () => void = () => undefined
  /** The file belongs to the receiver's owner. */
  #isHandedOver = false

  /** `path` is written anew. */
  constructor(connection: ReceiverConnection, path: string, handlers: ReceiverHandlers) {
    this.#connection = connection
    this.#path = path
    this.#handlers = handlers
    this.#stall = new Stall(() => connection.close('the snapshot stream stalled'))
  }

  onFrame(frame: Frame): void {
    this.#stall.moved()
    const sizeBytes = frame.payload.length
    this.#waitingBytes += sizeBytes
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#connection.pause()
    this.#work = this.#work
      .then(() => this.#take(frame))
      .catch((error: unknown) => this.#finish(String(error)))
      .then(() => {
        this.#waitingBytes -= sizeBytes
        if (this.#waitingBytes <= MAX_WAITING_BYTES) this.#connection.resume()
      })
  }

  onClose(): void {
    this.#stall.end()
    this.#work = this.#work.then(() => this.#abandon())
  }

  async #take(frame: Frame): Promise<void> {
    if (this.#isOver) return
    switch (frame.type) {
      case FRAME.snapshotBegin:
        return this.#begin(frame.payload)
      case FRAME.snapshotChunk:
        this.#receivedBytes += frame.payload.length
        if (this.#file === undefined || this.#receivedBytes > this.#sizeBytes)
          return this.#finish('more bytes than announced')
        this.#hash.update(frame.payload)
        await this.#file.appendFile(frame.payload) // write() may stop short; this does not
        return
      case FRAME.snapshotEnd:
        return this.#end(frame.payload)
      default:
        return this.#finish(`unexpected frame ${frame.type}`)
    }
  }

  async #begin(payload: Buffer): Promise<void> {
    if (this.#message !== undefined) return this.#finish('the stream begins twice')
    const reader = new ByteReader(payload)
    this.#sizeBytes = reader.u53()
    const message = decodeMessages(reader.raw(reader.remainingBytes))[0]
    if (message?.kind !== 'snapshot-request') return this.#finish('the stream does not begin with a snapshot')
    this.#message = message
    const room = this.#handlers.claimRoom(this.#sizeBytes)
    if (!room.ok) return this.#finish(room.error)
    this.#releaseRoom = room.value
    this.#file = await open(this.#path, 'w')
  }

  async #end(digest: Buffer): Promise<void> {
    if (this.#file === undefined || this.#message === undefined) return this.#finish('the stream has no beginning')
    if (this.#receivedBytes !== this.#sizeBytes) return this.#finish('fewer bytes than announced')
    if (!this.#hash.digest().equals(digest)) return this.#finish('the digest does not match')
    await this.#file.sync()
    await this.#file.close()
    this.#file = undefined
    await this.#handlers.onReceived({ message: this.#message, path: this.#path })
    this.#isHandedOver = true
    this.#finish('')
  }

  #finish(problem: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stall.end()
    if (problem !== '') this.#handlers.onRefused(problem)
    this.#connection.write(encodeFrame(FRAME.snapshotDone, new ByteWriter(64).text(problem).finish()))
    if (problem !== '') this.#connection.end()
  }

  async #abandon(): Promise<void> {
    this.#releaseRoom()
    if (this.#isHandedOver) return
    this.#isOver = true
    await this.#file?.close()
    this.#file = undefined
    await rm(this.#path, { force: true })
  }
}
