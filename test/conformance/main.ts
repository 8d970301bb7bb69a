/**
 * `npm run test:conformance`: the same requests to the sandbox's API server and to a real kube-apiserver, and every field of
 * the answers compared. `--record` keeps the real one's answers for replay.test.ts, `--programs DIR` names a folder with
 * etcd and kube; without it they are built from test/e2e/peers, which needs Go.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureApiServer } from '../e2e/machine/peers.ts'
import { createReport } from '../e2e/report.ts'
import { CASES } from './cases.ts'
import { DIFFERENCES } from './differences.ts'
import { describe, judge } from './compare.ts'
import { startReal } from './real.ts'
import { RECORDED_FILE } from './recorded.ts'
import { runCases, type Answers } from './run-cases.ts'
import { startSandbox } from './sandbox.ts'
import type { Target } from './case.ts'

const ROOT = join(import.meta.dirname, '..', '..')

const { values } = parseArgs({ options: { record: { type: 'boolean', default: false }, programs: { type: 'string' } } })
const real = await answersOf(await startReal(values.programs ?? (await build())))
const sandbox = await answersOf(await startSandbox())
let failed = 0
for (const { name } of CASES) {
  const verdict = judge(real[name], sandbox[name], DIFFERENCES[name])
  const lines = describe(verdict)
  if (lines.length === 0) continue
  failed += 1
  console.log(`${name}\n${lines.map((line) => `  ${line}`).join('\n')}`)
}
const requests = Object.values(real).reduce((sum, answers) => sum + answers.length, 0)
console.log(`${CASES.length} cases, ${requests} answers, ${failed} cases differ from what is expected`)
if (values.record) writeFileSync(RECORDED_FILE, `${JSON.stringify(real, undefined, 1)}\n`)
process.exitCode = failed === 0 ? 0 : 1

async function answersOf(target: Target): Promise<Answers> {
  try {
    return await runCases(target, CASES)
  } finally {
    await target.close()
  }
}

function build(): Promise<string> {
  const cache = join(ROOT, '.cache', 'e2e')
  mkdirSync(cache, { recursive: true })
  return ensureApiServer(createReport(console.log, Date.now), ROOT, cache)
}
