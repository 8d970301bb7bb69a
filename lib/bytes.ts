/**
 * Reading and writing of our own byte formats (WAL records, peer messages, commands). All integers are big-endian, so
 * that byte order equals number order in keys.
 */
import { assert } from './assert.ts'

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0)

/** Bytes that are not what they should be: input damage, not a bug. */
export class MalformedBytes extends Error {
  override readonly name = 'MalformedBytes'
}

/**
 * Bytes that nobody will look at again: their memory is free at once, for the next ones, instead of after a garbage collection. For
 * who was given them for good; where they are a part of more memory, others may have the rest, and nothing is done.
 */
export function discard({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

/** From this size on, bytes stay where they lie when they are handed on by reference; less is copied sooner than kept track of. */
const MIN_SHARED_SIZE_BYTES = 4096

/** Grows as needed; `finish` hands the bytes over and starts again, so one writer can serve many records. */
export class ByteWriter {
  #buffer: Buffer
  #length = 0
  /** Large bytes that were not copied, and before which of those that were they stand. */
  readonly #shared: { readonly bytes: Buffer; readonly at: number }[] = []

  constructor(initialSizeBytes = 1024) {
    this.#buffer = Buffer.allocUnsafe(initialSizeBytes)
  }

  get lengthBytes(): number {
    return this.#length
  }

  #reserve(sizeBytes: number): number {
    const offset = this.#length
    const needed = offset + sizeBytes
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
      this.#buffer.copy(grown, 0, 0, offset)
      this.#buffer = grown
    }
    this.#length = needed
    return offset
  }

  u8(value: number): this {
    const offset = this.#reserve(1)
    this.#buffer[offset] = value
    return this
  }

  u32(value: number): this {
    const offset = this.#reserve(4)
    this.#buffer.writeUInt32BE(value, offset)
    return this
  }

  /** A safe integer in 8 bytes. */
  u53(value: number): this {
    const offset = this.#reserve(8)
    this.#buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), offset)
    this.#buffer.writeUInt32BE(value % 0x1_0000_0000, offset + 4)
    return this
  }

  u64(value: bigint): this {
    const offset = this.#reserve(8)
    this.#buffer.writeBigUInt64BE(value, offset)
    return this
  }

  raw(bytes: Uint8Array): this {
    const offset = this.#reserve(bytes.length)
    this.#buffer.set(bytes, offset)
    return this
  }

  /** Length in 4 bytes, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes)
  }

  /** As {@link bytes}, for {@link parts}: large ones are not copied, and must not change until those have been used. */
  sharedBytes(bytes: Uint8Array): this {
    if (bytes.length < MIN_SHARED_SIZE_BYTES) return this.bytes(bytes)
    this.u32(bytes.length)
    this.#shared.push({ bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: this.#length })
    return this
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, 'utf8'))
  }

  /**
   * What was written, without a copy, one part behind the other; the first holds what came before all that is shared. The
   * writer must not be used afterwards.
   */
  parts(): readonly Buffer[] {
    const parts: Buffer[] = []
    let from = 0
    for (const { bytes, at } of this.#shared) {
      parts.push(this.#buffer.subarray(from, at), bytes)
      from = at
    }
    parts.push(this.#buffer.subarray(from, this.#length))
    return parts
  }

  /** A copy of what was written; the writer is empty afterwards. */
  finish(): Buffer {
    assert(this.#shared.length === 0, 'what is shared is in parts')
    const result = Buffer.allocUnsafeSlow(this.#length)
    this.#buffer.copy(result, 0, 0, this.#length)
    this.#length = 0
    return result
  }
}

/** What such a writer needs room for when it is given these by reference. */
export function copiedSizeBytes(bytes: Uint8Array): number {
  return bytes.length < MIN_SHARED_SIZE_BYTES ? bytes.length : 0
}

export function sizeOfParts(parts: readonly Uint8Array[]): number {
  let sizeBytes = 0
  for (const part of parts) sizeBytes += part.length
  return sizeBytes
}

/** Every read is checked against the end and throws {@link MalformedBytes} past it. Slices share memory with the input. */
export class ByteReader {
  readonly #buffer: Buffer
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remainingBytes(): number {
    return this.#buffer.length - this.#offset
  }

  #take(sizeBytes: number): number {
    const offset = this.#offset
    if (sizeBytes > this.#buffer.length - offset) {
      throw new MalformedBytes(
        `${sizeBytes} bytes wanted at offset ${offset}, the input ends at ${this.#buffer.length}`,
      )
    }
    this.#offset = offset + sizeBytes
    return offset
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1))
  }

  u32(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  u53(): number {
    const offset = this.#take(8)
    const value = this.#buffer.readUInt32BE(offset) * 0x1_0000_0000 + this.#buffer.readUInt32BE(offset + 4)
    if (!Number.isSafeInteger(value)) throw new MalformedBytes(`the number at offset ${offset} is beyond 2^53`)
    return value
  }

  u64(): bigint {
    return this.#buffer.readBigUInt64BE(this.#take(8))
  }

  raw(sizeBytes: number): Buffer {
    const offset = this.#take(sizeBytes)
    return this.#buffer.subarray(offset, offset + sizeBytes)
  }

  bytes(): Buffer {
    return this.raw(this.u32())
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  /** Call it last: bytes that nobody asked for mean that writer and reader disagree. */
  end(): void {
    if (this.remainingBytes !== 0)
      throw new MalformedBytes(`${this.remainingBytes} bytes left over at offset ${this.#offset}`)
  }
}
