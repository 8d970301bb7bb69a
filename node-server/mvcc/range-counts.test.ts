import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_COUNTS, RangeCounts } from './range-counts.ts'
import type { KeyRange } from './read.ts'

const range = (start: string, end?: string): KeyRange => ({
  start: Buffer.from(start),
  end: end === undefined ? undefined : Buffer.from(end),
})

test('the nearest is the one that begins last before it, with the same end and at the same revision', () => {
  const counts = new RangeCounts()
  counts.set(range('a', 'z'), 7, 26)
  counts.set(range('c', 'z'), 7, 24)
  counts.set(range('x', 'z'), 7, 3)
  counts.set(range('d', 'y'), 7, 22)
  counts.set(range('d', 'z'), 8, 20)
  counts.set(range('d'), 7, 30)
  const nearest = (start: string, end?: string, revision = 7) => {
    const found = counts.nearest(range(start, end), revision)
    return found && [found.start.toString(), found.count]
  }
  assert.deepEqual(nearest('e', 'z'), ['c', 24])
  assert.deepEqual(nearest('c', 'z'), ['c', 24])
  assert.deepEqual(nearest('b', 'z'), ['a', 26])
  assert.deepEqual(nearest('A', 'z'), undefined)
  assert.deepEqual(nearest('e'), ['d', 30])
  assert.deepEqual(nearest('e', 'z', 9), undefined)
})

test('the newest are kept, and what was asked for lately counts as new', () => {
  const counts = new RangeCounts()
  for (let i = 0; i < MAX_COUNTS; i++) counts.set(range(`k${i}`), 1, i)
  assert.equal(counts.get(range('k0'), 1), 0)
  counts.set(range('one more'), 1, 5)
  assert.deepEqual(
    [counts.get(range('k0'), 1), counts.get(range('k1'), 1), counts.get(range('k2'), 1)],
    [0, undefined, 2],
  )
})
