/** A minute of what `npm run test:chaos` does for twenty: every kind of fault at least once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summary, runChaos } from './run.ts'

/** Another test file runs at the same time, so that elections may take longer. */
const RECOVERY_MS = 30_000
const OPTIONS = {
  seed: 2,
  forMs: 60_000,
  recoveryMs: RECOVERY_MS,
  clients: 6,
  pauseMs: 75,
  etcdctl: undefined,
  isKept: false,
}

test(
  'three processes under a minute of faults stay linearizable, agree and recover',
  { timeout: 180_000 },
  async (t) => {
    const result = await runChaos(OPTIONS)
    t.diagnostic(summary(OPTIONS, result))
    assert.deepEqual([result.problems, result.missed], [[], []], `schedule, logs and history: ${result.directory}`)
    assert.ok(result.operations.acknowledged > 200, `${result.operations.acknowledged} operations were acknowledged`)
  },
)
