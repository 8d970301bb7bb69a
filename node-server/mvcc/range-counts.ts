/**
 * How many keys ranges had at revisions: an answer that never changes. Whoever reads a long list asks for page after page
 * at one revision, each beginning where the one before ended, and each answer has the count of all that is left; with
 * what is kept here that costs nothing but the first time.
 */
import { textOfBytes } from './byte-text.ts'
import type { KeyRange } from './read.ts'

export const MAX_COUNTS = 256
/** Ranges with a longer bound are counted anew: all that is kept is at most a megabyte. */
const MAX_BOUND_SIZE_BYTES = 2048

export class RangeCounts {
  /** The one that was used longest ago first. */
  readonly #counts = new Map<string, number>()

  get(range: KeyRange, revision: number): number | undefined {
    const name = nameOf(range, revision)
    const count = name === undefined ? undefined : this.#counts.get(name)
    if (name === undefined || count === undefined) return undefined
    this.#counts.delete(name)
    this.#counts.set(name, count)
    return count
  }

  set(range: KeyRange, revision: number, count: number): void {
    const name = nameOf(range, revision)
    if (name === undefined) return
    this.#counts.delete(name)
    this.#counts.set(name, count)
    if (this.#counts.size <= MAX_COUNTS) return
    for (const oldest of this.#counts.keys()) {
      this.#counts.delete(oldest)
      return
    }
  }
}

/** Undefined: it is too long to be kept. */
function nameOf({ start, end }: KeyRange, revision: number): string | undefined {
  if (start.length > MAX_BOUND_SIZE_BYTES || (end !== undefined && end.length > MAX_BOUND_SIZE_BYTES)) return undefined
  const low = textOfBytes(start)
  return end === undefined ? `${revision} ${low}` : `${revision}:${low.length} ${low}${textOfBytes(end)}`
}
