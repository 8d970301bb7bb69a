/**
 * Cuts what a connection brings into frames. A frame that has come whole is handed on where it lies; of one that has not,
 * its part is kept until the rest is there, so that a connection holds at most one frame.
 */
import { ConnectionError } from './errors.ts'
import { ErrorCode, FRAME_HEADER_BYTES, MAX_FRAME_BYTES, PREFACE } from './frame.ts'

/** The payload is `bytes` from `start` to `end`. */
export type OnFrame = (type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number) => void

export class FrameReader {
  readonly #onFrame: OnFrame
  #prefaceBytes = 0
  /** A frame that has not come whole: as long as is known to be needed, filled up to `#held`. */
  #part: Buffer | undefined
  #held = 0

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  /** Throws a ConnectionError: what is no preface, and a frame over the limit. */
  read(chunk: Buffer): void {
    let at = this.#prefaceBytes < PREFACE.length ? this.#readPreface(chunk) : 0
    if (this.#part !== undefined) at = this.#complete(chunk, at)
    while (chunk.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + lengthAt(chunk, at)
      if (end > chunk.length) break
      this.#deliver(chunk, at, end)
      at = end
    }
    if (at < chunk.length) this.#keep(chunk, at)
  }

  #readPreface(chunk: Buffer): number {
    const count = Math.min(PREFACE.length - this.#prefaceBytes, chunk.length)
    const expected = PREFACE.subarray(this.#prefaceBytes, this.#prefaceBytes + count)
    if (!expected.equals(chunk.subarray(0, count)))
      throw new ConnectionError(ErrorCode.protocolError, 'no preface of HTTP/2')
    this.#prefaceBytes += count
    return count
  }

  /** Returns where the next frame begins. */
  #complete(chunk: Buffer, start: number): number {
    let at = this.#fill(chunk, start)
    const header = this.#part
    if (header === undefined || this.#held < header.length) return at
    const size = FRAME_HEADER_BYTES + lengthAt(header, 0)
    if (header.length < size) {
      this.#part = Buffer.allocUnsafe(size)
      header.copy(this.#part, 0, 0, this.#held)
      at = this.#fill(chunk, at)
    }
    const part = this.#part
    if (part === undefined || this.#held < size) return at
    this.#part = undefined
    this.#deliver(part, 0, size)
    return at
  }

  #fill(chunk: Buffer, start: number): number {
    const part = this.#part
    if (part === undefined) return start
    const copied = chunk.copy(part, this.#held, start)
    this.#held += copied
    return start + copied
  }

  #keep(chunk: Buffer, start: number): void {
    const isHeaderKnown = chunk.length - start >= FRAME_HEADER_BYTES
    const size = isHeaderKnown ? FRAME_HEADER_BYTES + lengthAt(chunk, start) : FRAME_HEADER_BYTES
    this.#part = Buffer.allocUnsafe(size)
    this.#held = chunk.copy(this.#part, 0, start)
  }

  #deliver(bytes: Buffer, at: number, end: number): void {
    this.#onFrame(
      byteAt(bytes, at + 3),
      byteAt(bytes, at + 4),
      uint31At(bytes, at + 5),
      bytes,
      at + FRAME_HEADER_BYTES,
      end,
    )
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = (byteAt(bytes, at) << 16) | (byteAt(bytes, at + 1) << 8) | byteAt(bytes, at + 2)
  if (length > MAX_FRAME_BYTES) throw new ConnectionError(ErrorCode.frameSizeError, 'frame over the limit')
  return length
}

function byteAt(bytes: Buffer, at: number): number {
  return bytes[at] ?? 0
}

/** Without the reserved bit. */
export function uint31At(bytes: Buffer, at: number): number {
  return (
    ((byteAt(bytes, at) & 0x7f) << 24) |
    (byteAt(bytes, at + 1) << 16) |
    (byteAt(bytes, at + 2) << 8) |
    byteAt(bytes, at + 3)
  )
}
