/** StatefulSets, Deployments, ReplicaSets, PodDisruptionBudgets, NetworkPolicies. Source: Kubernetes API reference, apps/v1, policy/v1,
 * networking/v1. */
import {
  at,
  clone,
  isEqual,
  isObject,
  listAt,
  objectAt,
  setAt,
  type JsonObject,
  type KubeObject,
} from '../../object.ts'
import { matchesLabelSelector } from '../../selectors.ts'
import { invalidValue, required, type FieldProblem } from '../../status-error.ts'
import type { Strategy } from '../strategy.ts'
import { defaultPodSpec, fill } from './pod-spec.ts'
import { validatePodSpec } from './pod.ts'
import { defaultClaimSpec } from './storage.ts'

function specOf(object: KubeObject): JsonObject {
  const spec = object['spec']
  if (isObject(spec)) return spec
  const made: JsonObject = {}
  object['spec'] = made
  return made
}

function defaultTemplate(spec: JsonObject): void {
  if (!isObject(at(spec, 'template', 'spec'))) setAt(spec, ['template', 'spec'], {})
  defaultPodSpec(objectAt(spec, 'template', 'spec'))
}

function validateTemplate(object: KubeObject): readonly FieldProblem[] {
  const spec = objectAt(object, 'spec')
  const labels = objectAt(spec, 'template', 'metadata', 'labels')
  const problems: FieldProblem[] = []
  if (!isObject(spec['selector'])) problems.push(required('spec.selector'))
  else if (!matchesLabelSelector(spec['selector'], labels)) {
    const why = '`selector` does not match template `labels`'
    problems.push(invalidValue('spec.template.metadata.labels', labels, why))
  }
  const replicas = spec['replicas']
  if (typeof replicas === 'number' && replicas < 0) {
    problems.push(invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'))
  }
  return [...problems, ...validatePodSpec(objectAt(spec, 'template', 'spec'), 'spec.template.spec')]
}

/** Problems when a field that cannot change does. */
function fixedFields(
  object: KubeObject,
  existing: KubeObject | undefined,
  names: readonly string[],
): readonly FieldProblem[] {
  if (existing === undefined) return []
  return names
    .filter((name) => !isEqual(at(object, 'spec', name), at(existing, 'spec', name)))
    .map((name) => invalidValue(`spec.${name}`, at(object, 'spec', name), 'field is immutable'))
}

const STATEFUL_SET_CHANGEABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]

const statefulSet: Strategy = {
  hasGeneration: true,
  setDefaults: (object) => {
    const spec = specOf(object)
    fill(spec, {
      podManagementPolicy: 'OrderedReady',
      replicas: 1,
      revisionHistoryLimit: 10,
      updateStrategy: {},
      persistentVolumeClaimRetentionPolicy: {},
    })
    fill(objectAt(spec, 'persistentVolumeClaimRetentionPolicy'), { whenDeleted: 'Retain', whenScaled: 'Retain' })
    const strategy = objectAt(spec, 'updateStrategy')
    fill(strategy, { type: 'RollingUpdate' })
    if (strategy['type'] === 'RollingUpdate') {
      fill(strategy, { rollingUpdate: {} })
      fill(objectAt(strategy, 'rollingUpdate'), { partition: 0 })
    }
    defaultTemplate(spec)
    for (const claim of listAt(spec, 'volumeClaimTemplates').filter(isObject)) {
      fill(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', spec: {}, status: {} })
      defaultClaimSpec(objectAt(claim, 'spec'))
      fill(objectAt(claim, 'status'), { phase: 'Pending' })
    }
  },
  prepareCreate: (object) => {
    object['status'] = { replicas: 0, availableReplicas: 0 }
  },
  validate: (object, existing) => [...validateTemplate(object), ...validateStatefulSetChange(object, existing)],
}

function validateStatefulSetChange(object: KubeObject, existing: KubeObject | undefined): readonly FieldProblem[] {
  if (existing === undefined) return []
  const fixed = (of: KubeObject): JsonObject => {
    const spec = clone(objectAt(of, 'spec'))
    for (const name of STATEFUL_SET_CHANGEABLE) delete spec[name]
    return spec
  }
  if (isEqual(fixed(object), fixed(existing))) return []
  const allowed = STATEFUL_SET_CHANGEABLE.map((name) => `'${name}'`)
  const message = `Forbidden: updates to statefulset spec for fields other than ${allowed.slice(0, -1).join(', ')} and ${allowed.at(-1)} are forbidden`
  return [{ field: 'spec', reason: 'FieldValueForbidden', message }]
}

const deployment: Strategy = {
  hasGeneration: true,
  setDefaults: (object) => {
    const spec = specOf(object)
    fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {} })
    const strategy = objectAt(spec, 'strategy')
    fill(strategy, { type: 'RollingUpdate' })
    if (strategy['type'] === 'RollingUpdate') {
      fill(strategy, { rollingUpdate: {} })
      fill(objectAt(strategy, 'rollingUpdate'), { maxUnavailable: '25%', maxSurge: '25%' })
    }
    defaultTemplate(spec)
  },
  prepareCreate: (object) => {
    object['status'] = {}
  },
  validate: (object, existing) => [...validateTemplate(object), ...fixedFields(object, existing, ['selector'])],
}

const replicaSet: Strategy = {
  hasGeneration: true,
  setDefaults: (object) => {
    const spec = specOf(object)
    fill(spec, { replicas: 1 })
    defaultTemplate(spec)
  },
  prepareCreate: (object) => {
    object['status'] = { replicas: 0 }
  },
  validate: (object, existing) => [...validateTemplate(object), ...fixedFields(object, existing, ['selector'])],
}

const disruptionBudget: Strategy = {
  hasGeneration: true,
  prepareCreate: (object) => {
    object['status'] = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 }
  },
  validate: (object) => {
    const spec = objectAt(object, 'spec')
    if (spec['minAvailable'] === undefined || spec['maxUnavailable'] === undefined) return []
    return [invalidValue('spec', spec, 'minAvailable and maxUnavailable cannot be both set')]
  },
}

const controllerRevision: Strategy = {
  validate: (object, existing) =>
    existing === undefined || isEqual(object['data'], existing['data'])
      ? []
      : [invalidValue('data', object['data'], 'field is immutable')],
}

export const workloadStrategies: Readonly<Record<string, Strategy>> = {
  'apps/statefulsets': statefulSet,
  'apps/deployments': deployment,
  'apps/replicasets': replicaSet,
  'apps/controllerrevisions': controllerRevision,
  'policy/poddisruptionbudgets': disruptionBudget,
  'networking.k8s.io/networkpolicies': { hasGeneration: true },
}
