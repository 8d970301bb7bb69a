/** A block of rows as it is read; its bytes are in format.ts. Nothing here allocates or decodes more than it is asked for. */
import { MalformedBytes } from '../../../lib/bytes.ts'
import { CHECKSUM_SIZE_BYTES, compareSpans, isSound, u16, u32 } from './format.ts'

/** prefix size (2) ‖ count (2) ‖ checksum (4) */
export const BLOCK_END_BYTES = 4 + CHECKSUM_SIZE_BYTES
/** In the size of a row's rest: the row is a removal. In the size of a block's prefix: there are such rows. */
export const REMOVAL_BIT = 0x8000
/** In the count of a block: its offsets have four bytes. */
export const WIDE_BIT = 0x8000
/** The size itself follows in four bytes; and the longest prefix. */
export const LONG_SIZE = 0x7fff

export class Block {
  #bytes: Buffer
  #isLent = false
  readonly count: number
  readonly hasRemovals: boolean
  readonly prefixSize: number
  /** Where the prefix stands, and so where the last row ends. */
  readonly prefixAt: number
  readonly #offsetsAt: number
  readonly #isWide: boolean

  /** Verifies the checksum; throws `MalformedBytes`. The bytes stay in use. */
  constructor(bytes: Buffer, seed: number) {
    if (bytes.length < BLOCK_END_BYTES || !isSound(bytes, seed)) throw new MalformedBytes('its checksum is wrong')
    const endAt = bytes.length - BLOCK_END_BYTES
    const prefix = u16(bytes, endAt)
    this.#bytes = bytes
    const count = u16(bytes, endAt + 2)
    this.count = count & ~WIDE_BIT
    this.#isWide = (count & WIDE_BIT) !== 0
    this.hasRemovals = (prefix & REMOVAL_BIT) !== 0
    this.prefixSize = prefix & LONG_SIZE
    this.#offsetsAt = endAt - (this.#isWide ? 4 : 2) * this.count
    this.prefixAt = this.#offsetsAt - this.prefixSize
    if (this.count === 0 || this.prefixAt < 2 * this.count) throw new MalformedBytes('its sizes do not fit it')
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  /** Its bytes are those of a ring, which takes them back: what is shown of them must be copied. */
  get isLent(): boolean {
    return this.#isLent
  }

  lend(): this {
    this.#isLent = true
    return this
  }

  /** Before the ring takes its bytes back: who looks at the block goes on in a copy. */
  keep(): void {
    if (!this.#isLent) return
    this.#bytes = Buffer.from(this.#bytes)
    this.#isLent = false
  }

  #rowAt(position: number): number {
    return this.#isWide
      ? u32(this.#bytes, this.#offsetsAt + 4 * position)
      : u16(this.#bytes, this.#offsetsAt + 2 * position)
  }

  isRemoval(position: number): boolean {
    return ((this.#bytes[this.#rowAt(position) + 1] ?? 0) & 0x80) !== 0
  }

  /** Of the rows from `from` up to and without `to`, those that are no removals. */
  liveRows(from: number, to: number): number {
    let live = to - from
    if (this.hasRemovals) for (let position = from; position < to; position++) if (this.isRemoval(position)) live--
    return live
  }

  /** Where what follows the prefix of the row's key begins. */
  restAt(position: number): number {
    const at = this.#rowAt(position)
    return (u16(this.#bytes, at) & LONG_SIZE) === LONG_SIZE ? at + 6 : at + 2
  }

  /** Where the key ends and the value begins. */
  valueAt(position: number): number {
    const at = this.#rowAt(position)
    const size = u16(this.#bytes, at) & LONG_SIZE
    return size === LONG_SIZE ? at + 6 + u32(this.#bytes, at + 2) : at + 2 + size
  }

  valueEnd(position: number): number {
    return position + 1 === this.count ? this.prefixAt : this.#rowAt(position + 1)
  }

  keySize(position: number): number {
    return this.prefixSize + this.valueAt(position) - this.restAt(position)
  }

  /** Of the key, which is not empty: the number of the table. */
  firstByte(position: number): number {
    return this.#bytes[this.prefixSize > 0 ? this.prefixAt : this.restAt(position)] ?? 0
  }

  /** Copies what follows the prefix of the row's key to where that ends; `into` has room for it. */
  copyRest(position: number, into: Uint8Array): void {
    const bytes = this.#bytes
    const end = this.valueAt(position)
    let to = this.prefixSize
    for (let at = this.restAt(position); at < end; at++) into[to++] = bytes[at] ?? 0
  }

  /** Copies the row's key without its first `skip` bytes; `into` has room for it. */
  copyKey(position: number, into: Uint8Array, skip: number): void {
    const { prefixAt, prefixSize } = this
    const bytes = this.#bytes
    let to = 0
    for (let at = prefixAt + skip; at < prefixAt + prefixSize; at++) into[to++] = bytes[at] ?? 0
    const end = this.valueAt(position)
    for (let at = this.restAt(position) + Math.max(0, skip - prefixSize); at < end; at++) into[to++] = bytes[at] ?? 0
  }

  /** The bytes are the block's, or a copy when that is lent. */
  value(position: number): Buffer {
    return this.#isLent
      ? this.copyValue(position)
      : this.#bytes.subarray(this.valueAt(position), this.valueEnd(position))
  }

  copyValue(position: number): Buffer {
    const start = this.valueAt(position)
    const end = this.valueEnd(position)
    const value = Buffer.allocUnsafe(end - start)
    this.#bytes.copy(value, 0, start, end)
    return value
  }

  /** Of the last row whose key is not above `key`; -1 when there is none. */
  floor(key: Uint8Array, keySize: number): number {
    const order = this.#comparePrefix(key, keySize)
    if (order !== 0) return order < 0 ? this.count - 1 : -1
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compareRest(middle, key, keySize) <= 0) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** How many rows are below `key`, which is expected to be above most blocks. */
  countBelow(key: Uint8Array, keySize: number): number {
    const order = this.#comparePrefix(key, keySize)
    if (order !== 0) return order < 0 ? this.count : 0
    if (this.#compareRest(this.count - 1, key, keySize) < 0) return this.count
    return this.#search(key, keySize, 0, this.count - 1)
  }

  /** Of the first row at `from` or behind it whose key is not below `key`; `count` when there is none. */
  lowerBound(key: Uint8Array, keySize: number, from: number): number {
    const order = this.#comparePrefix(key, keySize)
    if (order !== 0) return order < 0 ? this.count : from
    return this.#search(key, keySize, from, this.count)
  }

  /** The same, for a key that begins as the block's do, and is expected near `from`. */
  gallop(key: Uint8Array, keySize: number, from: number): number {
    let low = from
    let step = 1
    while (low + step <= this.count && this.#compareRest(low + step - 1, key, keySize) < 0) {
      low += step
      step *= 2
    }
    return this.#search(key, keySize, low, Math.min(low + step, this.count))
  }

  /** Whether the row has exactly this key. */
  hasKey(position: number, key: Uint8Array, keySize: number): boolean {
    return this.#comparePrefix(key, keySize) === 0 && this.#compareRest(position, key, keySize) === 0
  }

  /** 0 when the key begins with the prefix. */
  #comparePrefix(key: Uint8Array, keySize: number): number {
    const { prefixAt, prefixSize } = this
    return compareSpans(this.#bytes, prefixAt, prefixAt + prefixSize, key, 0, Math.min(prefixSize, keySize))
  }

  #compareRest(position: number, key: Uint8Array, keySize: number): number {
    return compareSpans(this.#bytes, this.restAt(position), this.valueAt(position), key, this.prefixSize, keySize)
  }

  #search(key: Uint8Array, keySize: number, from: number, to: number): number {
    let low = from
    let high = to
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compareRest(middle, key, keySize) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
