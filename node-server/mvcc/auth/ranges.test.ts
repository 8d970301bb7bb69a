import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { compareBytes } from '../../../lib/bytes.ts'
import { coversRange, mergeRanges, pointRange, rangeWith, type KeyInterval } from './ranges.ts'

const b = (text: string): Buffer => Buffer.from(text)
const between = (start: string, end: string | undefined): KeyInterval => ({
  start: b(start),
  end: end === undefined ? undefined : b(end),
})

test('what touches or overlaps becomes one; the rest stays apart, in order', () => {
  const merged = mergeRanges([
    between('m', 'n'),
    between('a', 'c'),
    between('b', 'd'),
    between('d', 'e'),
    pointRange(b('x')),
  ])
  assert.deepEqual(merged, [between('a', 'e'), between('m', 'n'), between('x', 'x\0')])
  assert.deepEqual(mergeRanges([between('b', 'c'), between('a', undefined), between('z', undefined)]), [
    between('a', undefined),
  ])
})

test('a range that ends before it begins has no keys: where it begins counts', () => {
  const ranges = mergeRanges([between('b', 'm')])
  assert.equal(coversRange(ranges, between('f', 'c')), true)
  assert.equal(coversRange(ranges, between('f', 'a')), true)
  assert.equal(coversRange(ranges, between('f', 'f')), true)
  assert.equal(coversRange(ranges, between('n', 'c')), false)
})

test('merged ranges say of every key and every range what the ranges together say', () => {
  const keys = ['a', 'a\0', 'ab', 'b', 'b\0', 'c', 'd', 'ÿ'].map(b)
  const key = fc.constantFrom(...keys)
  const end = fc.option(key, { nil: undefined })
  const interval = fc
    .record({ start: key, end })
    .filter(({ start, end }) => end === undefined || compareBytes(start, end) < 0)
  const has = ({ start, end }: KeyInterval, asked: Uint8Array): boolean =>
    compareBytes(start, asked) <= 0 && (end === undefined || compareBytes(asked, end) < 0)
  // Between two of the keys, and above the last one, a range has all or none.
  const samples = [...keys, ...keys.map((each) => Buffer.concat([each, b('\0\0')])), Buffer.of(0xff, 0xff)]
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 5 }), interval, (ranges, asked) => {
      const merged = mergeRanges(ranges)
      for (const each of samples)
        assert.equal(
          rangeWith(merged, each) !== undefined,
          ranges.some((range) => has(range, each)),
        )
      const isCovered = samples
        .filter((each) => has(asked, each))
        .every((each) => ranges.some((range) => has(range, each)))
      assert.equal(coversRange(merged, asked), isCovered)
    }),
    { numRuns: 500 },
  )
})
