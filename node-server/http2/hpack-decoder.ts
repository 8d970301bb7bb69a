/** Header blocks as a client writes them (RFC 7541). One decoder a connection, since it learns from each block. Pure. */
import { DynamicTable, ENTRY_OVERHEAD_BYTES, TABLE_BYTES } from './dynamic-table.ts'
import { ConnectionError } from './errors.ts'
import { ErrorCode } from './frame.ts'
import { decodeHuffman } from './huffman.ts'
import { MAX_LIST_EXCESS } from './limits.ts'
import { STATIC_TABLE } from './static-table.ts'

/** Names and values in turn, each as its bytes say (latin1), in the order of the block. */
export type FieldList = readonly string[]

export interface DecoderLimits {
  /** Of all fields of a block together, each with its overhead (RFC 9113 §6.5.2). */
  readonly maxListBytes: number
}

/** No number in a block is larger: lengths are bounded by the block, indexes by the tables. */
const MAX_INTEGER = 2 ** 24

export class HpackDecoder {
  readonly #maxListBytes: number
  readonly #table = new DynamicTable()
  /** For what comes in Huffman's code: longer than any list may be, it need not be. */
  readonly #text: Buffer
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  #fields: string[] = []
  #listBytes = 0
  #version = 0

  /** `text` may be shared by all decoders of a process: nothing stays in it. */
  constructor({ maxListBytes }: DecoderLimits, text: Buffer = Buffer.allocUnsafe(maxListBytes)) {
    this.#maxListBytes = maxListBytes
    this.#text = text
  }

  /** Another one when the table has changed: until then equal blocks mean the same. */
  get version(): number {
    return this.#version
  }

  /**
   * Undefined when the list is longer than allowed: the table has learned from it, as it must, but the fields are gone.
   * Throws a ConnectionError for what is no block: nothing after it can be understood.
   */
  decode(bytes: Buffer, start: number, end: number): FieldList | undefined {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#fields = []
    this.#listBytes = 0
    let isBegun = false
    while (this.#at < end) {
      const first = bytes[this.#at] ?? 0
      if (first >= 0x80) this.#readIndexed()
      else if (first >= 0x40) this.#readLiteral(6, true)
      else if (first >= 0x20) {
        if (isBegun) throw broken('a change of the table size amid fields')
        this.#resize()
        continue
      } else this.#readLiteral(4, false) // never indexed, or not this time: the same for who passes nothing on
      isBegun = true
    }
    return this.#listBytes > this.#maxListBytes ? undefined : this.#fields
  }

  #readIndexed(): void {
    const index = this.#integer(7)
    this.#emit(this.#nameAt(index), this.#valueAt(index))
  }

  #readLiteral(prefixBits: number, isRemembered: boolean): void {
    const index = this.#integer(prefixBits)
    const name = index === 0 ? this.#string() : this.#nameAt(index)
    const value = this.#string()
    if (isRemembered) {
      this.#table.add(name, value)
      this.#version += 1
    }
    this.#emit(name, value)
  }

  #resize(): void {
    const size = this.#integer(5)
    if (size > TABLE_BYTES) throw broken('a table size over the limit')
    this.#table.resize(size)
    this.#version += 1
  }

  #emit(name: string, value: string): void {
    this.#listBytes += name.length + value.length + ENTRY_OVERHEAD_BYTES
    if (this.#listBytes <= this.#maxListBytes) this.#fields.push(name, value)
    else if (this.#listBytes > this.#maxListBytes * MAX_LIST_EXCESS)
      throw new ConnectionError(ErrorCode.enhanceYourCalm, 'a list of fields without measure')
  }

  #nameAt(index: number): string {
    const fixed = STATIC_TABLE[index - 1]
    if (fixed !== undefined) return fixed[0]
    return this.#table.name(index - STATIC_TABLE.length - 1) ?? noSuchIndex()
  }

  #valueAt(index: number): string {
    const fixed = STATIC_TABLE[index - 1]
    if (fixed !== undefined) return fixed[1]
    return this.#table.value(index - STATIC_TABLE.length - 1) ?? noSuchIndex()
  }

  /** RFC 7541 §5.1. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1
    let value = this.#byte() & mask
    if (value < mask) return value
    for (let shift = 0; ; shift += 7) {
      const byte = this.#byte()
      value += (byte & 0x7f) * 2 ** shift
      if (value > MAX_INTEGER || shift > 28) throw broken('a number without measure')
      if (byte < 0x80) return value
    }
  }

  /** RFC 7541 §5.2. */
  #string(): string {
    const isHuffman = (this.#bytes[this.#at] ?? 0) >= 0x80
    const length = this.#integer(7)
    const start = this.#at
    const end = start + length
    if (end > this.#end) throw broken('a string that goes beyond its block')
    this.#at = end
    if (!isHuffman) return this.#bytes.toString('latin1', start, end)
    const decoded = decodeHuffman(this.#bytes, start, end, this.#text)
    if (decoded < 0) throw broken('a string that is not in the code')
    return this.#text.toString('latin1', 0, decoded)
  }

  #byte(): number {
    if (this.#at >= this.#end) throw broken('a block that ends amid a field')
    return this.#bytes[this.#at++] ?? 0
  }
}

function noSuchIndex(): never {
  throw broken('an index that is in no table')
}

function broken(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.compressionError, what)
}
