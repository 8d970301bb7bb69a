import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CATCH_UP_MUTANTS } from './catch-up-mutants.ts'
import { FULL_DISK_MUTANTS } from './full-disk-mutants.ts'
import { ETCD_MUTANTS, ETCD_MUTANTS_OF_TESTS } from './etcd-mutants.ts'
import { LARGE_MUTANTS } from './large-mutants.ts'
import { assertFits } from './plant.ts'
import { RECONFIGURATION_MUTANTS } from './reconfiguration-mutants.ts'
import { STORE_MUTANTS } from './store-mutants.ts'

test('every planted bug still fits the sources: npm run test:mutants runs them', () => {
  const etcd = [...ETCD_MUTANTS, ...ETCD_MUTANTS_OF_TESTS.map(({ mutant }) => mutant)]
  const all = [
    ...STORE_MUTANTS,
    ...RECONFIGURATION_MUTANTS,
    ...CATCH_UP_MUTANTS,
    ...FULL_DISK_MUTANTS,
    ...LARGE_MUTANTS,
    ...etcd,
  ]
  for (const mutant of all) assertFits(mutant)
  assert(STORE_MUTANTS.length >= 24)
  assert.equal(new Set(all.map(({ name }) => name)).size, all.length)
})
