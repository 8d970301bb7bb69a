/** A quarter of a minute of what `npm run test:torture` does for as long as you like. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFits } from '../mutants/plant.ts'
import { TORTURE_MUTANTS } from './planted.ts'
import { summary, tortureFor } from './seeds.ts'

test(
  'a store is what its commits say, whatever is done to it and whenever its process ends',
  { timeout: 120_000 },
  async (t) => {
    const result = await tortureFor({ firstSeed: 1, forMs: 15_000, maxSteps: 40 })
    t.diagnostic(summary(result))
    assert.equal(result.problem, undefined)
    assert.ok(result.commits > 10, `${result.commits} commits in 15 s`)
  },
)

test('the planted bugs still fit the sources: npm run test:mutants runs them', () => {
  for (const mutant of TORTURE_MUTANTS) assertFits(mutant)
})
