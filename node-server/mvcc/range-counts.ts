/**
 * How many keys ranges had at revisions: an answer that never changes. A client that reads a long list asks for page after page
 * at one revision, each beginning where the one before ended, or at the key behind that, and each answer has the count of all
 * that is left; with what is kept here that costs nothing but the first time.
 */
import { bytesOfText, textOfBytes } from './byte-text.ts'
import type { KeyRange } from './read.ts'

export const MAX_COUNTS = 256
/** Ranges with a longer bound are counted again: all that is kept is at most a megabyte. */
const MAX_BOUND_SIZE_BYTES = 2048

interface Kept {
  /** Of the end and the revision. */
  readonly name: string
  readonly low: string
  readonly count: number
}

export class RangeCounts {
  /** The one that was used longest ago first. */
  readonly #counts = new Map<string, Kept>()

  get(range: KeyRange, revision: number): number | undefined {
    const name = nameOf(range, revision)
    const kept = name === undefined ? undefined : this.#counts.get(name + textOfBytes(range.start))
    if (kept === undefined) return undefined
    this.#keep(kept)
    return kept.count
  }

  /** Of ranges with this end that begin before it, the one that begins last. */
  nearest(range: KeyRange, revision: number): { readonly start: Uint8Array; readonly count: number } | undefined {
    const name = nameOf(range, revision)
    if (name === undefined) return undefined
    const low = textOfBytes(range.start)
    let nearest: Kept | undefined
    for (const kept of this.#counts.values())
      if (kept.name === name && kept.low <= low && (nearest === undefined || kept.low > nearest.low)) nearest = kept
    return nearest && { start: bytesOfText(nearest.low), count: nearest.count }
  }

  set(range: KeyRange, revision: number, count: number): void {
    const name = nameOf(range, revision)
    if (name === undefined) return
    this.#keep({ name, low: textOfBytes(range.start), count })
    if (this.#counts.size <= MAX_COUNTS) return
    for (const oldest of this.#counts.keys()) {
      this.#counts.delete(oldest)
      return
    }
  }

  #keep(kept: Kept): void {
    const name = kept.name + kept.low
    this.#counts.delete(name)
    this.#counts.set(name, kept)
  }
}

/** Undefined: it is too long to be kept. */
function nameOf({ start, end }: KeyRange, revision: number): string | undefined {
  if (start.length > MAX_BOUND_SIZE_BYTES || (end !== undefined && end.length > MAX_BOUND_SIZE_BYTES)) return undefined
  return end === undefined ? `${revision} ` : `${revision}:${end.length} ${textOfBytes(end)}`
}
