/**
 * Several runs as one: spans of rows that stand side by side in a block and come next of all, of each key the newest run's
 * row, removals included. Between the keys of the others a span is found by a search, not row by row.
 */
import { assert } from '../../../lib/assert.ts'
import type { Block } from './block.ts'
import type { RunCursor } from './cursor.ts'
import { compareSpans } from './format.ts'

export class Spans {
  /** In their order; of equal keys the newer run's is first. */
  readonly #cursors: RunCursor[] = []
  readonly #isReverse: boolean
  #taken = 0
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
    // What older runs say of the same key does not count.
    for (let second = this.#cursors[1]; second !== undefined; second = this.#cursors[1]) {
      if (compareHeads(first, second) !== 0) break
      second.skip(1)
      if (second.block === undefined) this.#cursors.splice(1, 1)
      else this.#place(1)
    }
    const { block } = first
    assert(block !== undefined, 'those at their ends are gone')
    this.from = first.from
    this.to = first.to
    const second = this.#cursors[1]
    if (second !== undefined) this.#limit(block, first.position, second)
    this.#taken = this.to - this.from
    return block
  }

  /** The block of the span is one that no other run reaches into, and stands there as a whole. */
  get isWholeBlock(): boolean {
    const [first] = this.#cursors
    return first?.isWhole === true && this.#taken === first.block?.count
  }

  #limit(block: Block, position: number, { head, headSize }: RunCursor): void {
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
    if (first.block === undefined) this.#cursors.shift()
    else this.#place(0)
  }

  /** Moves the cursor at `from` back to where its key belongs. */
  #place(from: number): void {
    const cursor = this.#cursors[from]
    assert(cursor !== undefined, 'there is a cursor to be placed')
    let position = from
    for (let next = this.#cursors[position + 1]; next !== undefined; next = this.#cursors[position + 1]) {
      const order = this.#isReverse ? compareHeads(next, cursor) : compareHeads(cursor, next)
      if (order < 0 || (order === 0 && cursor.age < next.age)) break
      this.#cursors[position++] = next
    }
    this.#cursors[position] = cursor
  }
}

function compareHeads(a: RunCursor, b: RunCursor): number {
  return compareSpans(a.head, 0, a.headSize, b.head, 0, b.headSize)
}
