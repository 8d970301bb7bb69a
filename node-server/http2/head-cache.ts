/**
 * Header blocks that a connection has brought before, with what was made of them. Clients send the same bytes with each
 * call of a method once their table has its fields; comparing a few bytes is less work than decoding them. Pure.
 */
const MAX_BLOCKS = 8
/** A longer block has something in it that will not come again. */
const MAX_BLOCK_BYTES = 64

interface Remembered<Meaning> {
  readonly bytes: Uint8Array
  readonly meaning: Meaning
}

export class HeadCache<Meaning> {
  readonly #blocks: Remembered<Meaning>[] = []
  #next = 0
  #version = 0

  /** `version` is the decoder's: with another one, no block means what it meant. */
  find(bytes: Uint8Array, start: number, end: number, version: number): Meaning | undefined {
    if (version !== this.#version) return undefined
    const blocks = this.#blocks
    for (let i = 0; i < blocks.length; i++) {
      const block = blocks[i]
      if (block !== undefined && isSame(block.bytes, bytes, start, end)) return block.meaning
    }
    return undefined
  }

  add(bytes: Uint8Array, start: number, end: number, version: number, meaning: Meaning): void {
    if (end - start > MAX_BLOCK_BYTES) return
    if (version !== this.#version) {
      this.#version = version
      this.#blocks.length = 0
      this.#next = 0
    }
    this.#blocks[this.#next] = { bytes: new Uint8Array(bytes.subarray(start, end)), meaning }
    this.#next = (this.#next + 1) % MAX_BLOCKS
  }
}

function isSame(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false
  return true
}
