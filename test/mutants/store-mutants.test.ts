import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CATCH_UP_MUTANTS } from './catch-up-mutants.ts'
import { assertFits } from './plant.ts'
import { RECONFIGURATION_MUTANTS } from './reconfiguration-mutants.ts'
import { RUNS_MUTANTS } from './runs-mutants.ts'
import { STORE_MUTANTS } from './store-mutants.ts'

test('every planted bug still fits the sources: npm run test:mutants runs them', () => {
  for (const mutant of [...STORE_MUTANTS, ...RECONFIGURATION_MUTANTS, ...CATCH_UP_MUTANTS, ...RUNS_MUTANTS])
    assertFits(mutant)
  assert(STORE_MUTANTS.length >= 24)
  assert.equal(new Set(STORE_MUTANTS.map(({ name }) => name)).size, STORE_MUTANTS.length)
})
