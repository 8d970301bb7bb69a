import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'

const ROOT = join(import.meta.dirname, '..', '..')
const CHART = join(ROOT, 'charts', 'raftkv-operator')
const read = (...path: string[]): string => readFileSync(join(...path), 'utf8')

test('the CRDs in the chart are those in crds/, which Helm cannot reach: copy them there after a change', () => {
  const names = readdirSync(join(ROOT, 'crds')).filter((name) => name.endsWith('.yaml'))
  const template = read(CHART, 'templates', 'crd.yaml')
  assert.equal(names.length, 3)
  for (const name of names) {
    assert.equal(read(CHART, 'files', name), read(ROOT, 'crds', name))
    assert.ok(template.includes(`"${name.replace('.raftkv.dev.yaml', '')}"`), name)
  }
})

test('the chart installs the version of package.json', () => {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(read(ROOT, 'package.json')))
  assert.equal(z.object({ appVersion: z.string() }).parse(parse(read(CHART, 'Chart.yaml'))).appVersion, version)
})

test('the schema of the values knows exactly the values that there are', () => {
  const schema: unknown = JSON.parse(read(CHART, 'values.schema.json'))
  const { properties } = z.object({ properties: z.record(z.string(), z.unknown()) }).parse(schema)
  const values = z.record(z.string(), z.unknown()).parse(parse(read(CHART, 'values.yaml')))
  assert.deepEqual(Object.keys(properties).toSorted(), [...Object.keys(values), 'global'].toSorted()) // Helm's own
})

test('nothing is allowed to list Secrets, to run commands in pods, or to do everything', () => {
  const rules = read(CHART, 'templates', '_helpers.tpl').split('define "raftkv-operator.rules"')[1] ?? ''
  const secrets = /resources: \[secrets\]\n\s+verbs: \[([^\]]*)\]/.exec(rules)?.[1]
  assert.equal(secrets, 'get, create, patch')
  assert.doesNotMatch(rules, /\*|exec|escalate|impersonate|nodes/)
})

test('image.tag may be a number, as `--set image.tag=1` makes it one', () => {
  const tag = z.object({ type: z.array(z.string()), pattern: z.string() })
  const image = z.object({ properties: z.object({ tag }) })
  const schema = z.object({ properties: z.object({ image }) }).parse(JSON.parse(read(CHART, 'values.schema.json')))
  assert.deepEqual(schema.properties.image.properties.tag.type, ['string', 'integer'])
  const helper = read(CHART, 'templates', '_helpers.tpl').split('define "raftkv-operator.image"')[1] ?? ''
  assert.match(helper, /if not \(kindIs "string" \$tag\) \}\}\{\{ \$tag = int64 \$tag \| toString/)
})

test('a CRD that is another release’s is left to it', () => {
  assert.match(
    read(CHART, 'templates', 'crd.yaml'),
    /not \(include "raftkv-operator\.crdOwner" \(dict "root" \$ "name" \$name\)\)/,
  )
  assert.match(read(CHART, 'templates', 'NOTES.txt'), /meta\.helm\.sh\/release-namespace=\{\{ \$\.Release\.Namespace/)
})
