/**
 * Several runs as one: spans of rows that stand side by side in a block and come next of all, of each key the newest run's
 * row, removals included. Between the keys of the others a span is found by a search, not row by row.
 */
import { assert } from '../../../lib/assert.ts'
import type { Block } from './block.ts'
import type { RunCursor } from './cursor.ts'
import { sharedSize } from './format.ts'

export class Spans {
  /** In their order; of equal keys the newer run's is first. */
  readonly #cursors: RunCursor[] = []
  readonly #isReverse: boolean
  #taken = 0
  /** How much the keys of the first two have in common; below 0: not known. */
  #shared = -1
  /** The span: rows `from` up to and without `to`, to be read from its end when the direction is reverse. */
  from = 0
  to = 0

  constructor(cursors: readonly RunCursor[], isReverse: boolean) {
    this.#isReverse = isReverse
    for (const cursor of cursors) {
      if (cursor.block === undefined) continue
      this.#cursors.unshift(cursor)
      this.#place(0)
    }
  }

  /** Its block, until the next call. Undefined: at the end. */
  next(): Block | undefined {
    this.#leave()
    const [first] = this.#cursors
    if (first === undefined) return undefined
    const { block } = first
    assert(block !== undefined, 'those at their ends are gone')
    this.from = first.from
    this.to = first.to
    const second = this.#secondAfter(first)
    if (second !== undefined) this.#limit(block, first.position, second)
    this.#taken = this.to - this.from
    return block
  }

  /** The block of the span is one that no other run reaches into, and stands there as a whole. */
  get isWholeBlock(): boolean {
    const [first] = this.#cursors
    return first?.isWhole === true && this.#taken === first.block?.count
  }

  /** Rows behind the span, none of them a removal, that come before the keys of all other runs: they are not shown any more. */
  countBehind(): number {
    const [first, second] = this.#cursors
    if (first === undefined || this.to !== first.block?.count) return 0
    return first.countWholeBlocks(second?.head.subarray(0, second.headSize))
  }

  /** The next key of another run, and how much of it the first one's has: what older runs say of the same key does not count. */
  #secondAfter(first: RunCursor): RunCursor | undefined {
    for (let second = this.#cursors[1]; second !== undefined; second = this.#cursors[1]) {
      if (this.#shared < 0) this.#shared = sharedSize(first.head, first.headSize, second.head, second.headSize)
      if (this.#shared < first.headSize || this.#shared < second.headSize) return second
      this.#shared = -1
      second.skip(1)
      if (second.block === undefined) this.#cursors.splice(1, 1)
      else this.#place(1)
    }
    return undefined
  }

  #limit(block: Block, position: number, { head, headSize }: RunCursor): void {
    // It stands beyond the block when it does not begin as all of the block does.
    if (this.#shared < block.prefixSize) return
    if (!this.#isReverse) {
      this.to = Math.min(this.to, block.gallop(head, headSize, position + 1))
      return
    }
    const bound = block.lowerBound(head, headSize, 0)
    const isThere = bound < block.count && block.hasKey(bound, head, headSize)
    this.from = Math.max(this.from, isThere ? bound + 1 : bound)
  }

  #leave(): void {
    const [first] = this.#cursors
    if (first === undefined || this.#taken === 0) return
    first.skip(this.#taken)
    this.#taken = 0
    this.#shared = -1
    if (first.block === undefined) this.#cursors.shift()
    else this.#place(0)
  }

  /** Moves the cursor at `from` back to where its key belongs. */
  #place(from: number): void {
    const cursor = this.#cursors[from]
    assert(cursor !== undefined, 'there is a cursor to be placed')
    let position = from
    if (from === 0) this.#shared = -1
    for (let next = this.#cursors[position + 1]; next !== undefined; next = this.#cursors[position + 1]) {
      const shared = sharedSize(cursor.head, cursor.headSize, next.head, next.headSize)
      if (this.#comesFirst(cursor, next, shared)) {
        if (position === 0) this.#shared = shared
        break
      }
      this.#cursors[position++] = next
    }
    this.#cursors[position] = cursor
  }

  #comesFirst(a: RunCursor, b: RunCursor, shared: number): boolean {
    if (shared === a.headSize && shared === b.headSize) return a.age < b.age
    const isBelow = shared === a.headSize || (shared < b.headSize && (a.head[shared] ?? 0) < (b.head[shared] ?? 0))
    return isBelow !== this.#isReverse
  }
}
