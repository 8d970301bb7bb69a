/** Namespaces, nodes, secrets, service accounts, RBAC, leases. Source: Kubernetes API reference. */
import {
  at,
  isEqual,
  isObject,
  listAt,
  metadataOf,
  objectAt,
  setAt,
  textAt,
  type JsonObject,
  type KubeObject,
} from '../../object.ts'
import { invalidValue, type FieldProblem } from '../../status-error.ts'
import type { Strategy } from '../strategy.ts'
import { fill } from './pod-spec.ts'

const RBAC = 'rbac.authorization.k8s.io'

const namespace: Strategy = {
  setDefaults: (object) => {
    setAt(object, ['metadata', 'labels', 'kubernetes.io/metadata.name'], textAt(object, 'metadata', 'name'))
  },
  prepareCreate: (object) => {
    object['spec'] = { finalizers: ['kubernetes'] }
    object['status'] = { phase: 'Active' }
  },
  prepareUpdate: (object, existing) => {
    object['spec'] = objectAt(existing, 'spec')
  },
}

const node: Strategy = {
  keepsStatusOnCreate: true,
  setDefaults: (object) => fill(object, { spec: {}, status: {} }),
}

const IMMUTABLE = 'field is immutable when `immutable` is set'

function validateImmutable(object: KubeObject, existing: KubeObject | undefined): readonly FieldProblem[] {
  if (existing === undefined || existing['immutable'] !== true) return []
  const names = ['data', 'binaryData'].filter((name) => !isEqual(object[name] ?? {}, existing[name] ?? {}))
  const problems = names.map((name): FieldProblem => ({
    field: name,
    reason: 'FieldValueForbidden',
    message: `Forbidden: ${IMMUTABLE}`,
  }))
  if (object['immutable'] === true) return problems
  return [{ field: 'immutable', reason: 'FieldValueForbidden', message: `Forbidden: ${IMMUTABLE}` }, ...problems]
}

const configMap: Strategy = { validate: validateImmutable }

const secret: Strategy = {
  setDefaults: (object) => {
    fill(object, { type: 'Opaque' })
    const texts = object['stringData']
    if (!isObject(texts)) return
    const data: JsonObject = { ...objectAt(object, 'data') }
    for (const [name, text] of Object.entries(texts)) {
      if (typeof text === 'string') data[name] = Buffer.from(text).toString('base64')
    }
    object['data'] = data
    delete object['stringData']
  },
  validate: (object, existing) => [
    ...validateImmutable(object, existing),
    ...(existing !== undefined && object['type'] !== existing['type']
      ? [invalidValue('type', object['type'], 'field is immutable')]
      : []),
  ],
}

const binding: Strategy = {
  setDefaults: (object) => {
    const reference = object['roleRef']
    if (isObject(reference)) fill(reference, { apiGroup: RBAC })
    for (const subject of listAt(object, 'subjects').filter(isObject)) {
      if (textAt(subject, 'kind') !== 'ServiceAccount') fill(subject, { apiGroup: RBAC })
    }
  },
  validate: (object, existing) =>
    existing === undefined || isEqual(object['roleRef'], existing['roleRef'])
      ? []
      : [invalidValue('roleRef', object['roleRef'], 'cannot change roleRef')],
}

const lease: Strategy = {
  setDefaults: (object) => fill(object, { spec: {} }),
  validate: (object) => {
    const seconds = at(object, 'spec', 'leaseDurationSeconds')
    return typeof seconds === 'number' && seconds <= 0
      ? [invalidValue('spec.leaseDurationSeconds', seconds, 'must be greater than 0')]
      : []
  },
}

/** The core group's form is the one that is stored. */
const event: Strategy = {
  setDefaults: (object) => {
    fill(object, { source: {}, firstTimestamp: null, lastTimestamp: null, eventTime: null })
    fill(object, { reportingComponent: '', reportingInstance: '' })
    fill(metadataOf(object), {})
  },
}

export const configStrategies: Readonly<Record<string, Strategy>> = {
  '/namespaces': namespace,
  '/nodes': node,
  '/configmaps': configMap,
  '/secrets': secret,
  '/events': event,
  '/serviceaccounts': { returnsDeleted: true },
  'coordination.k8s.io/leases': lease,
  [`${RBAC}/rolebindings`]: binding,
  [`${RBAC}/clusterrolebindings`]: binding,
}
