/** What is written from the CRDs and from the charts' values is as they are now. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generated } from '../../charts/generate.ts'
import { AS_IN_KUBERNETES } from '../../crds/kubernetes-types.ts'
import { referencePage } from '../../crds/reference.ts'
import { kindOf, PLURALS, type Schema } from '../../crds/schema.ts'

const ROOT = join(import.meta.dirname, '..', '..')

test('docs/reference.md has every field of the CRDs', () => {
  const advice = 'write it again: node crds/reference.ts > docs/reference.md'
  assert.equal(readFileSync(join(ROOT, 'docs', 'reference.md'), 'utf8'), referencePage(), advice)
})

test('every field of the CRDs says what it is', () => {
  assert.deepEqual(
    PLURALS.flatMap((plural) => {
      const { spec = {}, status = {} } = kindOf(plural).schema.properties ?? {}
      return undescribed({ properties: { spec, status } }, plural)
    }),
    [],
  )
})

/** What is as in Kubernetes is described there. */
function undescribed({ properties = {} }: Schema, path: string): readonly string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const own = `${path}.${name}`
    const inner = own.replace(/^\w+\.spec\./, '') in AS_IN_KUBERNETES ? {} : (field.items ?? field)
    return [...(field.description === undefined ? [own] : []), ...undescribed(inner, own)]
  })
}

for (const [path, text] of generated())
  test(`charts/${path} is what the values and the CRDs say`, () => {
    assert.equal(readFileSync(join(ROOT, 'charts', path), 'utf8'), text, 'write it again: node charts/generate.ts')
  })
