import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { clone, isObject, type Json, type JsonObject, type KubeObject } from '../object.ts'
import { customTypes } from '../resources/custom.ts'
import { applyDefaults } from './default.ts'
import { uncompilable, validateRules } from './rules.ts'
import { makeSchema } from './schema.ts'
import { validateCustom } from './validate-custom.ts'

const CRD_FILE = join(import.meta.dirname, '..', '..', '..', 'crds', 'raftclusters.raftkv.dev.yaml')
const crd = parse(readFileSync(CRD_FILE, 'utf8')) as KubeObject
const [type] = customTypes(crd, {})
assert(type !== undefined)

/** As it is stored: with its defaults. */
function cluster(spec: JsonObject, more: JsonObject = {}): KubeObject {
  const object: JsonObject = {
    apiVersion: 'raftkv.dev/v1alpha1',
    kind: 'RaftCluster',
    metadata: { name: 'kv', namespace: 'default' },
    spec,
    ...more,
  }
  assert(type !== undefined)
  applyDefaults(object, type.schema, false)
  return object
}

function problems(object: KubeObject, existing?: KubeObject): string[] {
  assert(type !== undefined)
  return validateCustom(type, object, existing).map(({ field, message }) => `${field} | ${message.slice(0, 75)}`)
}

const SMALL = { replicas: 3, storage: { size: '1Gi' } }

test('every rule of our CRD compiles, and a good RaftCluster breaks none', () => {
  assert.deepEqual(uncompilable(crd), [])
  assert.deepEqual(problems(cluster(SMALL)), [])
  assert.deepEqual(problems(cluster({ ...SMALL, replicas: 5 }), cluster(SMALL)), [])
})

for (const [what, object, existing, wanted] of [
  [
    'a long name',
    cluster(SMALL, { metadata: { name: 'a'.repeat(41) } }),
    undefined,
    '<nil> | Invalid value: metadata.name must have at most 40 characters',
  ],
  [
    'a name for no Service',
    cluster(SMALL, { metadata: { name: '1kv' } }),
    undefined,
    '<nil> | Invalid value: metadata.name must start with a letter',
  ],
  ['an even number', cluster({ ...SMALL, replicas: 4 }), undefined, 'spec | Invalid value: replicas must be odd'],
  [
    'a size that shrinks',
    cluster({ ...SMALL, storage: { size: '900Mi' } }),
    cluster(SMALL),
    '<nil> | Invalid value: spec.storage.size cannot shrink',
  ],
  [
    'another class',
    cluster({ ...SMALL, storage: { size: '1Gi', storageClassName: 'fast' } }),
    cluster(SMALL),
    'spec | Invalid value: storage.storageClassName cannot change',
  ],
  [
    'another domain',
    cluster({ ...SMALL, clusterDomain: 'other.local' }),
    cluster(SMALL),
    'spec | Invalid value: clusterDomain cannot change',
  ],
  [
    'a short election',
    cluster({ ...SMALL, options: { electionTimeoutMs: 400, heartbeatMs: 100 } }),
    undefined,
    'spec | Invalid value: options.electionTimeoutMs must be',
  ],
  [
    'loss that nobody acknowledges',
    cluster({ ...SMALL, recovery: { request: { id: 'a', survivor: 'kv-0', acknowledgeDataLoss: false } } }),
    undefined,
    'spec.recovery.request.acknowledgeDataLoss | Invalid value: false: recovery',
  ],
  [
    'a size of nothing',
    cluster({ ...SMALL, storage: { size: '0' } }),
    undefined,
    'spec.storage.size | Invalid value: "0": storage.size must be a quantity',
  ],
  [
    'another cluster ID',
    cluster(SMALL, { status: { clusterID: '00000000000000ab' } }),
    cluster(SMALL, { status: { clusterID: '00000000000000aa' } }),
    '<nil> | Invalid value: status.clusterID is minted once',
  ],
  [
    'no cluster ID any more',
    cluster(SMALL),
    cluster(SMALL, { status: { clusterID: '00000000000000aa' } }),
    '<nil> | Invalid value: status.clusterID is minted once',
  ],
] as const) {
  // prettier-ignore
  test(`${what} is refused, with the field and what to do`, () => {
    const [first = 'nothing', ...more] = problems(object, existing)
    assert.ok(first.startsWith(wanted.slice(0, 80)), `${first}\n${wanted}`)
    assert.deepEqual(more, [])
  })
}

test('what has not changed is not refused on an update', () => {
  const even = cluster({ ...SMALL, replicas: 4 })
  assert.deepEqual(problems(even, clone(even)), [])
  assert.equal(problems(cluster({ ...SMALL, replicas: 4 }), cluster(SMALL)).length, 1)
})

test('rules wait until the structure is right', () => {
  assert.deepEqual(
    problems(cluster({ ...SMALL, replicas: 'four' })).map((line) => line.split(' | ')[0]),
    ['spec.replicas', '.spec.replicas', '<nil>'],
  )
})

function check(schema: JsonObject, value: Json, old?: Json): string[] {
  return validateRules(
    value,
    old,
    makeSchema(schema, () => ({})),
  ).map(({ field, reason, message }) => `${field} ${reason} ${message}`)
}

const withRule = (rule: JsonObject, more: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties: {
    n: { type: 'integer' },
    share: { type: 'number' },
    names: { type: 'array', items: { type: 'string' } },
  },
  'x-kubernetes-validations': [rule],
  ...more,
})

test('numbers are what the schema says, whatever JSON makes of them', () => {
  assert.deepEqual(check(withRule({ rule: 'self.n % 2 == 1' }), { n: 3 }), [])
  assert.deepEqual(check(withRule({ rule: 'self.share < 1.5' }), { share: 1 }), [])
})

test('message, messageExpression, reason and fieldPath', () => {
  const rule = { rule: 'self.n > 3', reason: 'FieldValueForbidden', fieldPath: '.n' }
  assert.deepEqual(check(withRule(rule), { n: 1 }), ['n FieldValueForbidden Forbidden: failed rule: self.n > 3'])
  const words = { ...rule, message: 'too small', messageExpression: "'only ' + string(self.n)" }
  assert.deepEqual(check(withRule(words), { n: 1 }), ['n FieldValueForbidden Forbidden: only 1'])
  assert.deepEqual(check(withRule({ ...words, messageExpression: 'self.names[0]' }), { n: 1 }), [
    'n FieldValueForbidden Forbidden: too small',
  ])
})

test('a rule that cannot be evaluated refuses, and says so', () => {
  assert.match(check(withRule({ rule: 'self.names[7] == "a"' }), { names: [] })[0] ?? '', /rule evaluation error/)
})

test('items of a keyed list are compared with what they were; others have no past', () => {
  const item = withRule({ rule: 'self.n >= oldSelf.n', message: 'back' })
  const list = (more: JsonObject): JsonObject => ({ type: 'array', items: item, ...more })
  const keyed = list({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['share'] })
  const [before, after] = [[{ share: 1, n: 5 }, { share: 2, n: 1 }], [{ share: 2, n: 0 }, { share: 1, n: 6 }]] // prettier-ignore
  assert.deepEqual(check(keyed, after, before), ['[0] FieldValueInvalid Invalid value: back'])
  assert.deepEqual(check(list({}), after, before), [])
})

test('a rule that is none is refused with its definition', () => {
  const bad = clone(crd)
  const [version] = (bad['spec'] as JsonObject)['versions'] as JsonObject[]
  assert(version !== undefined && isObject(version['schema']))
  version['schema']['openAPIV3Schema'] = { type: 'object', properties: { spec: withRule({ rule: 'self.n >' }) } }
  const [problem] = uncompilable(bad)
  assert.match(problem?.field ?? '', /openAPIV3Schema\.properties\[spec\]\.x-kubernetes-validations\[0\]\.rule$/)
  assert.match(problem?.message ?? '', /compilation failed/)
})
