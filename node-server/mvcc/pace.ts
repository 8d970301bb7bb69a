/**
 * Long work yields: it is a generator that yields at the end of each slice, and its driver lets others have
 * their turn in between. Without a need for that it is driven to its end at once.
 */
export type Slices<Result> = Generator<undefined, Result, undefined>

/** Rows that one slice visits, about: 1 to 2 ms. */
export const SLICE_ROWS = 500
/** Of values, which are read and kept. */
const SLICE_BYTES = 1024 * 1024

/** How much of its slice the work has done, whatever it consists of. */
export class Pace {
  readonly #sliceRows: number
  #rows = 0
  #sizeBytes = 0

  constructor(sliceRows = SLICE_ROWS) {
    this.#sliceRows = sliceRows
  }

  /** At least 1. */
  get rowsLeft(): number {
    return Math.max(1, this.#sliceRows - this.#rows)
  }

  /** Notes what was done. True: the slice is over, yield. */
  spend(rows: number, sizeBytes = 0): boolean {
    this.#rows += rows
    this.#sizeBytes += sizeBytes
    if (this.#rows < this.#sliceRows && this.#sizeBytes < SLICE_BYTES) return false
    this.#rows = 0
    this.#sizeBytes = 0
    return true
  }
}

/** For callers that do not yield. */
export function toItsEnd<Result>(slices: Generator<unknown, Result, undefined>): Result {
  for (;;) {
    const slice = slices.next()
    if (slice.done === true) return slice.value
  }
}
