/** What is written from the CRDs and from the charts' values is as they are now. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generated } from '../../charts/generate.ts'
import { referencePage } from '../../crds/reference.ts'

const ROOT = join(import.meta.dirname, '..', '..')

test('docs/reference.md has every field of the CRDs', () => {
  const advice = 'write it again: node crds/reference.ts > docs/reference.md'
  assert.equal(readFileSync(join(ROOT, 'docs', 'reference.md'), 'utf8'), referencePage(), advice)
})

for (const [path, text] of generated())
  test(`charts/${path} is what the values and the CRDs say`, () => {
    assert.equal(readFileSync(join(ROOT, 'charts', path), 'utf8'), text, 'write it again: node charts/generate.ts')
  })
