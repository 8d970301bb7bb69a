import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReport } from './report.ts'

test('steps and checks are counted, missed figures are named; the closing line stands alone', async () => {
  const printed: string[] = []
  const report = createReport(
    (line) => printed.push(line),
    () => 0,
    { startedMs: 0, passed: 2 },
  )
  await report.step('good', async () => 1)
  await assert.rejects(
    report.step('bad', async () => Promise.reject(new Error('why'))),
    /why/,
  )
  report.check('sound', [])
  report.figure({ title: 'quick', value: 1, unit: 's', target: 1 })
  report.figure({ title: 'slow', value: 2, unit: 's', target: 1 })
  report.figure({ title: 'for information', value: 9, unit: 's' })
  assert.equal(report.close(), false)
  assert.match(printed.join('\n'), /FAILED {2}bad: why/)
  assert.match(printed.join('\n'), /MISSED {2}slow: 2 s \(target: 1 s or less\)/)
  assert.equal(printed.at(-1)?.split('\n').at(-1), '4 passed, 1 failed')
})
