import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { SortedKeys } from './sorted-keys.ts'

const MANY = 20_000

/** In no order that a sort could use. */
const scattered = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => String((i * 7919) % count).padStart(6, '0'))

test('keys come in any order, are looked at in between, and are read in theirs, from either end', () => {
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '\u00ff'), maxLength: 4 })
  const pieces = fc.array(fc.array(key, { maxLength: 12 }), { maxLength: 8 })
  const range = fc.tuple(key, fc.option(key, { nil: undefined }))
  fc.assert(
    fc.property(pieces, range, (pieces, [low, high]) => {
      const keys = new SortedKeys()
      const added = new Set<string>()
      for (const piece of pieces) {
        for (const key of piece) {
          if (!added.has(key)) keys.add(key)
          added.add(key)
        }
        const expected = [...added].toSorted().filter((key) => key >= low && (high === undefined || key < high))
        assert.equal(keys.has(low, high), expected.length > 0)
        assert.deepEqual([...keys.keys(low, high, false)], expected)
        assert.deepEqual([...keys.keys(low, high, true)], expected.toReversed())
      }
    }),
    { numRuns: 1000 },
  )
})

const IN_ORDER = scattered(MANY).toSorted()

for (const [order, added] of [
  ['scattered', scattered(MANY)],
  ['ascending', IN_ORDER],
  ['descending', IN_ORDER.toReversed()],
] as const)
  test(`many keys that come ${order} are read in their order`, () => {
    const keys = new SortedKeys()
    for (const key of added) keys.add(key)
    assert.deepEqual([...keys.keys('', undefined, false)], IN_ORDER)
    assert.deepEqual([...keys.keys('000100', '000103', true)], ['000102', '000101', '000100'])
    assert.deepEqual([...keys.keys('000100', '000103', false)], ['000100', '000101', '000102'])
  })

test('what is being read is not changed by what is added meanwhile', () => {
  const keys = new SortedKeys()
  for (const key of scattered(100)) keys.add(key)
  const reading = keys.keys('', undefined, false)[Symbol.iterator]()
  reading.next()
  for (const key of scattered(MANY)) if (Number(key) >= 100) keys.add(key)
  assert.equal(keys.has('', undefined), true)
  let read = 1
  while (reading.next().done !== true) read += 1
  assert.equal(read, 100)
})
