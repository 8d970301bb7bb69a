import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyProblem } from './check.ts'
import { generate } from './generate.ts'
import { fromLines, toLines } from './json-lines.ts'

test('a history survives its way through a file, and is checked the same', () => {
  const operations = generate({ seed: 3, operations: 100, clients: 4, unknown: 0.1 })
  const history = { operations, watches: [] }
  const read = fromLines(toLines(history))
  assert.deepEqual(read, history)
  assert.equal(historyProblem(read), undefined)
  assert.throws(() => fromLines('{"some":"thing"}\n'), /line 1 is neither/)
})
