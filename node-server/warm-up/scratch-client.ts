/** A client of gRPC that knows what it asks: frames that were written beforehand, and answers that are counted. */
import {
  DEFAULT_WINDOW_BYTES,
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_WINDOW_BYTES,
  PREFACE,
  writeFrameHeader,
} from '../http2/frame.ts'

/** A call as it goes over the line, but for the number of its stream. */
export class CallTemplate {
  readonly #bytes: Buffer
  readonly #dataAt: number

  constructor(path: string, message: Uint8Array) {
    const block = headerBlock(path)
    const bodySize = PREFIX_BYTES + message.length
    this.#dataAt = FRAME_HEADER_BYTES + block.length
    this.#bytes = Buffer.alloc(this.#dataAt + FRAME_HEADER_BYTES + bodySize)
    block.copy(this.#bytes, writeFrameHeader(this.#bytes, 0, block.length, FrameType.headers, Flag.endHeaders, 0))
    const at = writeFrameHeader(this.#bytes, this.#dataAt, bodySize, FrameType.data, Flag.endStream, 0)
    this.#bytes.writeUInt32BE(message.length, at + 1)
    this.#bytes.set(message, at + PREFIX_BYTES)
  }

  on(streamId: number): Buffer {
    const bytes = Buffer.from(this.#bytes)
    bytes.writeUInt32BE(streamId, STREAM_ID_AT)
    bytes.writeUInt32BE(streamId, this.#dataAt + STREAM_ID_AT)
    return bytes
  }
}

/** Compressed or not (1) ‖ length (4). */
const PREFIX_BYTES = 5
const STREAM_ID_AT = 5

/** Literals without names from a table (RFC 7541 §6.2.2), each shorter than 127 bytes. */
function headerBlock(path: string): Buffer {
  const fields = { ':method': 'POST', ':scheme': 'http', ':path': path, ':authority': 'member' }
  const rest = { 'content-type': 'application/grpc', te: 'trailers' }
  const text = (value: string): readonly Buffer[] => [Buffer.of(value.length), Buffer.from(value)]
  const literals = Object.entries({ ...fields, ...rest }).flatMap(([name, value]) => [
    Buffer.of(0),
    ...text(name),
    ...text(value),
  ])
  return Buffer.concat(literals)
}

export interface Line {
  write(bytes: Buffer): unknown
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
}

export class ScratchClient {
  readonly #line: Line
  readonly #onAnswer: () => void
  #nextStreamId = 1
  #rest: Buffer = Buffer.alloc(0)
  /** Calls that have no answer yet. */
  unanswered = 0
  /** Calls that were not refused: a refusal brings no message. */
  succeeded = 0

  /** `onAnswer`: a call has its answer, whatever it is. */
  constructor(line: Line, onAnswer: () => void) {
    this.#line = line
    this.#onAnswer = onAnswer
    line.on('data', (chunk) => this.#read(chunk))
    line.write(Buffer.concat([PREFACE, frame(FrameType.settings), openWindow()]))
  }

  call(template: CallTemplate): void {
    this.#line.write(template.on(this.#nextStreamId))
    this.#nextStreamId += 2
    this.unanswered += 1
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (bytes.length >= FRAME_HEADER_BYTES) {
      const size = FRAME_HEADER_BYTES + bytes.readUIntBE(0, 3)
      if (bytes.length < size) break
      this.#onFrame(bytes.readUInt8(3), bytes.readUInt8(4))
      bytes = bytes.subarray(size)
    }
    this.#rest = bytes
  }

  #onFrame(type: number, flags: number): void {
    if (type === FrameType.settings && (flags & Flag.ack) === 0) this.#line.write(frame(FrameType.settings, Flag.ack))
    if (type === FrameType.data) this.succeeded += 1
    const isLast = type === FrameType.rstStream || (type === FrameType.headers && (flags & Flag.endStream) !== 0)
    if (!isLast) return
    this.unanswered -= 1
    this.#onAnswer()
  }
}

function frame(type: number, flags = 0, payload = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length)
  payload.copy(bytes, writeFrameHeader(bytes, 0, payload.length, type, flags, 0))
  return bytes
}

/** Of the connection, for all answers there will be. */
function openWindow(): Buffer {
  const increment = Buffer.alloc(4)
  increment.writeUInt32BE(MAX_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
  return frame(FrameType.windowUpdate, 0, increment)
}
