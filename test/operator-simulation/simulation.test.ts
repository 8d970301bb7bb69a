import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFits } from '../mutants/plant.ts'
import { runCrashPoint } from './crash-points.ts'
import { MUTANTS } from './planted.ts'
import { runSeed } from './run-seed.ts'

/** Seeds that failed once, for bugs that are fixed since: in the operator, or in this world. */
const REGRESSIONS = [
  7, 10, 32, 93, 199, 297, 307, 329, 434, 3018, 1, 258, 108, 136, 420, 960, 30, 218, 2794, 519, 719, 3539,
]

test('a seed decides everything: the same events, call by call', async () => {
  for (const seed of [5, 119]) {
    const [once, again] = [await runSeed(seed), await runSeed(seed)]
    assert.deepEqual(again, once)
    assert(once.calls > 10)
  }
})

test('seeds that found something once', async () => {
  for (const seed of REGRESSIONS) {
    const { failure } = await runSeed(seed)
    assert.equal(failure?.error.message, undefined, `seed ${seed}`)
  }
})

test('the operator ends right after each single call of a whole life, and every time it all comes true', async () => {
  const whole = await runCrashPoint(undefined)
  assert.equal(whole.failure?.error.message, undefined)
  assert(whole.calls > 80, `${whole.calls} calls`)
  for (let call = 1; call <= whole.calls; call++) {
    // Right before a call is where it was right after the one before: the seeds do that by chance.
    const { failure } = await runCrashPoint({ call, when: 'after' })
    assert.equal(failure?.error.message, undefined, `ends after call ${call}`)
  }
})

test('every planted bug still fits the sources: npm run test:mutants runs them', () => {
  for (const mutant of MUTANTS) assertFits(mutant)
  assert(MUTANTS.length >= 15)
})
