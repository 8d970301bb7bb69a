/** CustomResourceDefinitions. Source: Kubernetes API reference, apiextensions.k8s.io/v1; docs, custom resources. */
import {
  at,
  isObject,
  listAt,
  objectAt,
  textAt,
  timestamp,
  type Json,
  type JsonObject,
  type KubeObject,
} from '../../object.ts'
import { uncompilable } from '../../schema/rules.ts'
import { invalidValue, required, type FieldProblem } from '../../status-error.ts'
import type { Strategy } from '../strategy.ts'
import { fill } from './pod-spec.ts'

export const crdStrategy: Strategy = {
  hasGeneration: true,
  setDefaults: (crd) => {
    const spec = objectAt(crd, 'spec')
    const names = objectAt(spec, 'names')
    const kind = textAt(names, 'kind')
    fill(names, { singular: kind.toLowerCase(), listKind: `${kind}List` })
    fill(spec, { conversion: { strategy: 'None' } })
  },
  prepareCreate: (crd) => {
    const stored = listAt(crd, 'spec', 'versions').find((version) => at(version, 'storage') === true)
    crd['status'] = {
      conditions: [],
      acceptedNames: { plural: '', kind: '' },
      storedVersions: [textAt(stored, 'name')],
    }
  },
  prepareUpdate: (crd) => {
    const status = objectAt(crd, 'status')
    const stored = listAt(crd, 'spec', 'versions').find((version) => at(version, 'storage') === true)
    const versions = listAt(status, 'storedVersions')
    const name = textAt(stored, 'name')
    if (name !== '' && !versions.includes(name)) status['storedVersions'] = [...versions, name]
  },
  validate: validateDefinition,
}

/** What the controllers of a real API server write soon after: the names are free, the types are served. */
export function establish(crd: KubeObject, nowMs: number): KubeObject {
  const conditions = listAt(crd, 'status', 'conditions').filter(isObject)
  const wanted = [
    ['NamesAccepted', 'NoConflicts', 'no conflicts found'],
    ['Established', 'InitialNamesAccepted', 'the initial names have been accepted'],
  ] as const
  const added = wanted
    .filter(([type]) => !conditions.some((condition) => textAt(condition, 'type') === type))
    .map(([type, reason, message]): JsonObject => ({
      type,
      status: 'True',
      lastTransitionTime: timestamp(nowMs),
      reason,
      message,
    }))
  const status = { ...objectAt(crd, 'status'), conditions: [...conditions, ...added], acceptedNames: names(crd) }
  return { ...crd, status }
}

function names(crd: KubeObject): Json {
  return structuredClone(objectAt(crd, 'spec', 'names'))
}

function validateDefinition(crd: KubeObject, existing: KubeObject | undefined): readonly FieldProblem[] {
  const spec = objectAt(crd, 'spec')
  const group = textAt(spec, 'group')
  const plural = textAt(spec, 'names', 'plural')
  const problems: FieldProblem[] = []
  const name = textAt(crd, 'metadata', 'name')
  if (name !== `${plural}.${group}`) {
    problems.push(invalidValue('metadata.name', name, `must be spec.names.plural+"."+spec.group`))
  }
  if (textAt(spec, 'scope') === '') problems.push(required('spec.scope'))
  const versions = listAt(spec, 'versions')
  if (versions.filter((version) => at(version, 'storage') === true).length !== 1) {
    problems.push(invalidValue('spec.versions', versions, 'must have exactly one version marked as storage version'))
  }
  versions.forEach((version, index) => {
    if (!isObject(at(version, 'schema', 'openAPIV3Schema'))) {
      problems.push(required(`spec.versions[${index}].schema.openAPIV3Schema`, 'schemas are required'))
    }
  })
  for (const field of ['group', 'scope'] as const) {
    const before = textAt(existing, 'spec', field)
    if (before !== '' && before !== textAt(spec, field)) {
      problems.push(invalidValue(`spec.${field}`, textAt(spec, field), 'field is immutable'))
    }
  }
  return [...problems, ...uncompilable(crd)]
}
