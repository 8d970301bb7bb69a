/** What examples/ has would be accepted by the API server and read by the operator, and it says where its Secrets come from. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { parseRaftBackup, parseScheduledRaftBackup } from '../../operator/api/raft-backup.ts'
import { parseRaftCluster } from '../../operator/api/raft-cluster.ts'
import { isObject, type Json, type KubeObject, objectAt, textAt } from '../../sandbox/api-server/object.ts'
import { readDefinitions } from '../../sandbox/api-server/resources/built-in.ts'
import { customTypes } from '../../sandbox/api-server/resources/custom.ts'
import { applyDefaults } from '../../sandbox/api-server/schema/default.ts'
import { prune } from '../../sandbox/api-server/schema/prune.ts'
import { validateCustom } from '../../sandbox/api-server/schema/validate-custom.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const BUILT_IN = readDefinitions()
const TYPES = globSync('crds/*.yaml', { cwd: ROOT }).flatMap((path) => customTypes(parse(text(path)), BUILT_IN))
const EXAMPLES = globSync('examples/*.yaml', { cwd: ROOT })
const READ_BY_OPERATOR = new Map<string, (object: unknown) => { readonly ok: boolean }>([
  ['RaftCluster', parseRaftCluster],
  ['RaftBackup', parseRaftBackup],
  ['ScheduledRaftBackup', parseScheduledRaftBackup],
])
const OF_THE_API_SERVER = { namespace: 'ns', uid: 'u', resourceVersion: '1', creationTimestamp: '2030-01-01T00:00:00Z' }
/** Of the Prometheus operator: its CRD is not here. */
const OTHERS = new Set(['PodMonitor'])

function objectsIn(example: string): readonly KubeObject[] {
  return parseAllDocuments(text(example)).map((document) => document.toJS() as KubeObject)
}

const kindOf = (object: KubeObject): string => textAt(object, 'kind')

/** What the API server would say of it, strictly, and the operator. */
function problemsOf(object: KubeObject): readonly unknown[] {
  const kind = kindOf(object)
  const type = TYPES.find((one) => one.kind === kind)
  const read = READ_BY_OPERATOR.get(kind)
  if (type === undefined || read === undefined) return OTHERS.has(kind) ? [] : [`nobody knows ${kind}`]
  assert.equal(textAt(object, 'apiVersion'), `${type.group}/${type.version}`)
  const created = structuredClone(object)
  const unknown = prune(created, type.schema).map((field) => `unknown field ${field}`)
  applyDefaults(created, type.schema, false)
  const invalid = validateCustom(type, created, undefined)
  const parsed = read({ ...created, metadata: { ...OF_THE_API_SERVER, ...objectAt(created, 'metadata') } })
  return [...unknown, ...invalid, ...(parsed.ok ? [] : [parsed])]
}

function secretsIn(value: Json | undefined): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(secretsIn)
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, field]) =>
    name.endsWith('SecretRef') && isObject(field) ? [textAt(field, 'name')] : secretsIn(field),
  )
}

test('every object of an example is accepted, strictly, and read by the operator', () => {
  assert(EXAMPLES.length >= 4)
  for (const example of EXAMPLES)
    for (const object of objectsIn(example)) assert.deepEqual(problemsOf(object), [], `${example}: ${kindOf(object)}`)
})

test('a wrong field, a wrong value and a broken rule in an example would be found', () => {
  const [minimal] = objectsIn('examples/minimal.yaml')
  assert(minimal !== undefined && isObject(minimal['spec']))
  for (const wrong of [{ replica: 3 }, { replicas: 'three' }, { replicas: 2 }])
    assert.notDeepEqual(problemsOf({ ...minimal, spec: { ...minimal['spec'], ...wrong } }), [], JSON.stringify(wrong))
})

test('an example says how each Secret that it refers to is created', () => {
  for (const example of EXAMPLES) {
    const secrets = objectsIn(example).flatMap((object) => secretsIn(object))
    for (const secret of secrets)
      assert(text(example).includes(`kubectl create secret generic ${secret} `), `${example}: ${secret}`)
  }
})

test('the README of the examples lists them all', () => {
  const readme = text('examples/README.md')
  for (const example of EXAMPLES) assert(readme.includes(`[${basename(example)}](${basename(example)})`), example)
})
