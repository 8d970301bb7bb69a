import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { sortInSlices } from './sort-slices.ts'

test('the order is that of a stable sort; no more is compared at once than some times the steps', () => {
  const item = fc.record({ order: fc.integer({ min: 0, max: 9 }), name: fc.integer() })
  fc.assert(
    fc.property(fc.array(item, { maxLength: 100 }), fc.integer({ min: 1, max: 8 }), (items, steps) => {
      let compared = 0
      let most = 0
      const compare = (a: { order: number }, b: { order: number }): number => {
        compared += 1
        return a.order - b.order
      }
      const sorting = sortInSlices(items, compare, steps)
      let step = sorting.next()
      for (; step.done !== true; step = sorting.next()) {
        most = Math.max(most, compared)
        compared = 0
      }
      assert.deepEqual(
        step.value,
        items.toSorted((a, b) => a.order - b.order),
      )
      assert.ok(most <= 4 * steps + 4, `${most} comparisons for ${steps} steps`)
    }),
  )
})
