/**
 * Blocks that were read lately, in one ring of memory: the newest takes the place of the oldest. What is read of one must be
 * copied before the next one is put in, unless the block was lent: then it keeps its bytes, in a copy of its own.
 */
import { assert } from '../../../lib/assert.ts'
import { Block } from './block.ts'

/** The blocks of one file that are in the ring, or its filter pages, by their offsets. */
export type Held = Map<number, Block | Buffer>

interface Slot {
  readonly held: Held
  readonly offset: number
  readonly start: number
}

export class BlockRing {
  readonly #ring: Buffer
  /** What is in the ring, oldest first, from `#oldest` on. */
  #slots: Slot[] = []
  #oldest = 0
  #next = 0

  constructor(sizeBytes: number) {
    this.#ring = Buffer.allocUnsafeSlow(sizeBytes)
  }

  /** Where to read a block to before it is set in `held`; undefined when it is too large to be kept. */
  place(held: Held, offset: number, sizeBytes: number): Buffer | undefined {
    if (sizeBytes > this.#ring.length / 8) return undefined
    if (this.#next + sizeBytes > this.#ring.length) {
      this.#evict(this.#next, this.#ring.length)
      this.#next = 0
    }
    const start = this.#next
    this.#next += sizeBytes
    this.#evict(start, this.#next)
    this.#slots.push({ held, offset, start })
    return this.#ring.subarray(start, this.#next)
  }

  #evict(from: number, to: number): void {
    for (; this.#oldest < this.#slots.length; this.#oldest++) {
      const slot = this.#slots[this.#oldest]
      assert(slot !== undefined, 'the slots are without gaps')
      if (slot.start < from || slot.start >= to) break
      const held = slot.held.get(slot.offset)
      if (held instanceof Block) held.keep()
      slot.held.delete(slot.offset)
    }
    if (this.#oldest < 1024 || this.#oldest < this.#slots.length / 2) return
    this.#slots = this.#slots.slice(this.#oldest)
    this.#oldest = 0
  }
}
