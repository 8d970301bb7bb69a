import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Coverage } from './coverage.ts'
import { operation, watchHistory } from './histories.ts'
import { runSeed } from './run-seed.ts'
import type { Run } from './simulation.ts'

const SEEDS = 200

/**
 * Each has found a bug once. 355: a member that was down while another was added and became leader could not answer it.
 * 100, 135: a crash between the two directories of a rename, and while a new member's directory was made. What a seed does
 * changes with the simulation: transport.test.ts and the kill points of test/recovery hold the same bugs off.
 */
const FOUND = [355, 100, 135]

function assertWell({ seed, failure }: Run): void {
  if (failure === undefined) return
  const { error, events } = failure
  assert.fail([`seed ${seed}: ${error.message}`, ...events, `npm run simulate -- store --seed ${seed}`].join('\n'))
}

function digest({ calls, watches, events }: Run): string {
  const text = JSON.stringify([calls.map(operation), watches.map(watchHistory), events])
  return createHash('sha256').update(text).digest('hex')
}

test(`every invariant holds over ${SEEDS} seeds, and every fault and rare path is met`, async () => {
  const coverage = new Coverage()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = await runSeed(seed)
    assertWell(run)
    coverage.add(run.coverage.counts)
  }
  assert.deepEqual(coverage.missing, [])
})

for (const seed of FOUND) test(`seed ${seed} found a bug once`, async () => assertWell(await runSeed(seed)))

test('a seed gives the same run every time, to the bit', async () => {
  const [first, again, other] = [await runSeed(18), await runSeed(18), await runSeed(17)]
  assert.equal(digest(first), digest(again))
  assert.notEqual(digest(first), digest(other))
  assert.ok(first.calls.length > 100 && first.watches.length > 3)
})
