import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { assertFits } from './plant.ts'
import { plantings } from './plantings.ts'

test('every planted bug still fits the sources, and has a name and a program: npm run test:mutants runs them', () => {
  const all = plantings('1')
  for (const { mutant, program } of all) {
    assertFits(mutant)
    assert.ok(existsSync(program), program)
  }
  assert.ok(all.length > 100, `${all.length}`)
  assert.equal(new Set(all.map(({ mutant }) => mutant.name)).size, all.length)
})
