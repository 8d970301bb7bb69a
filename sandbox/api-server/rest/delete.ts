/**
 * Deletion: at once, or noted and waiting for finalizers, for dependents, or for a pod's processes to end.
 * Source: Kubernetes docs, finalizers; garbage collection; API reference, DeleteOptions.
 */
import {
  at,
  isBeingDeleted,
  listAt,
  metadataOf,
  nameOf,
  numberAt,
  textAt,
  timestamp,
  uidOf,
  versionOf,
  type JsonObject,
  type KubeObject,
} from '../object.ts'
import { CRD } from '../resources/registry.ts'
import { storagePrefix } from '../resources/resource-type.ts'
import { strategyOf } from '../resources/strategies.ts'
import { conflict, forbidden, invalid, invalidValue, invalidOptions, notSupported } from '../status-error.ts'
import { endOfPrefix } from '../storage.ts'
import { isDryRun, subjectOf, type Answer, type Call } from './call.ts'
import { parseOptions } from './decode.ts'
import { listObjects } from './read.ts'
import { isReadyToGo, keyOf, put, readExisting, removeObject } from './write.ts'

const FOREGROUND = 'foregroundDeletion'
const ORPHAN = 'orphan'
const DEFAULT_GRACE_SECONDS = 30
const PROTECTED_NAMESPACES = new Set(['default', 'kube-system', 'kube-public'])
const CUSTOM_RESOURCES = 'customresourcecleanup.apiextensions.k8s.io'

export function deleteAnswer(call: Call): Answer {
  const options = optionsOf(call)
  const existing = readExisting(call)
  const { object, isGone } = deleteObject(call, existing, options)
  if (!isGone || strategyOf(call.type).returnsDeleted === true) return { status: 200, object }
  const { group, resource } = call.type
  const details: JsonObject = { name: nameOf(object) }
  if (group !== '') details['group'] = group
  details['kind'] = resource
  details['uid'] = uidOf(object)
  return { status: 200, object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } }
}

/** From the body, or from the parameters. */
function optionsOf(call: Call): JsonObject {
  const options = parseOptions(call)
  const { query } = call
  const policy = query.get('propagationPolicy')
  if (policy !== null) options['propagationPolicy'] = policy
  const grace = query.get('gracePeriodSeconds')
  if (grace !== null && grace !== '') options['gracePeriodSeconds'] = Number(grace)
  for (const value of listAt(options, 'dryRun')) if (typeof value === 'string') query.append('dryRun', value)
  const chosen = textAt(options, 'propagationPolicy')
  if (chosen !== '' && !['Background', 'Foreground', 'Orphan'].includes(chosen)) {
    const problem = notSupported('propagationPolicy', chosen, ['Foreground', 'Background', 'Orphan', 'nil'])
    throw invalidOptions('DeleteOptions', problem)
  }
  return options
}

interface Deleted {
  readonly object: KubeObject
  /** It is not in the store any more. */
  readonly isGone: boolean
}

function deleteObject(call: Call, existing: KubeObject, options: JsonObject): Deleted {
  checkPreconditions(call, existing, options)
  if (call.type.group === '' && call.type.resource === 'namespaces' && PROTECTED_NAMESPACES.has(nameOf(existing))) {
    throw forbidden(subjectOf(call), 'this namespace may not be deleted')
  }
  const object = structuredClone(existing)
  setFinalizers(call, object, options)
  const grace = graceSeconds(call, object, options)
  const isWaiting = grace > 0 || listAt(object, 'metadata', 'finalizers').length > 0 || isHeldNamespace(call, object)
  if (!isWaiting) return goAtOnce(call, object)
  markDeleted(call, existing, object, grace)
  if (isDryRun(call)) return { object, isGone: false }
  if (isReadyToGo(object)) return goAtOnce(call, object)
  const isSame = JSON.stringify(object) === JSON.stringify(existing)
  const stored = isSame ? object : put(call, keyOf(call, nameOf(object)), object)
  if (isCustomResourceDefinition(call)) return { object: stored, isGone: deleteDefinition(call, stored) }
  return { object: stored, isGone: false }
}

function goAtOnce(call: Call, object: KubeObject): Deleted {
  if (isDryRun(call)) return { object, isGone: true }
  return { object: removeObject(call, object), isGone: true }
}

function checkPreconditions(call: Call, existing: KubeObject, options: JsonObject): void {
  const uid = textAt(options, 'preconditions', 'uid')
  const version = textAt(options, 'preconditions', 'resourceVersion')
  // Here, of all places, the kind is named.
  const subject = { group: call.type.group, resource: call.type.kind, name: nameOf(existing) }
  if (uid !== '' && uid !== uidOf(existing)) {
    throw conflict(
      subject,
      `the UID in the precondition (${uid}) does not match the UID in record (${uidOf(existing)}). The object might have been deleted and then recreated`,
    )
  }
  if (version !== '' && version !== versionOf(existing)) {
    throw conflict(
      subject,
      `the ResourceVersion in the precondition (${version}) does not match the ResourceVersion in record (${versionOf(existing)}). The object might have been modified`,
    )
  }
}

/** The garbage collector takes its two away once it has done its part. */
function setFinalizers(call: Call, object: KubeObject, options: JsonObject): void {
  const metadata = metadataOf(object)
  const wanted = new Set(listAt(metadata, 'finalizers'))
  const orphans = at(options, 'orphanDependents')
  const policy =
    textAt(options, 'propagationPolicy') || (orphans === true ? 'Orphan' : orphans === false ? 'Background' : '')
  if (policy !== '') {
    wanted.delete(FOREGROUND)
    wanted.delete(ORPHAN)
    if (policy === 'Foreground') wanted.add(FOREGROUND)
    if (policy === 'Orphan') wanted.add(ORPHAN)
  }
  if (isCustomResourceDefinition(call)) wanted.add(CUSTOM_RESOURCES)
  if (wanted.size > 0) metadata['finalizers'] = [...wanted]
  else delete metadata['finalizers']
}

function isCustomResourceDefinition({ type }: Call): boolean {
  return type.group === CRD.group && type.resource === CRD.resource
}

function isHeldNamespace({ type }: Call, object: KubeObject): boolean {
  return type.group === '' && type.resource === 'namespaces' && listAt(object, 'spec', 'finalizers').length > 0
}

/** Only pods are given time: those that run somewhere. */
function graceSeconds(call: Call, object: KubeObject, options: JsonObject): number {
  const { type } = call
  const asked = numberAt(options, 'gracePeriodSeconds')
  if (asked !== undefined && asked < 0) {
    const problem = invalidValue('gracePeriodSeconds', asked, 'must be greater than or equal to 0')
    throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [problem])
  }
  if (type.group !== '' || type.resource !== 'pods') return 0
  const phase = textAt(object, 'status', 'phase')
  if (textAt(object, 'spec', 'nodeName') === '' || phase === 'Succeeded' || phase === 'Failed') return 0
  return asked ?? numberAt(object, 'spec', 'terminationGracePeriodSeconds') ?? DEFAULT_GRACE_SECONDS
}

/** A later delete can shorten the time, and never lengthens it. */
function markDeleted(call: Call, existing: KubeObject, object: KubeObject, graceSeconds: number): void {
  const metadata = metadataOf(object)
  const nowMs = call.api.nowMs()
  if (!isBeingDeleted(existing)) {
    metadata['deletionTimestamp'] = timestamp(nowMs + graceSeconds * 1000)
    metadata['deletionGracePeriodSeconds'] = graceSeconds
    const generation = numberAt(metadata, 'generation')
    if (generation !== undefined && generation > 0) metadata['generation'] = generation + 1
    if (isHeldNamespace(call, object)) object['status'] = { ...statusOf(object), phase: 'Terminating' }
    return
  }
  const before = numberAt(metadata, 'deletionGracePeriodSeconds') ?? 0
  if (graceSeconds >= before) return
  const startedMs = Date.parse(textAt(metadata, 'deletionTimestamp')) - before * 1000
  metadata['deletionTimestamp'] = timestamp(startedMs + graceSeconds * 1000)
  metadata['deletionGracePeriodSeconds'] = graceSeconds
}

function statusOf(object: KubeObject): JsonObject {
  const status = object['status']
  return typeof status === 'object' && status !== null && !Array.isArray(status) ? status : {}
}

/** Its objects go first; those with finalizers hold it. True when it is gone. */
function deleteDefinition(call: Call, crd: KubeObject): boolean {
  const group = textAt(crd, 'spec', 'group')
  const plural = textAt(crd, 'spec', 'names', 'plural')
  const served = call.api.types.all.find((type) => type.group === group && type.resource === plural)
  if (served !== undefined) {
    const inner: Call = { ...call, type: served, namespace: '', name: '', query: new URLSearchParams() }
    for (const object of listObjects(inner).items) {
      deleteObject({ ...inner, namespace: textAt(object, 'metadata', 'namespace'), name: nameOf(object) }, object, {})
    }
  }
  return finishDefinition(call, crd)
}

/** Takes a definition that is being deleted away once nothing of its type is left. */
export function finishDefinition(call: Call, crd: KubeObject): boolean {
  const prefix = storagePrefix({
    group: textAt(crd, 'spec', 'group'),
    resource: textAt(crd, 'spec', 'names', 'plural'),
  })
  if (call.api.store.count(prefix, endOfPrefix(prefix)) > 0) return false
  const metadata = metadataOf(crd)
  const left = listAt(metadata, 'finalizers').filter((finalizer) => finalizer !== CUSTOM_RESOURCES)
  if (left.length > 0) {
    metadata['finalizers'] = left
    put(call, keyOf(call, nameOf(crd)), crd)
    return false
  }
  removeObject(call, crd)
  return true
}

/** What matches goes, each by itself; the answer is the list as it was. */
export function deleteCollection(call: Call): Answer {
  const options = optionsOf(call)
  const { items, metadata } = listObjects(call)
  const deleted = items.map((object) => {
    const one: Call = { ...call, name: nameOf(object), namespace: textAt(object, 'metadata', 'namespace') }
    return deleteObject(one, object, options).object
  })
  const { type } = call
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`
  return { status: 200, object: { kind: type.listKind, apiVersion, metadata, items: deleted } }
}
