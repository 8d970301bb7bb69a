/** Claims, volumes, storage classes. Source: Kubernetes API reference; docs, persistent volumes. */
import {
  at,
  clone,
  isEqual,
  isObject,
  listAt,
  metadataOf,
  objectAt,
  textAt,
  type JsonObject,
  type KubeObject,
} from '../../object.ts'
import type { Api } from '../../rest/call.ts'
import { endOfPrefix } from '../../storage.ts'
import type { FieldProblem } from '../../status-error.ts'
import { storagePrefix } from '../resource-type.ts'
import type { Strategy } from '../strategy.ts'
import { fill } from './pod-spec.ts'

const IS_DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class'

export function defaultClaimSpec(spec: JsonObject): void {
  fill(spec, { volumeMode: 'Filesystem', resources: {} })
}

function specOf(object: KubeObject): JsonObject {
  const spec = object['spec']
  if (isObject(spec)) return spec
  const made: JsonObject = {}
  object['spec'] = made
  return made
}

/** Admission plugin StorageObjectInUseProtection. */
function protect(object: KubeObject, finalizer: string): void {
  const metadata = metadataOf(object)
  const finalizers = listAt(metadata, 'finalizers')
  if (!finalizers.includes(finalizer)) metadata['finalizers'] = [...finalizers, finalizer]
}

/** Admission plugin DefaultStorageClass. */
function defaultClass(claim: KubeObject, api: Api): void {
  const spec = specOf(claim)
  if (spec['storageClassName'] !== undefined) return
  const prefix = storagePrefix({ group: 'storage.k8s.io', resource: 'storageclasses' })
  const classes = api.store.list(prefix, endOfPrefix(prefix), api.store.revision)
  const chosen = classes.find(({ object }) => textAt(object, 'metadata', 'annotations', IS_DEFAULT_CLASS) === 'true')
  if (chosen !== undefined) spec['storageClassName'] = textAt(chosen.object, 'metadata', 'name')
}

const claim: Strategy = {
  returnsDeleted: true,
  setDefaults: (object) => defaultClaimSpec(specOf(object)),
  prepareCreate: (object, api) => {
    protect(object, 'kubernetes.io/pvc-protection')
    defaultClass(object, api)
    object['status'] = { phase: 'Pending' }
  },
  validate: validateClaimChange,
}

/** A claim is bound once; after that only its size may grow. */
function validateClaimChange(object: KubeObject, existing: KubeObject | undefined): readonly FieldProblem[] {
  if (existing === undefined) return []
  const fixed = (of: KubeObject): JsonObject => {
    const spec = clone(objectAt(of, 'spec'))
    // A volume can grow; what is not bound has none.
    if (textAt(existing, 'status', 'phase') === 'Bound') delete spec['resources']
    delete spec['volumeAttributesClassName']
    if (textAt(existing, 'spec', 'volumeName') === '') delete spec['volumeName']
    if (at(existing, 'spec', 'storageClassName') === undefined) delete spec['storageClassName']
    return spec
  }
  if (isEqual(fixed(object), fixed(existing))) return []
  const message =
    'Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'
  return [{ field: 'spec', reason: 'FieldValueForbidden', message }]
}

const volume: Strategy = {
  returnsDeleted: true,
  setDefaults: (object) => {
    const spec = specOf(object)
    fill(spec, { persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' })
    const hostPath = spec['hostPath']
    if (isObject(hostPath)) fill(hostPath, { type: '' })
  },
  prepareCreate: (object, api) => {
    protect(object, 'kubernetes.io/pv-protection')
    object['status'] = {
      phase: 'Pending',
      lastPhaseTransitionTime: new Date(api.nowMs()).toISOString().slice(0, 19) + 'Z',
    }
  },
}

const storageClass: Strategy = {
  setDefaults: (object) => fill(object, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }),
}

export const storageStrategies: Readonly<Record<string, Strategy>> = {
  '/persistentvolumeclaims': claim,
  '/persistentvolumes': volume,
  'storage.k8s.io/storageclasses': storageClass,
}
