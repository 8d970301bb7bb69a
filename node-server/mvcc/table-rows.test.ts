import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { TableRows } from './table-rows.ts'

const MANY = 20_000
const VALUE = Buffer.from('v')

/** In no order that a sort could use. */
const scattered = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => String((i * 7919) % count).padStart(6, '0'))
const IN_ORDER = scattered(MANY).toSorted()

/** The lower half and the upper one, each in its order, in turn. */
function interleaved(keys: readonly string[]): readonly string[] {
  const upper = keys.slice(keys.length / 2)
  return upper.flatMap((key, i) => [key, keys[i] ?? ''])
}

function keysIn(rows: TableRows, low: string, high: string | undefined, isReverse: boolean): readonly string[] {
  return Array.from(rows.inOrder(low, high, isReverse), ({ key }) => key)
}

test('rows are written in any order, some again, and are found and read in the order of their keys, from either end', () => {
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '\u00ff'), minLength: 1, maxLength: 4 })
  const pieces = fc.array(fc.array(key, { maxLength: 12 }), { maxLength: 8 })
  const range = fc.tuple(key, fc.option(key, { nil: undefined }))
  fc.assert(
    fc.property(pieces, range, (pieces, [low, high]) => {
      const rows = new TableRows()
      const written = new Map<string, Buffer>()
      for (const piece of pieces) {
        for (const key of piece) {
          const value = Buffer.from(`${written.size}`)
          rows.set(key, value)
          written.set(key, value)
          assert.equal(rows.find(`${key}a`)?.value, written.get(`${key}a`))
        }
        for (const [key, value] of written) assert.equal(rows.find(key)?.value, value)
        const keys = [...written.keys()].toSorted()
        const expected = keys.filter((key) => key >= low && (high === undefined || key < high))
        assert.equal(rows.has(low, high), expected.length > 0)
        assert.deepEqual(
          Array.from(rows.inOrder(low, high, false), ({ key, value }) => [key, value]),
          expected.map((key) => [key, written.get(key)]),
        )
        assert.deepEqual(keysIn(rows, low, high, true), expected.toReversed())
      }
    }),
    { numRuns: 1000 },
  )
})

for (const [order, written] of [
  ['scattered', scattered(MANY)],
  ['ascending', IN_ORDER],
  ['descending', IN_ORDER.toReversed()],
  ['ascending below others that do so too', interleaved(IN_ORDER)],
] as const)
  test(`many rows that come ${order} are read in the order of their keys`, () => {
    const rows = new TableRows()
    for (const key of written) rows.set(key, VALUE)
    assert.deepEqual(keysIn(rows, '', undefined, false), IN_ORDER)
    assert.deepEqual(keysIn(rows, '000100', '000103', true), ['000102', '000101', '000100'])
    assert.deepEqual(keysIn(rows, '000100', '000103', false), ['000100', '000101', '000102'])
  })
