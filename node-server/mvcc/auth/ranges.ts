/** Ranges of keys as a user may read or write them: in order, and merged, so that one range covers what several did together. */
import { compareBytes } from '../../../lib/bytes.ts'

/** Keys from `start` on and below `end`; `end` undefined: all from `start`. */
export interface KeyInterval {
  readonly start: Uint8Array
  readonly end: Uint8Array | undefined
}

/** Neither overlap nor touch, in key order. */
export type Ranges = readonly KeyInterval[]

/** The key and nothing else. */
export function pointRange(key: Uint8Array): KeyInterval {
  return { start: key, end: Buffer.concat([key, Buffer.of(0)]) }
}

export function mergeRanges(ranges: readonly KeyInterval[]): Ranges {
  const merged: KeyInterval[] = []
  for (const range of ranges.toSorted((a, b) => compareBytes(a.start, b.start))) {
    const last = merged.at(-1)
    const touches = last !== undefined && (last.end === undefined || compareBytes(range.start, last.end) <= 0)
    if (!touches) merged.push(range)
    else if (isEndBelow(last.end, range.end)) merged[merged.length - 1] = { start: last.start, end: range.end }
  }
  return merged
}

/** The one that has the key. */
export function rangeWith(ranges: Ranges, key: Uint8Array): KeyInterval | undefined {
  const candidate = ranges[firstAbove(ranges, key) - 1]
  return candidate !== undefined && isBelow(key, candidate.end) ? candidate : undefined
}

/** Whether every key of the range is in one of these. One that ends before it begins has none: its start counts (etcd). */
export function coversRange(ranges: Ranges, { start, end }: KeyInterval): boolean {
  const covering = rangeWith(ranges, start)
  return covering !== undefined && !isEndBelow(covering.end, end)
}

/** Index of the first range that starts above the key. */
function firstAbove(ranges: Ranges, key: Uint8Array): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const range = ranges[middle]
    if (range !== undefined && compareBytes(range.start, key) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** `end` undefined lies above every key. */
function isBelow(key: Uint8Array, end: Uint8Array | undefined): boolean {
  return end === undefined || compareBytes(key, end) < 0
}

function isEndBelow(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && isBelow(a, b)
}
