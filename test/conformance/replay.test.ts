import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CASES } from './cases.ts'
import { DIFFERENCES } from './differences.ts'
import { describe, judge } from './compare.ts'
import { RECORDED_FILE } from './recorded.ts'
import { runCases, type Answers } from './run-cases.ts'
import { startSandbox } from './sandbox.ts'

const recorded = JSON.parse(readFileSync(RECORDED_FILE, 'utf8')) as Answers

test('the sandbox answers as the real kube-apiserver did when it was recorded', async (t) => {
  const target = await startSandbox()
  t.after(() => target.close())
  const answers = await runCases(target, CASES)
  assert.deepEqual(Object.keys(answers), Object.keys(recorded))
  for (const { name } of CASES)
    await t.test(name, () => assert.deepEqual(describe(judge(recorded[name], answers[name], DIFFERENCES[name])), []))
})

test('a difference is found, and one that is expected and gone, too', () => {
  const [real, sandbox] = [[{ status: 200, body: { a: 1, b: [1, 2] } }], [{ status: 200, body: { a: 2, b: [1] } }]]
  assert.equal(judge(real, sandbox).unexpected.length, 2)
  assert.deepEqual(judge(real, sandbox, { '0.body': 'x' }).unexpected, [])
  assert.deepEqual(judge(real, real, { '0.body': 'x' }).stale, ['0.body'])
})
