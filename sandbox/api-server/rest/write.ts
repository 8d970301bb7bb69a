/**
 * The way of every write: what was asked for, made into what is stored. Between reading what is there and writing nothing
 * is awaited, so that no other request comes between.
 */
import {
  clone,
  isBeingDeleted,
  listAt,
  metadataOf,
  nameOf,
  namespaceOf,
  objectAt,
  textAt,
  timestamp,
  uidOf,
  versionOf,
  type JsonObject,
  type KubeObject,
} from '../object.ts'
import { isSameButForTimes, trackUpdate, type Tracking } from '../patch/managed-fields.ts'
import { CRD } from '../resources/registry.ts'
import { groupVersion, hasSubresource, storageKey, type ResourceType } from '../resources/resource-type.ts'
import { establish } from '../resources/strategies/custom-resource-definition.ts'
import { isSpecChanged, strategyOf } from '../resources/strategies.ts'
import { keep } from '../resources/strategy.ts'
import { validateCustom } from '../schema/validate-custom.ts'
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalid,
  invalidValue,
  MODIFIED,
  notFound,
} from '../status-error.ts'
import { fieldManagerOf, isDryRun, subjectOf, type Call } from './call.ts'
import { validateMetadata } from './names.ts'

export function keyOf(call: Call, name = call.name): string {
  return storageKey(call.type, call.namespace, name)
}

/** Throws not found. */
export function readExisting(call: Call, name = call.name): KubeObject {
  const object = call.api.store.get(keyOf(call, name))
  if (object === undefined) throw notFound(subjectOf(call, name))
  return object
}

const METADATA_OF_THE_SERVER = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
]

/** `tracking` of an apply is done by the caller. */
export function tracking(call: Call, operation: 'Apply' | 'Update'): Tracking {
  const { type, subresource } = call
  return {
    schema: type.schema,
    manager: { name: fieldManagerOf(call), operation, apiVersion: groupVersion(type), subresource },
    resetFields: resetFields(type, subresource),
    now: timestamp(call.api.nowMs()),
  }
}

function resetFields(type: ResourceType, subresource: string): readonly (readonly string[])[] {
  if (subresource === 'status') return type.custom === undefined ? [['f:spec']] : [['f:spec'], ['f:metadata']]
  return hasSubresource(type, 'status') ? [['f:status']] : []
}

/** Stores a new object. `input` is decoded; it is changed. `isTracked`: its managers are noted already. */
export function createObject(call: Call, input: KubeObject, isTracked = false): KubeObject {
  const { api, type } = call
  const strategy = strategyOf(type)
  const metadata = metadataOf(input)
  checkNamespace(call, input)
  if (textAt(metadata, 'resourceVersion') !== '')
    throw badRequest('resourceVersion should not be set on objects to be created')
  nameObject(call, input)
  dropEmptyLists(metadata)
  if (!isTracked) trackUpdate(undefined, input, tracking(call, 'Update'))
  for (const name of METADATA_OF_THE_SERVER) delete metadata[name]
  metadata['uid'] = api.newUid()
  metadata['creationTimestamp'] = timestamp(api.nowMs())
  if (strategy.hasGeneration === true) metadata['generation'] = 1
  else delete metadata['generation']
  if (type.isNamespaced) metadata['namespace'] = call.namespace
  else delete metadata['namespace']
  if (hasSubresource(type, 'status') && strategy.keepsStatusOnCreate !== true) delete input['status']
  strategy.prepareCreate?.(input, api)
  validate(call, input, undefined)
  const key = keyOf(call, nameOf(input))
  if (api.store.get(key) !== undefined) throw alreadyExists(subjectOf(call, nameOf(input)))
  return isDryRun(call) ? input : put(call, key, input)
}

function checkNamespace(call: Call, object: KubeObject): void {
  const sent = namespaceOf(object)
  if (call.type.isNamespaced && sent !== '' && sent !== call.namespace) {
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`)
  }
}

const MAX_GENERATED_CHARACTERS = 58

function nameObject(call: Call, object: KubeObject): void {
  const metadata = metadataOf(object)
  const prefix = textAt(metadata, 'generateName')
  if (textAt(metadata, 'name') === '' && prefix !== '') {
    metadata['name'] = prefix.slice(0, MAX_GENERATED_CHARACTERS) + call.api.randomSuffix()
  }
  checkNamespaceIsThere(call, nameOf(object))
}

/** Admission plugin NamespaceLifecycle. */
function checkNamespaceIsThere(call: Call, name: string): void {
  const { api, type, namespace } = call
  if (!type.isNamespaced) return
  const subject = { group: '', resource: 'namespaces', name: namespace }
  const found = api.store.get(`/registry/namespaces/${namespace}`)
  if (found === undefined) throw notFound(subject)
  if (!isBeingDeleted(found)) return
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  }
  throw forbidden(subjectOf(call, name), why, [cause])
}

/**
 * Stores what replaces `existing`. `input` is decoded; it is changed. An update that changes nothing is no write; one that
 * takes the last finalizer of an object that is being deleted away deletes it.
 */
export function updateObject(call: Call, existing: KubeObject, input: KubeObject, isTracked = false): KubeObject {
  const { api, type, subresource } = call
  checkIdentity(call, existing, input)
  const isPatch = call.method === 'PATCH'
  if (type.custom !== undefined && !isPatch && subresource !== 'scale' && versionOf(input) === '')
    throw withoutVersion(call)
  const metadata = metadataOf(input)
  keepMetadata(input, existing)
  dropEmptyLists(metadata)
  if (!isTracked) trackUpdate(existing, input, tracking(call, 'Update'))
  if (subresource === 'status') keepAllButStatus(input, existing, type)
  else if (hasSubresource(type, 'status')) keep(input, existing, 'status')
  const strategy = strategyOf(type)
  strategy.prepareUpdate?.(input, existing, api)
  setGeneration(type, existing, input)
  validate(call, input, existing)
  metadata['resourceVersion'] = versionOf(existing)
  if (isSameButForTimes(existing, input) && !isReadyToGo(input)) return existing
  if (isDryRun(call)) return input
  if (isReadyToGo(input)) return removeObject(call, input)
  return put(call, keyOf(call, nameOf(input)), input)
}

/** Custom resources are never overwritten blindly. */
function withoutVersion(call: Call): Error {
  const problem = invalidValue('metadata.resourceVersion', 0, 'must be specified for an update')
  return invalid({ group: call.type.group, kind: call.type.resource }, call.name, [problem])
}

function checkIdentity(call: Call, existing: KubeObject, input: KubeObject): void {
  if (nameOf(input) !== '' && nameOf(input) !== nameOf(existing)) {
    throw badRequest(
      `the name of the object (${nameOf(input)}) does not match the name on the URL (${nameOf(existing)})`,
    )
  }
  checkNamespace(call, input)
  if (uidOf(input) !== '' && uidOf(input) !== uidOf(existing)) {
    throw conflict(
      subjectOf(call),
      `Precondition failed: UID in precondition: ${uidOf(input)}, UID in object meta: ${uidOf(existing)}`,
    )
  }
  if (versionOf(input) !== '' && versionOf(input) !== versionOf(existing)) throw conflict(subjectOf(call), MODIFIED)
}

function keepMetadata(input: KubeObject, existing: KubeObject): void {
  const metadata = metadataOf(input)
  const before = objectAt(existing, 'metadata')
  for (const name of [
    ...METADATA_OF_THE_SERVER,
    'name',
    'namespace',
    'generation',
    'generateName',
    'resourceVersion',
  ]) {
    const value = before[name]
    if (value === undefined) delete metadata[name]
    else metadata[name] = value
  }
}

/** Lists that are left out of an object when nothing is in them. */
const LISTS_OF_METADATA = ['finalizers', 'ownerReferences']

function dropEmptyLists(metadata: JsonObject): void {
  for (const name of LISTS_OF_METADATA) if (listAt(metadata, name).length === 0) delete metadata[name]
}

/** What an update of the status may not touch. */
function keepAllButStatus(input: KubeObject, existing: KubeObject, type: ResourceType): void {
  const managedFields = objectAt(input, 'metadata')['managedFields']
  for (const name of new Set([...Object.keys(input), ...Object.keys(existing)])) {
    if (name === 'status' || (name === 'metadata' && type.custom === undefined)) continue
    keep(input, existing, name)
  }
  if (managedFields !== undefined) metadataOf(input)['managedFields'] = managedFields
}

function setGeneration(type: ResourceType, existing: KubeObject, input: KubeObject): void {
  const before = objectAt(existing, 'metadata')['generation']
  if (typeof before !== 'number') return
  metadataOf(input)['generation'] = isSpecChanged(type, existing, input) ? before + 1 : before
}

function validate(call: Call, object: KubeObject, existing: KubeObject | undefined): void {
  const { type } = call
  const problems = [
    ...validateMetadata(object, type),
    ...(strategyOf(type).validate?.(object, existing) ?? []),
    ...(type.custom === undefined ? [] : validateCustom(type, object, existing)),
    ...(existing === undefined ? [] : validateFinalizers(object, existing)),
  ]
  if (problems.length > 0) throw invalid(type, nameOf(object), problems)
}

/** Nothing new may hold up a deletion that has begun. */
function validateFinalizers(object: KubeObject, existing: KubeObject): ReturnType<typeof validateMetadata> {
  if (!isBeingDeleted(existing)) return []
  const before = listAt(existing, 'metadata', 'finalizers')
  const added = listAt(object, 'metadata', 'finalizers').filter((finalizer) => !before.includes(finalizer))
  if (added.length === 0) return []
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((name) => JSON.stringify(name)).join(', ')}}`
  return [
    { ...invalidValue('metadata.finalizers', added, why), reason: 'FieldValueForbidden', message: `Forbidden: ${why}` },
  ]
}

/** Being deleted, its time is up, and nothing holds it any more. */
export function isReadyToGo(object: KubeObject): boolean {
  if (!isBeingDeleted(object) || listAt(object, 'metadata', 'finalizers').length > 0) return false
  const held = listAt(object, 'spec', 'finalizers')
  if (textAt(object, 'kind') === 'Namespace' && held.length > 0) return false
  return objectAt(object, 'metadata')['deletionGracePeriodSeconds'] === 0
}

/** Takes the object out of the store; what is returned is its last state. */
export function removeObject(call: Call, object: KubeObject): KubeObject {
  const { api } = call
  const revision = api.store.remove(keyOf(call, nameOf(object)))
  metadataOf(object)['resourceVersion'] = String(revision)
  if (isDefinition(call.type)) api.types.refresh()
  return object
}

function isDefinition(type: ResourceType): boolean {
  return type.group === CRD.group && type.resource === CRD.resource
}

/** Writes it, and what follows from it at once. */
export function put(call: Call, key: string, object: KubeObject): KubeObject {
  const { api, type } = call
  api.store.put(key, object)
  if (!isDefinition(type)) return object
  const answered = clone(object)
  const established = establish(object, api.nowMs())
  if (!isSameButForTimes(object, established)) api.store.put(key, established)
  api.types.refresh()
  return answered
}
