/**
 * What a connection writes: frames, one after another in as few pieces as possible. Small payloads are copied between their
 * frame headers; large ones are left where they are.
 */
import {
  DEFAULT_WINDOW_BYTES,
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_FRAME_BYTES,
  writeFrameHeader,
} from './frame.ts'
import { HpackEncoder, MAX_RESIZE_BYTES, maxFieldBytes, type Field } from './hpack-encoder.ts'

const SLAB_BYTES = 64 * 1024
/** From here on a payload is not copied: writing a piece of its own costs about as much as copying so many bytes. */
const OWN_PIECE_BYTES = 4096

/** Memory for what is written, shared by all connections: each takes what it needs, when it writes. */
export class Slab {
  buffer: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  at = 0
}

export class Output {
  /** The client's window for the whole connection; negative is possible for a stream's only. */
  window = DEFAULT_WINDOW_BYTES
  readonly encoder = new HpackEncoder()
  /** All HEADERS and DATA so far. */
  answerBytes = 0
  readonly #slab: Slab
  #pieces: Uint8Array[] = []
  /** Where what is not a piece yet begins in the slab. */
  #start = 0
  #heldBytes = 0

  constructor(slab: Slab) {
    this.#slab = slab
  }

  /** Before anything is written, since others have used the slab meanwhile. */
  begin(): void {
    this.#start = this.#slab.at
    this.#heldBytes = 0
  }

  /** Written since `begin`. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** A frame that is complete. */
  frame(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#copy(bytes, 0, bytes.length)
  }

  /** A list of any length: what does not fit a frame goes on in CONTINUATION. */
  headers(streamId: number, fields: readonly Field[], isEnd: boolean): void {
    let most = FRAME_HEADER_BYTES + MAX_RESIZE_BYTES
    for (const field of fields) most += maxFieldBytes(field)
    this.#reserve(most)
    const { buffer, at } = this.#slab
    const start = at + FRAME_HEADER_BYTES
    const end = this.encoder.encode(fields, buffer, start)
    const length = end - start
    if (length > MAX_FRAME_BYTES) return this.#longHeaders(streamId, Buffer.from(buffer.subarray(start, end)), isEnd)
    writeFrameHeader(buffer, at, length, FrameType.headers, Flag.endHeaders | (isEnd ? Flag.endStream : 0), streamId)
    this.#wrote(end - at)
    this.answerBytes += end - at
  }

  #longHeaders(streamId: number, block: Buffer, isEnd: boolean): void {
    for (let at = 0; at < block.length; at += MAX_FRAME_BYTES) {
      const part = block.subarray(at, at + MAX_FRAME_BYTES)
      const type = at === 0 ? FrameType.headers : FrameType.continuation
      const endsBlock = at + MAX_FRAME_BYTES >= block.length ? Flag.endHeaders : 0
      this.#header(part.length, type, endsBlock | (isEnd && at === 0 ? Flag.endStream : 0), streamId)
      this.frame(part)
      this.answerBytes += FRAME_HEADER_BYTES + part.length
    }
  }

  /** Then `payload` must bring `length` bytes, which are at most a frame. */
  dataHeader(streamId: number, length: number, isEnd: boolean): void {
    this.#header(length, FrameType.data, isEnd ? Flag.endStream : 0, streamId)
    this.window -= length
    this.answerBytes += FRAME_HEADER_BYTES + length
  }

  payload(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    if (length < OWN_PIECE_BYTES) {
      this.#reserve(length)
      return this.#copy(bytes, start, end)
    }
    this.#seal()
    this.#pieces.push(bytes.subarray(start, end))
    this.#heldBytes += length
  }

  /** What was written, in order. */
  take(): readonly Uint8Array[] {
    this.#seal()
    const pieces = this.#pieces
    this.#pieces = []
    return pieces
  }

  #header(length: number, type: number, flags: number, streamId: number): void {
    this.#reserve(FRAME_HEADER_BYTES)
    writeFrameHeader(this.#slab.buffer, this.#slab.at, length, type, flags, streamId)
    this.#wrote(FRAME_HEADER_BYTES)
  }

  #copy(bytes: Uint8Array, start: number, end: number): void {
    const slab = this.#slab
    if (end - start < 32) for (let i = start; i < end; i++) slab.buffer[slab.at + i - start] = bytes[i] ?? 0
    else slab.buffer.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), slab.at)
    this.#wrote(end - start)
  }

  #wrote(bytes: number): void {
    this.#slab.at += bytes
    this.#heldBytes += bytes
  }

  #seal(): void {
    const { buffer, at } = this.#slab
    if (at > this.#start) this.#pieces.push(buffer.subarray(this.#start, at))
    this.#start = at
  }

  #reserve(bytes: number): void {
    const slab = this.#slab
    if (slab.buffer.length - slab.at >= bytes) return
    this.#seal()
    slab.buffer = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes))
    slab.at = 0
    this.#start = 0
  }
}
