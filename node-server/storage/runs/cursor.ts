/** A way through the rows of one run, block by block, forwards or backwards. What it shows of a block stays as it is. */
import { assert } from '../../../lib/assert.ts'
import type { Block } from './block.ts'
import { compareSpans } from './format.ts'
import type { BlockPlace, RunReader } from './run-reader.ts'

/** What is read of a run at once: the more of it is wanted, the more, up to this. */
const MAX_READ_BYTES = 256 * 1024
const FIRST_READ_BYTES = 16 * 1024

/** Files in the order of their keys. */
export type OpenRun = readonly RunReader[]

export interface Bounds {
  readonly low: Uint8Array
  /** The first key that is not wanted any more; undefined: all are. */
  readonly high: Uint8Array | undefined
  readonly isReverse: boolean
}

/** The file of a run that can hold the key: the first that does not end below it; as many as there are when none does. */
export function fileFor(run: OpenRun, key: Uint8Array): number {
  let low = 0
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const last = run[middle]?.file.last
    assert(last !== undefined, 'the files are without gaps')
    if (compareSpans(last, 0, last.length, key, 0, key.length) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export class RunCursor {
  /** 0: of the newest run. */
  readonly age: number
  readonly #run: OpenRun
  readonly #bounds: Bounds
  readonly #firstReadBytes: number
  #file: number
  #place: BlockPlace = { top: 0, child: 0 }
  /** Blocks that were read and not shown yet. */
  #ahead: readonly Block[] = []
  #nextAhead = 0
  #readBytes = 0
  #block: Block | undefined
  /** The row that it stands at, and the last one wanted of the block in its direction, made one more. */
  position = 0
  /** A block was shown: those behind it are not before the beginning of the range. */
  #isInside = false
  #from = 0
  #to = 0
  /** The key of the row that it stands at: its first `headSize` bytes. */
  head: Buffer = Buffer.allocUnsafe(64)
  headSize = 0

  /** `firstReadBytes`: 0 reads the first block alone, through the ring. */
  constructor(run: OpenRun, age: number, bounds: Bounds, firstReadBytes = 0) {
    this.age = age
    this.#run = run
    this.#bounds = bounds
    this.#firstReadBytes = firstReadBytes
    const { low, high, isReverse } = bounds
    const start = isReverse ? high : low
    this.#file = start === undefined ? run.length - 1 : fileFor(run, start)
    if (isReverse && this.#file === run.length) this.#file--
    const reader = run[this.#file]
    if (reader === undefined) return
    this.#place = start === undefined ? lastPlace(reader) : reader.placeOf(start)
    this.#show(reader)
  }

  /** Undefined: at the end. */
  get block(): Block | undefined {
    return this.#block
  }

  /** Rows of the block that are wanted, in the direction of the cursor: `from` up to and without `to`. */
  get from(): number {
    return this.#bounds.isReverse ? this.#from : this.position
  }

  get to(): number {
    return this.#bounds.isReverse ? this.position + 1 : this.#to
  }

  /** The block is shown from its beginning to its end. */
  get isWhole(): boolean {
    return this.#block !== undefined && this.position === 0 && this.#to === this.#block.count
  }

  /** So many rows on, at most as many as the block still has. */
  skip(rows: number): void {
    const block = this.#block
    assert(block !== undefined, 'it is not at its end')
    if (this.#bounds.isReverse) {
      this.position -= rows
      if (this.position >= this.#from) return this.#takeNextHead(block)
    } else {
      this.position += rows
      if (this.position < this.#to) return this.#takeNextHead(block)
    }
    const endsHere = this.#bounds.isReverse ? this.#from > 0 : this.#to < block.count
    if (endsHere) this.#block = undefined
    else this.#next()
  }

  /**
   * From a cursor that goes forwards: how many rows of the range are ahead and no removals. Blocks that lie in the range as a
   * whole are counted by the index. It is at its end afterwards.
   */
  countLive(): number {
    let live = 0
    for (let block = this.#block; block !== undefined; block = this.#block) {
      live += block.liveRows(this.position, this.#to)
      live += this.countWholeBlocks()
      this.skip(this.#to - this.position)
    }
    return live
  }

  /**
   * From a cursor that goes forwards: how many rows are in blocks without removals of the file at hand that come behind this
   * one and end before the range does, and before `limit`. What comes next is behind the last one of them.
   */
  countWholeBlocks(limit?: Uint8Array): number {
    if (this.#block === undefined || this.#to < this.#block.count) return 0
    const { high } = this.#bounds
    const reader = this.#run[this.#file]
    assert(reader !== undefined, 'it is not at its end')
    const below = limit ?? high
    const end = below === undefined ? lastPlace(reader) : reader.placeOf(below)
    let live = 0
    let next = placeBehind(reader, this.#place)
    const first = next
    while (next !== undefined) {
      const under = next.child === 0 && next.top < end.top ? reader.rowsUnder(next.top) : undefined
      const isWhole = next.top < end.top || (next.top === end.top && next.child < end.child)
      const rows = under ?? (isWhole ? reader.rowsAt(next) : undefined)
      if (rows === undefined) break
      live += rows
      next = under === undefined ? placeBehind(reader, next) : { top: next.top + 1, child: 0 }
    }
    if (next === undefined || next === first) return live
    const last = placeBefore(reader, next)
    assert(last !== undefined, 'at least one block was counted')
    this.#place = last
    this.#ahead = []
    return live
  }

  #takeHead(block: Block): void {
    const size = block.keySize(this.position)
    if (size > this.head.length) this.head = Buffer.allocUnsafe(2 * size)
    block.copyKey(this.position, this.head, 0)
    this.headSize = size
  }

  /** Of a row of the same block: the prefix is there already. */
  #takeNextHead(block: Block): void {
    const size = block.keySize(this.position)
    if (size > this.head.length) return this.#takeHead(block)
    block.copyRest(this.position, this.head)
    this.headSize = size
  }

  /** Goes to the next block in its direction. */
  #next(): void {
    this.#block = undefined
    const reader = this.#run[this.#file]
    if (reader === undefined) return
    const next = this.#bounds.isReverse ? placeBefore(reader, this.#place) : placeBehind(reader, this.#place)
    if (next !== undefined) {
      this.#place = next
      return this.#show(reader)
    }
    this.#file += this.#bounds.isReverse ? -1 : 1
    const neighbour = this.#run[this.#file]
    if (neighbour === undefined) return
    this.#place = this.#bounds.isReverse ? lastPlace(neighbour) : { top: 0, child: 0 }
    this.#ahead = []
    this.#show(neighbour)
  }

  /** The block at the place, where the wanted rows of it begin; on when there are none, or at the end of the range. */
  #show(reader: RunReader): void {
    const { low, high, isReverse } = this.#bounds
    const block = this.#take(reader)
    const last = block.count
    const from = this.#isInside && !isReverse ? 0 : block.lowerBound(low, low.length, 0)
    const to = high === undefined || (this.#isInside && isReverse) ? last : block.countBelow(high, high.length)
    this.#isInside = true
    this.#block = block
    this.#from = from
    this.#to = to
    this.position = isReverse ? to - 1 : from
    if (from < to) return this.#takeHead(block)
    // Nothing of it is wanted: the range begins in the next block, or lies between two rows of this one, or has ended.
    if (isReverse ? to === 0 : to === last) this.#next()
    else this.#block = undefined
  }

  #take(reader: RunReader): Block {
    if (this.#nextAhead >= this.#ahead.length) {
      if (this.#readBytes === 0 && this.#firstReadBytes === 0) {
        this.#readBytes = FIRST_READ_BYTES
        return reader.blockAt(this.#place)
      }
      if (this.#readBytes === 0) this.#readBytes = this.#firstReadBytes
      this.#ahead = reader.blocksAt(this.#place, this.#readBytes, this.#bounds.isReverse)
      this.#nextAhead = 0
      this.#readBytes = Math.min(this.#readBytes * 2, MAX_READ_BYTES)
    }
    const block = this.#ahead[this.#nextAhead++]
    assert(block !== undefined, 'at least one block was read')
    return block
  }
}

function lastPlace(reader: RunReader): BlockPlace {
  const top = reader.topCount - 1
  return { top, child: reader.childCount(top) - 1 }
}

function placeBehind(reader: RunReader, { top, child }: BlockPlace): BlockPlace | undefined {
  if (child + 1 < reader.childCount(top)) return { top, child: child + 1 }
  return top + 1 < reader.topCount ? { top: top + 1, child: 0 } : undefined
}

function placeBefore(reader: RunReader, { top, child }: BlockPlace): BlockPlace | undefined {
  if (child > 0) return { top, child: child - 1 }
  return top > 0 ? { top: top - 1, child: reader.childCount(top - 1) - 1 } : undefined
}
