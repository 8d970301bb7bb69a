import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { AS_IN_KUBERNETES } from '../../crds/kubernetes-types.ts'
import { ANNOTATIONS } from '../../operator/api/raft-cluster.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const page = text('docs/operator.md')

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
}

/** Names of the fields below a schema; what is as in Kubernetes is not opened. */
function fieldsOf({ properties = {} }: Schema, path: readonly string[] = []): readonly string[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const here = [...path, name]
    return here.join('.') in AS_IN_KUBERNETES ? [name] : [name, ...fieldsOf(schema, here)]
  })
}

function missing(words: readonly string[]): readonly string[] {
  return words.filter((word) => !new RegExp(`\\b${word.replaceAll('.', '\\.')}\\b`).test(page))
}

test('docs/operator.md speaks of every field of the spec', () => {
  const crd = parse(text('crds/raftclusters.raftkv.dev.yaml')) as {
    readonly spec: { readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[] }
  }
  const fields = fieldsOf(crd.spec.versions[0]?.schema.openAPIV3Schema.properties?.['spec'] ?? {})
  assert(fields.length > 40, `${fields.length} fields`)
  assert.deepEqual(missing(fields), [])
})

test('docs/operator.md speaks of every annotation, condition and event', () => {
  const conditions = /export type ConditionType =([\s|'A-Za-z]+)/.exec(text('operator/api/conditions.ts'))?.[1] ?? ''
  const types = [...conditions.matchAll(/'([A-Za-z]+)'/g)].map(([, type = '']) => type)
  const act = text('operator/cluster/act.ts')
  const emitted = [...act.matchAll(/emit\(\s*\w+,\s*'(?:Normal|Warning)',\s*'([A-Za-z]+)'/g)].map(
    ([, reason = '']) => reason,
  )
  const beginnings = /const BEGINNINGS = \{([^}]*)\}/.exec(act)?.[1] ?? ''
  const changes = /const CHANGE_EVENTS = \{([^}]*)\}/.exec(act)?.[1] ?? ''
  const begun = [...beginnings.matchAll(/: '([A-Za-z]+)'/g)].map(([, reason = '']) => reason)
  const changed = [...changes.matchAll(/\['([A-Za-z]+)'/g)].map(([, reason = '']) => reason)
  assert.deepEqual(
    [types.length, emitted.length, begun.length, changed.length].map((count) => count >= 3),
    [true, true, true, true],
  )
  assert.deepEqual(missing([...Object.values(ANNOTATIONS), ...types, ...emitted, ...begun, ...changed]), [])
})

test('docs/troubleshooting.md has every reason for which a cluster is not as it should be', () => {
  const matches = (path: string, pattern: RegExp): readonly string[] =>
    [...text(path).matchAll(pattern)].map(([, reason = '']) => reason)
  const rules = globSync('operator/cluster/rules/*.ts', { cwd: ROOT })
  const failures = /interface Failure \{\n {2}readonly reason: (.*)\n/.exec(text('operator/cluster/act.ts'))?.[1] ?? ''
  const reasons = [
    ...matches('operator/cluster/troubles.ts', /\[\s*'([A-Z][A-Za-z]+)',/g),
    ...rules.flatMap((path) => matches(path, /\bblocked\(\s*'([A-Za-z]+)'/g)),
    ...matches('operator/cluster/tls-status.ts', /(?:reason: |found\('False', )'([A-Za-z]+)'/g),
    ...matches('operator/cluster/users-finding.ts', /finding\('False', '([A-Za-z]+)'/g),
    ...[...failures.matchAll(/'([A-Za-z]+)'/g)].map(([, reason = '']) => reason),
  ]
  // What the spec itself asks for is not trouble.
  const trouble = [...new Set(reasons)].filter((reason) => !['Disabled', 'NotDeclared'].includes(reason))
  assert(trouble.length > 40, trouble.join(' '))
  const troubleshooting = text('docs/troubleshooting.md')
  assert.deepEqual(
    trouble.filter((reason) => !troubleshooting.includes(`\`${reason}\``)),
    [],
  )
})
