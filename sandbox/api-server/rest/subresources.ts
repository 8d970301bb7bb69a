/** What stands below an object's path: scale, eviction, binding, finalize, token. Source: Kubernetes API reference. */
import {
  at,
  clone,
  isObject,
  listAt,
  nameOf,
  numberAt,
  objectAt,
  setAt,
  textAt,
  timestamp,
  versionOf,
  type JsonObject,
  type KubeObject,
} from '../object.ts'
import { applyJsonPatch } from '../patch/json-patch.ts'
import { applyMergePatch } from '../patch/merge-patch.ts'
import { matchesLabelSelector } from '../selectors.ts'
import { badRequest, conflict, invalid, invalidValue, MODIFIED, notFound, StatusError } from '../status-error.ts'
import { endOfPrefix } from '../storage.ts'
import { subjectOf, type Answer, type Call } from './call.ts'
import { decodeObject, parseObject } from './decode.ts'
import { deleteAnswer } from './delete.ts'
import { patchKind } from './patch.ts'
import { selectorText } from './selector-text.ts'
import { isReadyToGo, put, keyOf, readExisting, removeObject, updateObject } from './write.ts'

interface Paths {
  readonly spec: readonly string[]
  readonly status: readonly string[]
  readonly selector: readonly string[] | undefined
}

function pathsOf({ type }: Call): Paths {
  const scale = type.custom?.scale
  if (scale === undefined) return { spec: ['spec', 'replicas'], status: ['status', 'replicas'], selector: undefined }
  return { spec: scale.specReplicas, status: scale.statusReplicas, selector: scale.labelSelector }
}

function scaleOf(call: Call, object: KubeObject): JsonObject {
  const paths = pathsOf(call)
  const selector =
    paths.selector === undefined ? selectorText(at(object, 'spec', 'selector')) : textAt(object, ...paths.selector)
  const metadata: JsonObject = {}
  for (const name of ['name', 'namespace', 'uid', 'resourceVersion', 'creationTimestamp']) {
    const value = objectAt(object, 'metadata')[name]
    if (value !== undefined) metadata[name] = value
  }
  const replicas = numberAt(object, ...paths.spec) ?? 0
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata,
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: numberAt(object, ...paths.status) ?? 0, ...(selector === '' ? {} : { selector }) },
  }
}

export function getScale(call: Call): Answer {
  return { status: 200, object: scaleOf(call, readExisting(call)) }
}

export function putScale(call: Call): Answer {
  return setScale(call, readExisting(call), parseObject(call))
}

export function patchScale(call: Call): Answer {
  const existing = readExisting(call)
  const before = scaleOf(call, existing)
  const kind = patchKind(call)
  const patch: unknown = JSON.parse(call.body.toString('utf8'))
  const patched =
    Array.isArray(patch) && kind.includes('json-patch')
      ? applyJsonPatch(before, patch)
      : isObject(patch)
        ? applyMergePatch(before, patch)
        : null
  if (!isObject(patched)) throw badRequest('error decoding patch: the result is no Scale')
  return setScale(call, existing, patched)
}

function setScale(call: Call, existing: KubeObject, scale: JsonObject): Answer {
  const version = versionOf(scale)
  if (version !== '' && version !== versionOf(existing)) throw conflict(subjectOf(call), MODIFIED)
  const replicas = numberAt(scale, 'spec', 'replicas') ?? 0
  if (replicas < 0 || !Number.isInteger(replicas)) {
    const problem = invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0')
    throw invalid({ group: 'autoscaling', kind: 'Scale' }, call.name, [problem])
  }
  const changed = clone(existing)
  setAt(changed, pathsOf(call).spec, replicas)
  const object = updateObject(call, existing, changed)
  return { status: 200, object: scaleOf(call, object) }
}

/** The status or the finalizers of a namespace, or an object's status: an update that changes only that. */
export function putSubresource(call: Call): Answer {
  const existing = readExisting(call)
  const input = decodeObject(call, parseObject(call))
  if (call.subresource === 'finalize') return finalizeNamespace(call, existing, input)
  return { status: 200, object: updateObject(call, existing, input) }
}

function finalizeNamespace(call: Call, existing: KubeObject, input: KubeObject): Answer {
  if (versionOf(input) !== '' && versionOf(input) !== versionOf(existing)) throw conflict(subjectOf(call), MODIFIED)
  const object = clone(existing)
  const finalizers = listAt(input, 'spec', 'finalizers')
  object['spec'] = finalizers.length === 0 ? {} : { finalizers }
  if (isReadyToGo(object)) return { status: 200, object: removeObject(call, object) }
  return { status: 200, object: put(call, keyOf(call), object) }
}

/** The scheduler's: names the node of a pod that has none. */
export function bindPod(call: Call): Answer {
  const binding = parseObject(call)
  const pod = readExisting(call)
  const node = textAt(binding, 'target', 'name')
  if (textAt(pod, 'spec', 'nodeName') !== '') {
    throw conflict(
      { group: '', resource: 'pods/binding', name: call.name },
      `pod ${call.name} is already assigned to node ${JSON.stringify(textAt(pod, 'spec', 'nodeName'))}`,
    )
  }
  const changed = clone(pod)
  setAt(changed, ['spec', 'nodeName'], node)
  const conditions = listAt(pod, 'status', 'conditions').filter(
    (condition) => textAt(condition, 'type') !== 'PodScheduled',
  )
  const scheduled: JsonObject = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: timestamp(call.api.nowMs()),
  }
  setAt(changed, ['status', 'conditions'], [...conditions, scheduled])
  put(call, keyOf(call), changed)
  return { status: 201, object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } }
}

/** A delete that the pod's disruption budget must allow. */
export function evictPod(call: Call): Answer {
  const eviction = parseObject(call)
  const pod = readExisting(call)
  const budgets = budgetsOf(call, pod)
  if (budgets.length > 1) {
    throw new StatusError(
      500,
      'InternalError',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
      {},
    )
  }
  const phase = textAt(pod, 'status', 'phase')
  const [budget] = budgets
  const isRunning = phase !== 'Succeeded' && phase !== 'Failed' && phase !== 'Pending'
  if (budget !== undefined && isRunning && !mayGoUnready(pod, budget)) spend(call, budget)
  const body = Buffer.from(JSON.stringify(objectAt(eviction, 'deleteOptions')))
  const deletion: Call = { ...call, subresource: '', body, contentType: 'application/json' }
  deleteAnswer(deletion)
  return { status: 201, object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } }
}

function budgetsOf(call: Call, pod: KubeObject): readonly KubeObject[] {
  const prefix = `/registry/policy/poddisruptionbudgets/${call.namespace}/`
  const labels = objectAt(pod, 'metadata', 'labels')
  return call.api.store
    .list(prefix, endOfPrefix(prefix), call.api.store.revision)
    .map(({ object }) => object)
    .filter((budget) => matchesLabelSelector(at(budget, 'spec', 'selector'), labels))
}

/** A pod that is not ready does not count, as long as enough others are. */
function mayGoUnready(pod: KubeObject, budget: KubeObject): boolean {
  const isReady = listAt(pod, 'status', 'conditions').some(
    (condition) => textAt(condition, 'type') === 'Ready' && textAt(condition, 'status') === 'True',
  )
  if (isReady) return false
  if (textAt(budget, 'spec', 'unhealthyPodEvictionPolicy') === 'AlwaysAllow') return true
  const healthy = numberAt(budget, 'status', 'currentHealthy') ?? 0
  const desired = numberAt(budget, 'status', 'desiredHealthy') ?? 0
  return desired > 0 && healthy >= desired
}

function spend(call: Call, budget: KubeObject): void {
  const { api } = call
  const name = nameOf(budget)
  const allowed = numberAt(budget, 'status', 'disruptionsAllowed') ?? 0
  const observed = numberAt(budget, 'status', 'observedGeneration') ?? 0
  if (observed < (numberAt(budget, 'metadata', 'generation') ?? 0)) {
    throw refused(`The disruption budget ${name} is still being processed by the server.`, 10)
  }
  if (allowed <= 0) {
    const needs = numberAt(budget, 'status', 'desiredHealthy') ?? 0
    const has = numberAt(budget, 'status', 'currentHealthy') ?? 0
    throw refused(`The disruption budget ${name} needs ${needs} healthy pods and has ${has} currently`)
  }
  const changed = clone(budget)
  const status = objectAt(changed, 'status')
  status['disruptionsAllowed'] = allowed - 1
  status['disruptedPods'] = { ...objectAt(status, 'disruptedPods'), [call.name]: timestamp(api.nowMs()) }
  changed['status'] = status
  api.store.put(`/registry/policy/poddisruptionbudgets/${call.namespace}/${name}`, changed)
}

function refused(why: string, retryAfterSeconds?: number): StatusError {
  const message = "Cannot evict pod as it would violate the pod's disruption budget."
  return new StatusError(429, 'TooManyRequests', message, {
    causes: [{ reason: 'DisruptionBudget', message: why }],
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}

/** A bearer token of a service account; `mint` knows the key. */
export function requestToken(call: Call, mint: (namespace: string, name: string) => string): Answer {
  const account = call.api.store.get(keyOf(call))
  if (account === undefined) throw notFound(subjectOf(call))
  const request = parseObject(call)
  const seconds = numberAt(request, 'spec', 'expirationSeconds') ?? 3600
  const object: JsonObject = {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: call.name, namespace: call.namespace, creationTimestamp: timestamp(call.api.nowMs()) },
    spec: { ...objectAt(request, 'spec'), expirationSeconds: seconds },
    status: {
      token: mint(call.namespace, call.name),
      expirationTimestamp: timestamp(call.api.nowMs() + seconds * 1000),
    },
  }
  return { status: 201, object }
}
