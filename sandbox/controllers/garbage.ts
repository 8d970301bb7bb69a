/**
 * What becomes of an object when its owners go. Pure. Owners are looked up by UID: another object of the same name is
 * another owner. Source: Kubernetes, pkg/controller/garbagecollector.
 */
import type { OwnerReference, StoredObject } from '../client/object.ts'

export const FOREGROUND = 'foregroundDeletion'
export const ORPHAN = 'orphan'

export type Verdict =
  | { readonly kind: 'keep' }
  /** No owner is left. */
  | { readonly kind: 'delete'; readonly propagationPolicy: 'Background' | 'Foreground' }
  /** Some owners are gone, others are not. */
  | { readonly kind: 'set-owners'; readonly owners: readonly OwnerReference[] }
  /** Dependents are gone, or are let go: this finalizer has done its work. */
  | { readonly kind: 'remove-finalizer'; readonly finalizer: string }
  /** Its dependents first. */
  | { readonly kind: 'orphan-dependents'; readonly dependents: readonly StoredObject[] }

export interface Surroundings {
  /** Undefined when the owner is gone for certain. */
  readonly ownerOf: (reference: OwnerReference) => StoredObject | undefined
  readonly dependents: readonly StoredObject[]
}

export function judge(object: StoredObject, { ownerOf, dependents }: Surroundings): Verdict {
  const { deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata
  if (deletionTimestamp !== undefined) return judgeDeleted(object, finalizers, dependents)
  if (ownerReferences.length === 0) return { kind: 'keep' }
  const present = ownerReferences.filter((reference) => ownerOf(reference) !== undefined)
  if (present.length === 0) return { kind: 'delete', propagationPolicy: policyOf(finalizers) }
  const staying = present.filter((reference) => !isWaitingFor(ownerOf(reference), reference))
  if (staying.length === 0) {
    const isOwner = dependents.some(blocks(object))
    return { kind: 'delete', propagationPolicy: isOwner ? 'Foreground' : policyOf(finalizers) }
  }
  return staying.length === ownerReferences.length ? { kind: 'keep' } : { kind: 'set-owners', owners: staying }
}

function judgeDeleted(
  object: StoredObject,
  finalizers: readonly string[],
  dependents: readonly StoredObject[],
): Verdict {
  if (finalizers.includes(ORPHAN)) {
    if (dependents.length > 0) return { kind: 'orphan-dependents', dependents }
    return { kind: 'remove-finalizer', finalizer: ORPHAN }
  }
  if (!finalizers.includes(FOREGROUND) || dependents.some(blocks(object))) return { kind: 'keep' }
  return { kind: 'remove-finalizer', finalizer: FOREGROUND }
}

/** Whether the owner is being deleted and waits for this dependent to go first. */
function isWaitingFor(owner: StoredObject | undefined, reference: OwnerReference): boolean {
  const isForeground = owner?.metadata.finalizers?.includes(FOREGROUND) === true
  return owner?.metadata.deletionTimestamp !== undefined && isForeground && reference.blockOwnerDeletion === true
}

/** Dependents that an owner, deleted in the foreground, waits for. */
function blocks(owner: StoredObject): (dependent: StoredObject) => boolean {
  return ({ metadata }) =>
    metadata.ownerReferences?.some(
      ({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion === true,
    ) === true
}

function policyOf(finalizers: readonly string[]): 'Background' | 'Foreground' {
  return finalizers.includes(FOREGROUND) ? 'Foreground' : 'Background'
}
