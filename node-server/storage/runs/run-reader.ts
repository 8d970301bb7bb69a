/**
 * One file, open for reading. Of it are in memory its top block, and its filter when that is small; the rest goes through the
 * ring, so that memory does not grow with the store. Whatever is read has its checksum verified before a byte of it is used.
 */
import { assert } from '../../../lib/assert.ts'
import { MalformedBytes } from '../../../lib/bytes.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { isMissing, type Disk, type DiskFile } from '../disk.ts'
import { Block } from './block.ts'
import type { BlockRing, Held } from './block-ring.ts'
import { pageMayHave, pageOf } from './filter.ts'
import { CHECKSUM_SIZE_BYTES, checksumSeed, isSound, u32, u48 } from './format.ts'
import { isWhole, type RunFile } from './manifest.ts'
import { CHILD_HAS_REMOVALS, FOOTER_SIZE_BYTES, MAGIC } from './run-builder.ts'

/** Stands for "this file says that the key was removed". */
export const REMOVED = Symbol('removed')

/** Which data block: a position in the top block, and one in the index block to which that leads. */
export interface BlockPlace {
  readonly top: number
  readonly child: number
}

/** Bytes of a file with a checksum of their own at their end. */
export interface Part {
  readonly offset: number
  readonly sizeBytes: number
}

export interface ReaderOptions {
  readonly ring: BlockRing
  /** A larger filter goes through the ring. */
  readonly filterInMemoryBytes: number
  /** Where in what is at its path the file begins, as in an archive. */
  readonly base?: number
}

interface Footer {
  readonly indexOffset: number
  readonly filterOffset: number
  readonly pageSizeBytes: number
  readonly pages: number
  readonly topOffset: number
  readonly topSizeBytes: number
}

export class RunReader {
  /** Its bounds are whole keys. */
  readonly file: RunFile
  readonly path: string
  readonly #disk: DiskFile
  readonly #ring: BlockRing
  readonly #base: number
  readonly #held: Held = new Map()
  readonly #footer: Footer
  readonly #top: Block
  readonly #filter: Buffer | undefined
  /** Who has it open; see {@link hold}. */
  #holders = 1

  /** Rejects with `StoreDamaged`. */
  static async open(disk: Disk, path: string, file: RunFile, options: ReaderOptions): Promise<RunReader> {
    const opened = await openFile(disk, path)
    try {
      return new RunReader(path, file, opened, options)
    } catch (error) {
      await opened.close()
      throw error
    }
  }

  private constructor(path: string, file: RunFile, disk: DiskFile, options: ReaderOptions) {
    this.#base = options.base ?? 0
    this.file = file
    this.path = path
    this.#disk = disk
    this.#ring = options.ring
    this.#footer = this.#readFooter()
    const { topOffset, topSizeBytes, filterOffset } = this.#footer
    this.#top = this.#block(topOffset, this.#read(topOffset, Buffer.allocUnsafeSlow(topSizeBytes)))
    this.file = { ...file, first: this.#wholeFirst(), last: this.#wholeLast() }
    const filterSizeBytes = topOffset - filterOffset
    if (filterSizeBytes > options.filterInMemoryBytes) return
    this.#filter = this.#read(filterOffset, Buffer.allocUnsafeSlow(filterSizeBytes))
    for (let page = 0; page < this.#footer.pages; page++) this.#checkPage(page, this.#pageIn(this.#filter, page))
  }

  #wholeFirst(): Buffer {
    const { first } = this.file
    return isWhole(first) ? first : keyAt(this.blockAt({ top: 0, child: 0 }), 0)
  }

  #wholeLast(): Buffer {
    const { last } = this.file
    if (isWhole(last)) return last
    const top = this.topCount - 1
    const block = this.blockAt({ top, child: this.childCount(top) - 1 })
    return keyAt(block, block.count - 1)
  }

  #readFooter(): Footer {
    const { id, sizeBytes, rows, removals, footerChecksum } = this.file
    const offset = sizeBytes - FOOTER_SIZE_BYTES
    if (offset < 0) throw this.#damaged(0, 'it is shorter than a file can be')
    const bytes = this.#read(offset, Buffer.allocUnsafe(FOOTER_SIZE_BYTES))
    const isNamed =
      isSound(bytes, checksumSeed(id, offset)) &&
      u32(bytes, FOOTER_SIZE_BYTES - CHECKSUM_SIZE_BYTES) === footerChecksum &&
      MAGIC.compare(bytes, 0, MAGIC.length) === 0 &&
      u48(bytes, 8) === id &&
      u48(bytes, 14) === rows &&
      u48(bytes, 20) === removals
    if (!isNamed) throw this.#damaged(offset, 'its footer is not the one that the manifest names')
    const footer = {
      indexOffset: u48(bytes, 26),
      filterOffset: u48(bytes, 32),
      pageSizeBytes: u32(bytes, 38),
      pages: u32(bytes, 42),
      topOffset: u48(bytes, 46),
      topSizeBytes: u32(bytes, 52),
    }
    const { indexOffset, filterOffset, pageSizeBytes, pages, topOffset, topSizeBytes } = footer
    const fits =
      indexOffset <= filterOffset &&
      filterOffset + pageSizeBytes * pages === topOffset &&
      topOffset + topSizeBytes === offset
    if (!fits) throw this.#damaged(offset, 'the places in its footer do not fit it')
    return footer
  }

  /** One more has it open: it stays so until each has called {@link close}. */
  hold(): this {
    this.#holders++
    return this
  }

  async close(): Promise<void> {
    if (--this.#holders === 0) await this.#disk.close()
  }

  /** False: the key is not in the file. */
  mayHave(hash: number): boolean {
    const { pages, pageSizeBytes, filterOffset } = this.#footer
    if (pages === 0) return false
    const page = pageOf(hash, pages)
    const start = page * pageSizeBytes
    if (this.#filter !== undefined) return pageMayHave(this.#filter, start, start + pageSizeBytes, hash)
    const offset = filterOffset + start
    let bytes = this.#held.get(offset)
    if (!(bytes instanceof Buffer)) {
      const into = this.#ring.place(this.#held, offset, pageSizeBytes)
      bytes = this.#read(offset, into ?? Buffer.allocUnsafe(pageSizeBytes))
      this.#checkPage(page, bytes)
      if (into !== undefined) this.#held.set(offset, bytes)
    }
    return pageMayHave(bytes, 0, pageSizeBytes, hash)
  }

  /** The value is a copy; undefined: the file says nothing of the key. */
  get(key: Uint8Array): Buffer | typeof REMOVED | undefined {
    const top = childFor(this.#top, key)
    const index = this.#indexBlock(top)
    const child = childFor(index, key)
    const block = this.#ringBlock(childOffset(index, child), childSize(index, child))
    const position = block.lowerBound(key, key.length, 0)
    if (position === block.count || !block.hasKey(position, key, key.length)) return undefined
    return block.isRemoval(position) ? REMOVED : block.copyValue(position)
  }

  get topCount(): number {
    return this.#top.count
  }

  /** How many data blocks are under a position of the top block. */
  childCount(top: number): number {
    return this.#indexBlock(top).count
  }

  /** Of the only block that can have the key. */
  placeOf(key: Uint8Array): BlockPlace {
    const top = childFor(this.#top, key)
    return { top, child: childFor(this.#indexBlock(top), key) }
  }

  /** How many rows the block there has, without reading it; undefined when some of them are removals. */
  rowsAt({ top, child }: BlockPlace): number | undefined {
    const index = this.#indexBlock(top)
    const rows = u32(index.bytes, index.valueAt(child) + 10)
    return rows < CHILD_HAS_REMOVALS ? rows : undefined
  }

  /** The same of all blocks under a position of the top block. */
  rowsUnder(top: number): number | undefined {
    const rows = u32(this.#top.bytes, this.#top.valueAt(top) + 10)
    return rows < CHILD_HAS_REMOVALS ? rows : undefined
  }

  /** One data block, lent by the ring when that has it. */
  blockAt({ top, child }: BlockPlace): Block {
    const index = this.#indexBlock(top)
    return this.#ringBlock(childOffset(index, child), childSize(index, child)).lend()
  }

  /**
   * Data blocks from a place on, in one read: about `sizeBytes`, all under the same position of the top block. In their
   * order, or when `isReverse` from the place down.
   */
  blocksAt({ top, child }: BlockPlace, sizeBytes: number, isReverse = false): readonly Block[] {
    const index = this.#indexBlock(top)
    let low = child
    let high = child + 1
    const step = isReverse ? -1 : 1
    for (let taken = childSize(index, child), next = child + step; next >= 0 && next < index.count; next += step) {
      taken += childSize(index, next)
      if (taken > sizeBytes) break
      if (isReverse) low = next
      else high = next + 1
    }
    const offset = childOffset(index, low)
    const sizes: number[] = []
    for (let i = low; i < high; i++) sizes.push(childSize(index, i))
    const bytes = this.#read(offset, Buffer.allocUnsafeSlow(sizes.reduce((sum, size) => sum + size, 0)))
    const blocks: Block[] = []
    let at = 0
    for (const size of sizes) {
      blocks.push(this.#block(offset + at, bytes.subarray(at, at + size)))
      at += size
    }
    return isReverse ? blocks.reverse() : blocks
  }

  /** All of the file in its order: each part has its checksum, and a part ends where the next one begins. */
  *parts(): Generator<Part> {
    const { indexOffset, filterOffset, pageSizeBytes, pages, topOffset, topSizeBytes } = this.#footer
    let end = 0
    for (let top = 0; top < this.topCount; top++) {
      for (let child = 0; child < this.childCount(top); child++) {
        const index = this.#indexBlock(top)
        const part = { offset: childOffset(index, child), sizeBytes: childSize(index, child) }
        if (part.offset !== end) throw this.#damaged(part.offset, `the block before it ends at ${end}`)
        yield part
        end += part.sizeBytes
      }
    }
    if (indexOffset !== end) throw this.#damaged(indexOffset, `the block before it ends at ${end}`)
    for (let top = 0; top < this.topCount; top++) {
      yield { offset: childOffset(this.#top, top), sizeBytes: childSize(this.#top, top) }
    }
    for (let page = 0; page < pages; page++)
      yield { offset: filterOffset + page * pageSizeBytes, sizeBytes: pageSizeBytes }
    yield { offset: topOffset, sizeBytes: topSizeBytes }
    yield { offset: topOffset + topSizeBytes, sizeBytes: FOOTER_SIZE_BYTES }
  }

  /** Neighbouring parts, read from the disk and verified. Rejects with `StoreDamaged`. */
  async readParts(parts: readonly Part[]): Promise<Buffer> {
    const offset = parts[0]?.offset ?? 0
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
    const bytes = await this.#disk.read(sizeBytes, this.#base + offset).catch((error: unknown) => {
      throw isUnreadable(error) ? this.#damaged(offset, error.message) : error
    })
    if (bytes.length < sizeBytes) throw this.#damaged(offset, `${bytes.length} of ${sizeBytes} bytes are there`)
    for (const part of parts) {
      const start = part.offset - offset
      this.#checkSound(part.offset, bytes.subarray(start, start + part.sizeBytes))
    }
    return bytes
  }

  #indexBlock(top: number): Block {
    return this.#ringBlock(childOffset(this.#top, top), childSize(this.#top, top))
  }

  /** Good until the next one is read. */
  #ringBlock(offset: number, sizeBytes: number): Block {
    const held = this.#held.get(offset)
    if (held instanceof Block) return held
    const into = this.#ring.place(this.#held, offset, sizeBytes)
    const block = this.#block(offset, this.#read(offset, into ?? Buffer.allocUnsafeSlow(sizeBytes)))
    if (into !== undefined) this.#held.set(offset, block)
    return block
  }

  #block(offset: number, bytes: Buffer): Block {
    try {
      return new Block(bytes, checksumSeed(this.file.id, offset))
    } catch (error) {
      if (error instanceof MalformedBytes) throw this.#damaged(offset, error.message)
      throw error
    }
  }

  #pageIn(filter: Buffer, page: number): Buffer {
    const { pageSizeBytes } = this.#footer
    return filter.subarray(page * pageSizeBytes, (page + 1) * pageSizeBytes)
  }

  #checkPage(page: number, bytes: Buffer): void {
    this.#checkSound(this.#footer.filterOffset + page * this.#footer.pageSizeBytes, bytes)
  }

  #checkSound(offset: number, bytes: Buffer): void {
    if (!isSound(bytes, checksumSeed(this.file.id, offset))) throw this.#damaged(offset, 'its checksum is wrong')
  }

  /** All of `into`; a disk that cannot give what it has is as bad as one that gives something else. */
  #read(offset: number, into: Buffer): Buffer {
    assert(this.#holders > 0, () => `${this.path} is open: a scan is consumed before anything is awaited`)
    let size: number
    try {
      size = this.#disk.readSync(into, this.#base + offset)
    } catch (error) {
      throw isUnreadable(error) ? this.#damaged(offset, error.message) : error
    }
    if (size < into.length) throw this.#damaged(offset, `${size} of ${into.length} bytes are there`)
    return into
  }

  #damaged(offset: number, what: string): StoreDamaged {
    return new StoreDamaged(`${this.path}, block at ${offset}`, what)
  }
}

async function openFile(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, { create: false, isReadOnly: true })
  } catch (error) {
    if (isMissing(error)) throw new StoreDamaged(path, 'it is missing')
    throw error
  }
}

/** What is there cannot be read, now or ever. */
function isUnreadable(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'EIO'
}

function keyAt(block: Block, position: number): Buffer {
  const key = Buffer.allocUnsafeSlow(block.keySize(position))
  block.copyKey(position, key, 0)
  return key
}

/** Of the child that holds the key if any does. The first divider is below all keys, or the way here excludes it. */
function childFor(index: Block, key: Uint8Array): number {
  return Math.max(0, index.floor(key, key.length))
}

function childOffset(index: Block, position: number): number {
  return u48(index.bytes, index.valueAt(position))
}

function childSize(index: Block, position: number): number {
  return u32(index.bytes, index.valueAt(position) + 6)
}
