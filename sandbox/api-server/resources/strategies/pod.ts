/** Pods. Source: Kubernetes API reference, Pod; docs, quality of service. */
import {
  at,
  clone,
  isEqual,
  isObject,
  listAt,
  objectAt,
  textAt,
  type Json,
  type JsonObject,
  type KubeObject,
} from '../../object.ts'
import { required, type FieldProblem } from '../../status-error.ts'
import type { Strategy } from '../strategy.ts'
import { defaultPodSpec, fill } from './pod-spec.ts'

const NODE_TROUBLE_SECONDS = 300

export const podStrategy: Strategy = {
  hasGeneration: true,
  returnsDeleted: true,
  setDefaults: (pod) => {
    const spec = specOf(pod)
    defaultPodSpec(spec)
    fill(spec, { enableServiceLinks: true })
  },
  prepareCreate: (pod) => {
    const spec = specOf(pod)
    fill(spec, { serviceAccountName: 'default' })
    fill(spec, {
      serviceAccount: textAt(spec, 'serviceAccountName'),
      priority: 0,
      preemptionPolicy: 'PreemptLowerPriority',
    })
    addTolerations(spec)
    pod['status'] = { phase: 'Pending', qosClass: qosClass(spec) }
  },
  prepareUpdate: (pod, existing) => {
    if (textAt(pod, 'status', 'qosClass') !== '') return
    const qos = textAt(existing, 'status', 'qosClass')
    if (isObject(pod['status']) && qos !== '') pod['status']['qosClass'] = qos
  },
  validate: (pod, existing) => [...validatePodSpec(specOf(pod), 'spec'), ...validateChange(pod, existing)],
}

function specOf(pod: KubeObject): JsonObject {
  const spec = pod['spec']
  if (isObject(spec)) return spec
  const made: JsonObject = {}
  pod['spec'] = made
  return made
}

/** Admission plugin DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready. */
function addTolerations(spec: JsonObject): void {
  const tolerations = [...listAt(spec, 'tolerations')]
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const isTolerated = tolerations.some((toleration) => {
      const named = textAt(toleration, 'key')
      return named === key || (named === '' && textAt(toleration, 'operator') === 'Exists')
    })
    if (isTolerated) continue
    tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: NODE_TROUBLE_SECONDS })
  }
  spec['tolerations'] = tolerations
}

function qosClass(spec: JsonObject): string {
  const containers = [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')]
  const parts = containers.map((container) => ({
    limits: objectAt(container, 'resources', 'limits'),
    requests: objectAt(container, 'resources', 'requests'),
  }))
  const names = ['cpu', 'memory']
  const has = (of: JsonObject): boolean => names.some((name) => of[name] !== undefined)
  if (!parts.some(({ limits, requests }) => has(limits) || has(requests))) return 'BestEffort'
  const isGuaranteed = parts.every(({ limits, requests }) =>
    names.every((name) => limits[name] !== undefined && isEqual(limits[name], requests[name])),
  )
  return isGuaranteed ? 'Guaranteed' : 'Burstable'
}

/** The few checks that matter here; a real API server has some hundred. */
export function validatePodSpec(spec: JsonObject, path: string): readonly FieldProblem[] {
  const containers = listAt(spec, 'containers')
  if (containers.length === 0) return [required(`${path}.containers`)]
  return containers.flatMap((container, index) => {
    const own = `${path}.containers[${index}]`
    return [
      ...(textAt(container, 'name') === '' ? [required(`${own}.name`)] : []),
      ...(textAt(container, 'image') === '' ? [required(`${own}.image`)] : []),
    ]
  })
}

const CHANGEABLE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

function validateChange(pod: KubeObject, existing: KubeObject | undefined): readonly FieldProblem[] {
  if (existing === undefined || isEqual(fixed(pod), fixed(existing))) return []
  return [{ field: 'spec', reason: 'FieldValueForbidden', message: `Forbidden: ${CHANGEABLE}` }]
}

/** What of a pod's spec stays as it was. Binding sets the node's name by itself. */
function fixed(pod: KubeObject): Json {
  const spec = clone(objectAt(pod, 'spec'))
  for (const name of ['initContainers', 'containers']) {
    for (const container of listAt(spec, name)) if (isObject(container)) delete container['image']
  }
  for (const name of ['activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds', 'ephemeralContainers']) {
    delete spec[name]
  }
  if (listAt(at(pod, 'spec'), 'schedulingGates').length === 0) delete spec['schedulingGates']
  return spec
}
