/**
 * A RaftCluster with every field wrong in turn, made from the schema: the API server and the operator must agree about each. What one
 * takes and the other does not would be a cluster that nobody reconciles, or one with a spec that nobody checked.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { AS_IN_KUBERNETES } from '../../crds/kubernetes-types.ts'
import { parseRaftCluster } from '../../operator/api/raft-cluster.ts'
import { isObject, type Json, type JsonObject, type KubeObject } from '../../sandbox/api-server/object.ts'
import { customTypes } from '../../sandbox/api-server/resources/custom.ts'
import { applyDefaults } from '../../sandbox/api-server/schema/default.ts'
import type { Schema } from '../../sandbox/api-server/schema/schema.ts'
import { validateCustom } from '../../sandbox/api-server/schema/validate-custom.ts'

const CRD_FILE = join(import.meta.dirname, '..', '..', 'crds', 'raftclusters.raftkv.dev.yaml')
const [type] = customTypes(parse(readFileSync(CRD_FILE, 'utf8')) as KubeObject, {})
const specSchema = type?.schema.property('spec')
assert(type !== undefined && specSchema !== undefined)

/** Names everything that is required on the way to a field. */
const WHOLE: JsonObject = {
  replicas: 3,
  image: { pullSecrets: [{ name: 's' }] },
  storage: { autogrow: { by: '1Gi', to: '20Gi' } },
  maintenance: { defragmentation: { schedule: '@daily' } },
  recovery: { request: { id: '1', survivor: 'kv-0', acknowledgeDataLoss: true } },
  auth: {
    allowWithoutTLS: true,
    rootSecretRef: { name: 's' },
    roles: [{ name: 'r', permissions: [{ range: { from: 'a', to: 'b' }, access: 'Read' }] }],
    users: [{ name: 'u', passwordSecretRef: { name: 's' }, roles: ['r'] }],
  },
  bootstrap: {
    restore: {
      source: { s3: { bucket: 'backups', caSecretRef: { name: 'ca' }, credentialsSecretRef: { name: 'keys' } } },
    },
  },
}

/** What excludes one another: which one there is depends on the field. */
function wholeFor([first, side = '', field]: readonly string[]): JsonObject {
  if (first === 'recovery' && field === 'restore') return { ...WHOLE, recovery: { request: RESTORE_REQUEST } }
  if (first !== 'tls') return WHOLE
  if (field === 'secretRef') return { ...WHOLE, tls: { [side]: { mode: 'Secret', secretRef: { name: 's' } } } }
  if (field !== 'issuerRef') return { ...WHOLE, tls: { [side]: { mode: 'Auto', extraNames: ['a'] } } }
  return { ...WHOLE, tls: { [side]: { mode: 'CertManager', issuerRef: { name: 'i' } } } }
}

const { bootstrap = {} } = WHOLE
const RESTORE_REQUEST = { id: '1', acknowledgeDataLoss: true, ...(isObject(bootstrap) && bootstrap) }

interface Wrong {
  readonly path: readonly string[]
  readonly what: string
  readonly value: Json
}

/** Every field below `schema`, with values beside what it says; not of what is as in Kubernetes, which the operator hands on unread. */
function wrongValues(schema: Schema, path: readonly string[]): readonly Wrong[] {
  const here = (what: string, value: Json): Wrong => ({ path, what, value })
  const others: readonly (readonly [string, Json])[] = [
    ['text', 'no such text!'],
    ['empty text', ''],
    ['a number', 7],
    ['zero', 0],
    ['a fraction', 1.5],
    ['below zero', -1],
    ['2^53', 2 ** 53],
    ['true', true],
    ['false', false],
    ['a list', [1]],
    ['an object', { unknown: 1 }],
    ['long text', 'x'.repeat(5000)],
  ]
  const { node } = schema
  const bounds = ['minimum', 'maximum'].flatMap((name): readonly Wrong[] => {
    const bound = node[name]
    return typeof bound === 'number' ? [here(`${name} - 1`, bound - 1), here(`${name} + 1`, bound + 1)] : []
  })
  const lengths = ['maxLength', 'maxItems'].flatMap((name): readonly Wrong[] => {
    const bound = node[name]
    if (typeof bound !== 'number') return []
    const many = schema.items === undefined ? 'a'.repeat(bound + 1) : Array.from({ length: bound + 1 }, () => ({}))
    return [here(`${name} + 1`, many)]
  })
  const inner = schema.propertyNames.flatMap((name) => {
    if ([...path, name].join('.') in AS_IN_KUBERNETES) return []
    const field = schema.property(name)
    return field === undefined ? [] : wrongValues(field, [...path, name])
  })
  const items = schema.items === undefined ? [] : wrongValues(schema.items, [...path, '0'])
  return [...others.map(([what, value]) => here(what, value)), ...bounds, ...lengths, ...inner, ...items]
}

function withValue(value: Json, path: readonly string[], wrong: Json): Json {
  const [name, ...rest] = path
  if (name === undefined) return wrong
  if (Array.isArray(value))
    return value.map((item, index) => (String(index) === name ? withValue(item, rest, wrong) : item))
  const object = isObject(value) ? value : {}
  return { ...object, [name]: withValue(object[name] ?? {}, rest, wrong) }
}

/** Here the operator may take more than the schema, because a schema is always asked first. */
const LOOSER: readonly (readonly [string, string])[] = [['spec.storage.size', 'a number is a quantity as well']]

const cases = wrongValues(specSchema, [])

test(`the schema and the operator agree about ${cases.length} values beside what the schema says, and name the field`, () => {
  const wrongs: string[] = []
  let refused = 0
  for (const { path, what, value } of cases) {
    const metadata = { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' }
    const object: KubeObject = {
      apiVersion: 'raftkv.dev/v1alpha1',
      kind: 'RaftCluster',
      metadata,
      spec: withValue(structuredClone(wholeFor(path)), path, value),
    }
    applyDefaults(object, type.schema, false)
    const problems = validateCustom(type, object, undefined)
    const parsed = parseRaftCluster(object)
    const field = ['spec', ...path].join('.')
    if (problems.length > 0) refused += 1
    const isLooser = parsed.ok && LOOSER.some(([prefix]) => field.startsWith(prefix))
    if (parsed.ok !== (problems.length === 0) && !isLooser) {
      const said = parsed.ok ? problems.map(({ message }) => message).join('; ') : parsed.error
      wrongs.push(
        `${field} = ${what}: refused by the ${parsed.ok ? 'schema' : 'operator'} alone: ${said.slice(0, 150)}`,
      )
    } else if (
      !parsed.ok &&
      !parsed.error.includes(path.at(-1) === '0' ? (path.at(-2) ?? '') : (path.at(-1) ?? 'spec'))
    )
      wrongs.push(`${field} = ${what}: the operator does not name it: ${parsed.error}`)
  }
  assert.deepEqual(wrongs, [])
  assert.ok(refused > cases.length / 2, `${refused} of ${cases.length} refused`)
})
