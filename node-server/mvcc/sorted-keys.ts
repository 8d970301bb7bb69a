/**
 * Different strings that come in any order and are read in theirs. Most come many at a time and are read once, so they are
 * sorted together and then lie in runs, each more than twice as long as the next: a new one is merged with those that are not
 * much longer. Those that come in their order stay one run.
 */

/** Between two looks so many wait to be sorted: less than a millisecond. */
const MAX_UNSORTED = 1024

/** From one position of a run up to and without another. */
interface Cursor {
  readonly run: readonly string[]
  at: number
  end: number
}

export class SortedKeys {
  /** Each in order. */
  readonly #runs: string[][] = []
  #unsorted: string[] = []

  /** It was not added before. */
  add(key: string): void {
    this.#unsorted.push(key)
    if (this.#unsorted.length === MAX_UNSORTED) this.#sort()
  }

  #sort(): void {
    if (this.#unsorted.length === 0) return
    let run = this.#unsorted.toSorted(compareStrings)
    this.#unsorted = []
    for (let last = this.#runs.at(-1); last !== undefined; last = this.#runs.at(-1)) {
      if (last.length > 2 * run.length && !isBehind(run, last)) break
      this.#runs.pop()
      run = merged(last, run)
    }
    this.#runs.push(run)
  }

  has(low: string, high: string | undefined): boolean {
    return this.#cursors(low, high).length > 0
  }

  /** From `low` on and below `high` (undefined: all). Nothing is added while they are read. */
  *keys(low: string, high: string | undefined, isReverse: boolean): Iterable<string> {
    const cursors = this.#cursors(low, high)
    for (let next = first(cursors, isReverse); next !== undefined; next = first(cursors, isReverse)) {
      yield headOf(next, isReverse)
      if (isReverse) next.end--
      else next.at++
      if (next.at === next.end) cursors.splice(cursors.indexOf(next), 1)
    }
  }

  /** Of those runs that have some of them. */
  #cursors(low: string, high: string | undefined): Cursor[] {
    this.#sort()
    const cursors: Cursor[] = []
    for (const run of this.#runs) {
      const at = lowerBound(run, low)
      const end = high === undefined ? run.length : lowerBound(run, high)
      if (at < end) cursors.push({ run, at, end })
    }
    return cursors
  }
}

function first(cursors: readonly Cursor[], isReverse: boolean): Cursor | undefined {
  let first = cursors[0]
  for (let i = 1; i < cursors.length; i++) {
    const cursor = cursors[i]
    if (first === undefined || cursor === undefined) break
    if (headOf(cursor, isReverse) < headOf(first, isReverse) !== isReverse) first = cursor
  }
  return first
}

function headOf({ run, at, end }: Cursor, isReverse: boolean): string {
  return run[isReverse ? end - 1 : at] ?? ''
}

/** How many stand before `key`. */
function lowerBound(run: readonly string[], key: string): number {
  let low = 0
  for (let high = run.length; low < high;) {
    const middle = (low + high) >>> 1
    if ((run[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}

function isBehind(run: readonly string[], before: readonly string[]): boolean {
  return (before.at(-1) ?? '') < (run[0] ?? '')
}

/** Takes what the first was. */
function merged(a: string[], b: readonly string[]): string[] {
  if (isBehind(b, a)) {
    for (const key of b) a.push(key)
    return a
  }
  const all: string[] = []
  let i = 0
  for (const key of b) {
    for (let other = a[i]; other !== undefined && other < key; other = a[++i]) all.push(other)
    all.push(key)
  }
  for (; i < a.length; i++) all.push(a[i] ?? '')
  return all
}

function compareStrings(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
