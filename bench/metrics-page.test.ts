import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sumOf } from './metrics-page.ts'

const PAGE = `# HELP gc_seconds Time.
# TYPE gc_seconds histogram
gc_seconds_sum{kind="major"} 1.5
gc_seconds_sum{kind="minor",of="a {b} c"} 0.25
gc_seconds_count{kind="major"} 7
gc_seconds_sum_of_others 9
lag 1e-3
`

test('all labels together, of that name alone', () => {
  assert.equal(sumOf(PAGE, 'gc_seconds_sum'), 1.75)
  assert.equal(sumOf(PAGE, 'lag'), 0.001)
  assert.equal(sumOf(PAGE, 'gc_seconds'), undefined)
})
