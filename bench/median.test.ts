import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median } from './median.ts'

test('the middle, whatever the order; the mean of two; nothing of nothing', () => {
  assert.equal(median([30, 1, 2]), 2)
  assert.equal(median([4, 100, 2, 1]), 3)
  assert.equal(median([7]), 7)
  assert.equal(median([]), undefined)
})
