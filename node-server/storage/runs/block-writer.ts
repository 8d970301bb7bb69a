/** Makes blocks out of rows in ascending order, for the data, the index and the top of a file alike. */
import { assert } from '../../../lib/assert.ts'
import { BLOCK_END_BYTES, LONG_SIZE, REMOVAL_BIT, WIDE_BIT, type Block } from './block.ts'
import { CHECKSUM_SIZE_BYTES, checksumSeed, putChecksum, putU16, putU32, u32 } from './format.ts'

/** What a block holds before it ends; one larger row has a block of its own. */
const BLOCK_SIZE_BYTES = 4096
/** The same for rows that still have their common prefix: what a block takes in memory while it grows. */
const MAX_RAW_SIZE_BYTES = 64 * 1024
const INITIAL_CHUNK_BYTES = 96 * 1024
/** Of the head of a row while its block grows: the size of the whole key. */
const HEAD_BYTES = 6

/** Of a block that has ended. */
export interface BlockSpan {
  readonly offset: number
  readonly size: number
}

export class BlockWriter {
  readonly #fileId: number
  chunk: Buffer
  /** Bytes in the chunk. */
  used = 0
  /** Where the chunk stands in the file. */
  offset = 0
  #blockStart = 0
  /** Rows of the block, as the chunk has them: is a removal (1) ‖ unused (1) ‖ key size (4) ‖ key ‖ value. */
  #rows: number[] = []
  #hasRemovals = false
  /** The block is measured when it has grown to this. */
  #measureAt = BLOCK_SIZE_BYTES

  constructor(fileId: number) {
    this.#fileId = fileId
    this.chunk = Buffer.allocUnsafeSlow(INITIAL_CHUNK_BYTES)
  }

  get rows(): number {
    return this.#rows.length
  }

  /** Begins a row: its key and its value follow by {@link copy} or a write to the chunk. */
  begin(keySize: number, valueSize: number, isRemoval: boolean): void {
    this.reserve(HEAD_BYTES + keySize + valueSize)
    this.#rows.push(this.used)
    if (isRemoval) this.#hasRemovals = true
    this.chunk[this.used] = isRemoval ? 1 : 0
    this.used = putU32(this.chunk, this.used + 2, keySize)
  }

  copy(source: Uint8Array, start: number, end: number): void {
    const { chunk } = this
    let to = this.used
    if (end - start > 64) chunk.set(source.subarray(start, end), to)
    else for (let at = start; at < end; at++) chunk[to++] = source[at] ?? 0
    this.used += end - start
  }

  /** Whether the block is to be ended. */
  get isFull(): boolean {
    const raw = this.used - this.#blockStart
    if (raw < this.#measureAt) return false
    const size = raw - this.#rows.length * this.#prefixSize()
    if (size >= BLOCK_SIZE_BYTES) return true
    this.#measureAt = raw + (BLOCK_SIZE_BYTES - size)
    return raw >= MAX_RAW_SIZE_BYTES
  }

  #keySize(row: number): number {
    return u32(this.chunk, row + 2)
  }

  /** Between ordered keys, what the first and the last have in common all have. */
  #prefixSize(): number {
    const first = this.#rows[0] ?? 0
    const last = this.#rows.at(-1) ?? 0
    const most = Math.min(this.#keySize(first), this.#keySize(last), LONG_SIZE)
    let size = 0
    while (size < most && this.chunk[first + HEAD_BYTES + size] === this.chunk[last + HEAD_BYTES + size]) size++
    return size
  }

  /** The last row's key, in the chunk: its start and, before it, its size. */
  get lastKeyAt(): number {
    return (this.#rows.at(-1) ?? 0) + HEAD_BYTES
  }

  get lastKey(): Buffer {
    const at = this.lastKeyAt
    return this.chunk.subarray(at, at + u32(this.chunk, at - 4))
  }

  /** Moves the rows together, each without the prefix, and ends the block. Where it begins in the file. */
  end(): BlockSpan {
    const rows = this.#rows
    assert(rows.length > 0, 'a block has rows')
    const prefixSize = this.#prefixSize()
    this.reserve(prefixSize + 4 * rows.length + BLOCK_END_BYTES)
    const { chunk } = this
    const prefix = Buffer.from(chunk.subarray((rows[0] ?? 0) + HEAD_BYTES, (rows[0] ?? 0) + HEAD_BYTES + prefixSize))
    const rawEnd = this.used
    let at = this.#blockStart
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] ?? 0
      const restSize = this.#keySize(row) - prefixSize
      const removal = chunk[row] === 0 ? 0 : REMOVAL_BIT
      const end = rows[i + 1] ?? rawEnd
      rows[i] = at - this.#blockStart
      if (restSize < LONG_SIZE) at = putU16(chunk, at, restSize | removal)
      else at = putU32(chunk, putU16(chunk, at, LONG_SIZE | removal), restSize)
      const from = row + HEAD_BYTES + prefixSize
      if (at !== from) chunk.copyWithin(at, from, end)
      at += end - from
    }
    at += prefix.copy(chunk, at)
    const isWide = at - this.#blockStart > 0xffff
    for (const row of rows) at = isWide ? putU32(chunk, at, row) : putU16(chunk, at, row)
    at = putU16(chunk, at, prefixSize | (this.#hasRemovals ? REMOVAL_BIT : 0))
    at = putU16(chunk, at, rows.length | (isWide ? WIDE_BIT : 0))
    return this.#seal(at)
  }

  #seal(end: number): BlockSpan {
    const offset = this.offset + this.#blockStart
    this.used = putChecksum(this.chunk, this.#blockStart, end, checksumSeed(this.#fileId, offset))
    const size = this.used - this.#blockStart
    this.startBlock()
    return { offset, size }
  }

  startBlock(): void {
    this.#blockStart = this.used
    this.#rows = []
    this.#hasRemovals = false
    this.#measureAt = BLOCK_SIZE_BYTES
  }

  /** A whole block of another file, which needs only another checksum. */
  take(block: Block): BlockSpan {
    assert(this.#rows.length === 0, 'between two blocks')
    const { bytes } = block
    this.reserve(bytes.length)
    bytes.copy(this.chunk, this.used)
    return this.#seal(this.used + bytes.length - CHECKSUM_SIZE_BYTES)
  }

  /** What is not of a block. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.chunk.set(bytes, this.used)
    this.used += bytes.length
    this.startBlock()
  }

  reserve(sizeBytes: number): void {
    if (this.used + sizeBytes <= this.chunk.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.chunk.length * 2, this.used + sizeBytes))
    this.chunk.copy(grown, 0, 0, this.used)
    this.chunk = grown
  }

  /** Bytes of ended blocks in the chunk. */
  get ended(): number {
    return this.#blockStart
  }

  /** They are in the file now. */
  drop(): void {
    assert(this.#rows.length === 0, 'between two blocks')
    this.offset += this.used
    this.used = 0
    this.startBlock()
  }
}
