/**
 * Makes the bytes of one file out of rows in ascending order. Pure: who builds takes {@link filled} from time to time, puts
 * it into the file, and says so.
 */
import { assert } from '../../../lib/assert.ts'
import type { Block } from './block.ts'
import { BlockWriter, type BlockSpan } from './block-writer.ts'
import { buildFilter, filterShape, hashKey, isFiltered } from './filter.ts'
import { checksumSeed, compareSpans, putChecksum, putU32, putU48, u32 } from './format.ts'
import type { RunFile } from './manifest.ts'

export const MAGIC = Buffer.from('RKVRUN01', 'latin1')
export const FOOTER_SIZE_BYTES = 60
/** Of a row of the index: where a block is, how long, and its rows. */
export const INDEX_VALUE_BYTES = 14

/** A block, as its row in the index has it; `divider`: above all keys before it, and not above its first. */
interface Child {
  readonly divider: Uint8Array
  readonly offset: number
  readonly size: number
  readonly rows: number
  readonly hasRemovals: boolean
}

/** In the number of rows of a child: some are removals. */
export const CHILD_HAS_REMOVALS = 0x8000_0000

export class RunBuilder {
  readonly fileId: number
  readonly #writer: BlockWriter
  #children: Child[] = []
  #divider: Uint8Array = Buffer.alloc(0)
  /** The last key of the block before. */
  #before: Buffer | undefined
  #blockHasRemovals = false
  #hashes = new Uint32Array(1024)
  #hashCount = 0
  #rows = 0
  #removals = 0
  #first: Buffer | undefined
  #last: Buffer = Buffer.alloc(0)

  constructor(fileId: number) {
    this.fileId = fileId
    this.#writer = new BlockWriter(fileId)
  }

  /** So far. */
  get sizeBytes(): number {
    return this.#writer.offset + this.#writer.used
  }

  get isBetweenBlocks(): boolean {
    return this.#writer.rows === 0
  }

  /** Of the rows whose block has not ended. */
  get openBytes(): number {
    return this.#writer.used - this.#writer.ended
  }

  /** Bytes that wait to be put into the file at {@link offset}; may be asked between two blocks only. */
  get filled(): Buffer {
    return this.#writer.chunk.subarray(0, this.#writer.ended)
  }

  /** How many bytes {@link filled} has; any time. */
  get filledBytes(): number {
    return this.#writer.ended
  }

  get offset(): number {
    return this.#writer.offset
  }

  /** What {@link filled} gave is in the file. */
  drained(): void {
    this.#writer.drop()
  }

  /** A row whose key is in one piece. Without a value (`valueStart` below 0) it is a removal. */
  add(source: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    const isRemoval = valueStart < 0
    this.#writer.begin(keyEnd - keyStart, isRemoval ? 0 : valueEnd - valueStart, isRemoval)
    this.#writer.copy(source, keyStart, keyEnd)
    if (!isRemoval) this.#writer.copy(source, valueStart, valueEnd)
    this.#noteRow(isRemoval)
  }

  /** A row of a block. */
  addFrom(block: Block, position: number): void {
    const isRemoval = block.isRemoval(position)
    const { bytes, prefixAt, prefixSize } = block
    const restAt = block.restAt(position)
    const valueAt = block.valueAt(position)
    const end = block.valueEnd(position)
    this.#writer.begin(prefixSize + valueAt - restAt, end - valueAt, isRemoval)
    this.#writer.copy(bytes, prefixAt, prefixAt + prefixSize)
    this.#writer.copy(bytes, restAt, end)
    this.#noteRow(isRemoval)
  }

  #noteRow(isRemoval: boolean): void {
    const writer = this.#writer
    const keyAt = writer.lastKeyAt
    const keyEnd = keyAt + u32(writer.chunk, keyAt - 4)
    if (writer.rows === 1) this.#beginBlock(writer.chunk.subarray(keyAt, keyEnd))
    this.#rows++
    if (isRemoval) {
      this.#removals++
      this.#blockHasRemovals = true
    }
    if (isFiltered(writer.chunk[keyAt] ?? 0)) this.#noteHash(hashKey(writer.chunk, keyAt, keyEnd))
    if (writer.isFull) this.#endBlock()
  }

  /** `first`: the first key of the new block, which is divided from the one before by as little as it takes. */
  #beginBlock(first: Buffer): void {
    this.#first ??= Buffer.from(first)
    const before = this.#before
    if (before === undefined) return
    assert(compareSpans(before, 0, before.length, first, 0, first.length) < 0, 'rows are added in their order')
    let shared = 0
    while (shared < before.length && before[shared] === first[shared]) shared++
    this.#divider = Buffer.from(first.subarray(0, shared + 1))
  }

  #endBlock(): void {
    const { rows } = this.#writer
    this.#last = Buffer.from(this.#writer.lastKey)
    this.#noteBlock(this.#writer.end(), rows, this.#blockHasRemovals)
    this.#blockHasRemovals = false
  }

  #noteBlock(place: BlockSpan, rows: number, hasRemovals: boolean): void {
    this.#children.push({ divider: this.#divider, ...place, rows, hasRemovals })
    this.#before = this.#last
  }

  /** A whole block without removals, of a table without a filter. */
  addBlock(block: Block): void {
    if (!this.isBetweenBlocks) this.#endBlock()
    this.#beginBlock(keyOf(block, 0))
    this.#last = keyOf(block, block.count - 1)
    this.#rows += block.count
    this.#noteBlock(this.#writer.take(block), block.count, false)
  }

  #noteHash(hash: number): void {
    if (this.#hashCount === this.#hashes.length) {
      const grown = new Uint32Array(this.#hashes.length * 2)
      grown.set(this.#hashes)
      this.#hashes = grown
    }
    this.#hashes[this.#hashCount++] = hash
  }

  /** Ends the last block, so that all that was added is in {@link filled}. */
  endBlock(): void {
    if (!this.isBetweenBlocks) this.#endBlock()
  }

  /** The rest of the file goes into {@link filled} too. At least one row was added. */
  finish(): RunFile {
    this.endBlock()
    const writer = this.#writer
    const indexOffset = this.sizeBytes
    const top = this.#writeIndex(this.#children)
    const filterOffset = this.sizeBytes
    writer.raw(buildFilter(this.#hashes.subarray(0, this.#hashCount), this.fileId, filterOffset))
    for (const child of top) this.#addChild(child)
    const { offset: topOffset, size: topSize } = writer.end()
    const footer = this.#footer(indexOffset, filterOffset, topOffset, topSize)
    writer.raw(footer)
    const { fileId: id, sizeBytes } = this
    const first = this.#first
    assert(first !== undefined, 'a file has rows')
    const footerChecksum = u32(footer, FOOTER_SIZE_BYTES - 4)
    return { id, sizeBytes, rows: this.#rows, removals: this.#removals, footerChecksum, first, last: this.#last }
  }

  /** Index blocks of the children, and the children that those are. */
  #writeIndex(children: readonly Child[]): Child[] {
    const top: Child[] = []
    let from = 0
    children.forEach((child, i) => {
      this.#addChild(child)
      if (!this.#writer.isFull && i + 1 < children.length) return
      const of = children.slice(from, i + 1)
      const rows = of.reduce((sum, { rows }) => sum + rows, 0)
      const hasRemovals = of.some(({ hasRemovals }) => hasRemovals)
      top.push({ divider: of[0]?.divider ?? Buffer.alloc(0), ...this.#writer.end(), rows, hasRemovals })
      from = i + 1
    })
    return top
  }

  #addChild({ divider, offset, size, rows, hasRemovals }: Child): void {
    const value = Buffer.allocUnsafe(INDEX_VALUE_BYTES)
    putU32(value, putU32(value, putU48(value, 0, offset), size), (rows | (hasRemovals ? CHILD_HAS_REMOVALS : 0)) >>> 0)
    this.#writer.begin(divider.length, value.length, false)
    this.#writer.copy(divider, 0, divider.length)
    this.#writer.copy(value, 0, value.length)
  }

  #footer(indexOffset: number, filterOffset: number, topOffset: number, topSize: number): Buffer {
    const { pages, pageSizeBytes } = filterShape(this.#hashCount)
    const footer = Buffer.alloc(FOOTER_SIZE_BYTES)
    let at = MAGIC.copy(footer)
    for (const number of [this.fileId, this.#rows, this.#removals, indexOffset, filterOffset])
      at = putU48(footer, at, number)
    at = putU32(footer, at, pageSizeBytes)
    at = putU32(footer, at, pages)
    at = putU48(footer, at, topOffset)
    at = putU32(footer, at, topSize)
    putChecksum(footer, 0, at, checksumSeed(this.fileId, this.sizeBytes))
    return footer
  }
}

function keyOf(block: Block, position: number): Buffer {
  const key = Buffer.allocUnsafeSlow(block.keySize(position))
  block.copyKey(position, key, 0)
  return key
}
