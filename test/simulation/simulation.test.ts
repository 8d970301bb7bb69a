/** Beside the 200 seeds with which `npm test` goes on: what must be so of single ones. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { operation, watchHistory } from './histories.ts'
import { runSeed } from './run-seed.ts'
import type { Run } from './simulation.ts'

/**
 * It has found a bug once: a member that was down while another was added and became leader could not answer it. So have 100 and
 * 135, which are among the 200. What a seed does changes with the simulation: transport.test.ts and the kill points of
 * test/recovery look for the same bugs.
 */
const FOUND = 355

function assertWell({ seed, failure }: Run): void {
  if (failure === undefined) return
  const { error, events } = failure
  assert.fail([`seed ${seed}: ${error.message}`, ...events, `npm run simulate -- store --seed ${seed}`].join('\n'))
}

function digest({ calls, watches, events }: Run): string {
  const text = JSON.stringify([calls.map(operation), watches.map(watchHistory), events])
  return createHash('sha256').update(text).digest('hex')
}

test(`seed ${FOUND} found a bug once`, async () => assertWell(await runSeed(FOUND)))

test('a seed gives the same run every time, to the bit', async () => {
  const [first, again, other] = [await runSeed(18), await runSeed(18), await runSeed(17)]
  assert.equal(digest(first), digest(again))
  assert.notEqual(digest(first), digest(other))
  assert.ok(first.calls.length > 100 && first.watches.length > 3)
})
