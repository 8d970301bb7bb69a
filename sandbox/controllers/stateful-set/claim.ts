/**
 * Which objects are a StatefulSet's: those that it controls, and those that nobody controls and its selector chooses. Pure.
 * Source: Kubernetes' pkg/controller/controller_ref_manager.go.
 */
import type { StoredObject } from '../../client/object.ts'
import { controlledBy, controllerUid } from '../../client/object.ts'
import { matches } from '../../client/selector.ts'
import type { StatefulSet } from './model.ts'
import { setPodOf } from './model.ts'

/** Owner references to write, so that the object becomes the set's, or is so no longer; undefined: none. */
export type Claim = Pick<StoredObject['metadata'], 'ownerReferences'> | undefined

/** A revision is never released: only its set knows it. */
export function claimRevision(set: StatefulSet, revision: StoredObject): Claim {
  return mayAdopt(set, revision) ? adoption(set, revision) : undefined
}

export function claimPod(set: StatefulSet, pod: StoredObject): Claim {
  if (mayAdopt(set, pod)) return setPodOf(set.object.metadata.name, pod) === undefined ? undefined : adoption(set, pod)
  const { uid, deletionTimestamp } = set.object.metadata
  if (controllerUid(pod) !== uid || deletionTimestamp !== undefined || isSelected(set, pod)) return undefined
  return { ownerReferences: ownersOf(pod).filter((owner) => owner.uid !== uid) }
}

function mayAdopt(set: StatefulSet, object: StoredObject): boolean {
  const isOrphan = controllerUid(object) === undefined
  const isGoing = [set.object, object].some(({ metadata }) => metadata.deletionTimestamp !== undefined)
  return isOrphan && !isGoing && isSelected(set, object)
}

/** Whatever becomes of it, the set looks at it. */
export function isSelected({ object: { metadata }, spec }: StatefulSet, object: StoredObject): boolean {
  return metadata.namespace === object.metadata.namespace && matches(spec.selector, object.metadata.labels)
}

function adoption({ object }: StatefulSet, adopted: StoredObject): Claim {
  return { ownerReferences: [...ownersOf(adopted), ...controlledBy(object)] }
}

function ownersOf({ metadata }: StoredObject): NonNullable<StoredObject['metadata']['ownerReferences']> {
  return metadata.ownerReferences ?? []
}
