/**
 * Frames between members over one byte stream.
 *
 *   0            4            8        9
 *   ┌────────────┬────────────┬────────┬──────────────────────┐
 *   │ length (4) │ CRC32C (4) │ type   │ payload              │   length and CRC are of type and payload
 *   └────────────┴────────────┴────────┴──────────────────────┘
 *
 * The dialer begins with `hello`, the other side answers `welcome` or `refused`; until then nothing else is read. In between a
 * listener that has a secret sends `challenge`, to a dialer that has one, and is answered `proof` (secret.ts).
 */
import { assert } from '../../lib/assert.ts'
import { ByteReader, ByteWriter, EMPTY_BYTES, MalformedBytes, sizeOfParts } from '../../lib/bytes.ts'
import { crc32c } from '../../lib/crc32c.ts'
import { ClusterId, MemberId } from '../../lib/ids.ts'
import { FRAME_SIZE_BYTES, MAX_FRAME_SIZE_BYTES } from '../limits.ts'

export const PROTOCOL_VERSION = 2
/** Of a hello whose dialer knows the cluster's secret and answers a challenge; else the same. */
export const CHALLENGED_VERSION = 3

const HEADER_SIZE_BYTES = 8
const CRC_OFFSET = 4

/** Taken for a frame that is announced, before any of it has come: enough for nearly all. More is twice what has come, at most. */
const FIRST_SIZE_BYTES = 2 * FRAME_SIZE_BYTES

export const FRAME = {
  hello: 1,
  welcome: 2,
  refused: 3,
  messages: 4,
  ping: 5,
  pong: 6,
  request: 7,
  response: 8,
  snapshotBegin: 9,
  snapshotChunk: 10,
  snapshotEnd: 11,
  snapshotDone: 12,
  challenge: 13,
  proof: 14,
} as const

export interface Frame {
  readonly type: number
  readonly payload: Buffer
}

export function encodeFrame(type: number, payload: Uint8Array): Buffer {
  const [frame] = endFrame(beginFrame(type, payload.length).raw(payload))
  assert(frame !== undefined, 'a frame has a header')
  return frame
}

/** In parts: the payload as it lies, which must not change until it is sent. */
export function frameInParts(type: number, payload: Uint8Array): readonly Buffer[] {
  return seal([...beginFrame(type, 0).parts(), Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)])
}

/** The payload is written behind it: a large one, or what is large in it, then need not be copied. */
export function beginFrame(type: number, payloadSizeBytes: number): ByteWriter {
  return new ByteWriter(HEADER_SIZE_BYTES + 1 + payloadSizeBytes).u32(0).u32(0).u8(type)
}

/** In parts, one behind the other. The writer must not be used afterwards. */
export function endFrame(writer: ByteWriter): readonly Buffer[] {
  return seal(writer.parts())
}

/** Writes length and checksum into the first part, behind which the type stands. */
function seal(parts: readonly Buffer[]): readonly Buffer[] {
  const length = sizeOfParts(parts) - HEADER_SIZE_BYTES
  assert(length <= MAX_FRAME_SIZE_BYTES, () => `a frame of ${length} bytes would be refused`)
  const [head] = parts
  assert(head !== undefined, 'a frame has a header')
  head.writeUInt32BE(length, 0)
  let crc = crc32c(head.subarray(HEADER_SIZE_BYTES))
  for (const part of parts.slice(1)) crc = crc32c(part, crc)
  head.writeUInt32BE(crc, CRC_OFFSET)
  return parts
}

/**
 * Cuts a byte stream into frames. One that comes whole in a chunk shares memory with it; any other is copied as it comes, into memory
 * of that frame alone. Throws MalformedBytes, after which the stream is of no more use.
 */
export class FrameDecoder {
  /** Of the frame that has begun, as far as it has come. */
  readonly #header = Buffer.alloc(HEADER_SIZE_BYTES)
  #headerSizeBytes = 0
  #lengthBytes = 0
  /** Once its header is whole; as long as the frame in the end. */
  #body: Buffer | undefined
  #bodySizeBytes = 0
  #bodyCrc = 0
  /** Of the frames still to come. */
  maxSizeBytes: number

  constructor(maxSizeBytes = MAX_FRAME_SIZE_BYTES) {
    this.maxSizeBytes = maxSizeBytes
  }

  /** A part of one is there, and the rest is not. */
  get isWithinFrame(): boolean {
    return this.#headerSizeBytes > 0
  }

  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = []
    for (let at = 0; at < chunk.length;) {
      const end = this.isWithinFrame ? undefined : this.#endOfWhole(chunk, at)
      if (end !== undefined) {
        const body = chunk.subarray(at + HEADER_SIZE_BYTES, end)
        frames.push(checked(body, crc32c(body), chunk.readUInt32BE(at + CRC_OFFSET)))
        at = end
      } else if (this.#body === undefined) at += this.#takeHeader(chunk, at)
      else {
        at += this.#takeBody(this.#body, chunk, at)
        if (this.#bodySizeBytes === this.#lengthBytes) frames.push(this.#finish(this.#body))
        else if (this.#bodySizeBytes === this.#body.length) this.#body = grown(this.#body, this.#lengthBytes)
      }
    }
    return frames
  }

  /** Where the frame that begins at `at` ends, if that is in the chunk. */
  #endOfWhole(chunk: Buffer, at: number): number | undefined {
    if (chunk.length - at < HEADER_SIZE_BYTES) return undefined
    const end = at + HEADER_SIZE_BYTES + this.#lengthIn(chunk, at)
    return end <= chunk.length ? end : undefined
  }

  #lengthIn(header: Buffer, at: number): number {
    const length = header.readUInt32BE(at)
    if (length === 0 || length > this.maxSizeBytes)
      throw new MalformedBytes(`a frame of ${length} bytes; at most ${this.maxSizeBytes} are accepted`)
    return length
  }

  /** Like {@link #takeBody}, returns how many bytes it took. */
  #takeHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerSizeBytes, at)
    this.#headerSizeBytes += taken
    if (this.#headerSizeBytes < HEADER_SIZE_BYTES) return taken
    this.#lengthBytes = this.#lengthIn(this.#header, 0)
    this.#body = Buffer.allocUnsafeSlow(Math.min(this.#lengthBytes, FIRST_SIZE_BYTES))
    return taken
  }

  #takeBody(body: Buffer, chunk: Buffer, at: number): number {
    const from = this.#bodySizeBytes
    const taken = chunk.copy(body, from, at)
    this.#bodySizeBytes += taken
    this.#bodyCrc = crc32c(body.subarray(from, this.#bodySizeBytes), this.#bodyCrc)
    return taken
  }

  #finish(body: Buffer): Frame {
    const frame = checked(body, this.#bodyCrc, this.#header.readUInt32BE(CRC_OFFSET))
    this.#headerSizeBytes = 0
    this.#body = undefined
    this.#bodySizeBytes = 0
    this.#bodyCrc = 0
    return frame
  }
}

function grown(body: Buffer, maxSizeBytes: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.min(maxSizeBytes, 2 * body.length))
  body.copy(larger)
  return larger
}

function checked(body: Buffer, crc: number, announcedCrc: number): Frame {
  if (crc !== announcedCrc) throw new MalformedBytes('the checksum of a frame does not match')
  return { type: body.readUInt8(0), payload: body.subarray(1) }
}

export type Purpose = 'messages' | 'snapshot' | 'query'
export const PURPOSES: readonly Purpose[] = ['messages', 'snapshot', 'query']

export interface Hello {
  readonly version: number
  /** 0 in a query by somebody who does not know it yet. */
  readonly clusterId: ClusterId
  readonly from: MemberId
  readonly to: MemberId
  readonly purpose: Purpose
  /** Where the dialer can be reached: the other side may have to answer one that it has not heard of yet. */
  readonly peerURLs: readonly string[]
}

export function encodeHello(hello: Hello): Buffer {
  const writer = new ByteWriter(64).u32(hello.version).u64(hello.clusterId).u64(hello.from).u64(hello.to)
  writer.u8(PURPOSES.indexOf(hello.purpose)).u8(hello.peerURLs.length)
  for (const url of hello.peerURLs) writer.text(url)
  return encodeFrame(FRAME.hello, writer.finish())
}

export function decodeHello(payload: Buffer): Hello {
  const reader = new ByteReader(payload)
  const hello = {
    version: reader.u32(),
    clusterId: ClusterId(reader.u64()),
    from: MemberId(reader.u64()),
    to: MemberId(reader.u64()),
  }
  const purpose = PURPOSES[reader.u8()]
  if (purpose === undefined) throw new MalformedBytes('unknown purpose of a connection')
  const peerURLs = Array.from({ length: reader.u8() }, () => reader.text())
  reader.end()
  return { ...hello, purpose, peerURLs }
}

/** `removed`: that member was removed from the cluster for good. `certificate-mismatch`: what was shown is another member's;
 * `secret`: it has not shown that it knows the cluster's secret. */
export type RefusalReason =
  | 'removed'
  | 'cluster-mismatch'
  | 'member-mismatch'
  | 'version'
  | 'certificate-mismatch'
  | 'secret'
const REASONS: readonly RefusalReason[] = [
  'removed',
  'cluster-mismatch',
  'member-mismatch',
  'version',
  'certificate-mismatch',
  'secret',
]

/** `shown`: see secret.ts. */
export function encodeRefused(reason: RefusalReason, shown: Uint8Array = EMPTY_BYTES): Buffer {
  return encodeFrame(FRAME.refused, Buffer.concat([Buffer.of(REASONS.indexOf(reason)), shown]))
}

export function decodeRefused(payload: Buffer): RefusalReason {
  const reason = REASONS[new ByteReader(payload).u8()]
  if (reason === undefined) throw new MalformedBytes('unknown reason of a refusal')
  return reason
}
