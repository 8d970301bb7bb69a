import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { addDue, takeDue, type Due } from './deadlines.ts'

test('what is due comes out, earliest first, and nothing else does: as a sorted list would have it', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), atMs: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ kind: fc.constant('take' as const), atMs: fc.integer({ min: 0, max: 30 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const heap: Due[] = []
      let naive: number[] = []
      for (const { kind, atMs } of steps) {
        if (kind === 'add') {
          addDue(heap, { dueMs: atMs })
          naive = [...naive, atMs].toSorted((a, b) => a - b)
          continue
        }
        const expected = naive[0] !== undefined && naive[0] <= atMs ? naive.shift() : undefined
        assert.equal(takeDue(heap, atMs)?.dueMs, expected)
      }
      assert.equal(heap.length, naive.length)
    }),
  )
})
