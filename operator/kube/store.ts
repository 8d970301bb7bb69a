/**
 * The last known objects of one kind, as the reflector keeps them: frozen, and reduced to what somebody reads.
 *
 * Invariant: `#byOwner` holds exactly the keys of the objects whose owner is known, and no empty set.
 */
import type { StoredObject } from './object.ts'
import { keyOf } from './object.ts'

export type Change =
  | { readonly kind: 'added'; readonly object: StoredObject }
  | { readonly kind: 'updated'; readonly object: StoredObject; readonly previous: StoredObject }
  | { readonly kind: 'deleted'; readonly object: StoredObject }

/** Key of whom an object belongs to; undefined when it belongs to nobody we know. */
export type OwnerOf = (object: StoredObject) => string | undefined

/** What is kept of an object: always its name, namespace, UID and version. Pure, and once more changes nothing. */
export type Keep = (object: StoredObject) => StoredObject

export class Store {
  readonly #ownerOf: OwnerOf
  readonly #keep: Keep
  readonly #objects = new Map<string, StoredObject>()
  readonly #byOwner = new Map<string, Set<string>>()

  /** By default all but managedFields is kept: they are half of a typical object, and read by nobody here. */
  constructor(ownerOf: OwnerOf = () => undefined, keep: Keep = withoutManagedFields) {
    this.#ownerOf = ownerOf
    this.#keep = keep
  }

  /** As it would be stored: a long list is reduced page by page, and never there as a whole. */
  kept(object: StoredObject): StoredObject {
    return this.#keep(object)
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key)
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys()
  }

  values(): IterableIterator<StoredObject> {
    return this.#objects.values()
  }

  ownedBy(owner: string): readonly StoredObject[] {
    return [...(this.#byOwner.get(owner) ?? [])].flatMap((key) => this.#objects.get(key) ?? [])
  }

  /** Takes over a whole list. What it says of an object that was deleted and recreated meanwhile is two changes. */
  replace(objects: readonly StoredObject[]): readonly Change[] {
    const present = new Set(objects.map(keyOf))
    const gone = [...this.#objects.values()].filter((object) => !present.has(keyOf(object)))
    return [...gone.flatMap((object) => this.remove(object)), ...objects.flatMap((object) => this.set(object))]
  }

  /** No change when this very version is known. */
  set(object: StoredObject): readonly Change[] {
    const key = keyOf(object)
    const previous = this.#objects.get(key)
    const isSameObject = previous?.metadata.uid === object.metadata.uid
    if (isSameObject && previous?.metadata.resourceVersion === object.metadata.resourceVersion) return []
    const kept = deepFreeze(this.#keep(object))
    if (previous !== undefined) this.#unindex(key, previous)
    this.#objects.set(key, kept)
    this.#index(key, kept)
    if (previous === undefined) return [{ kind: 'added', object: kept }]
    if (isSameObject) return [{ kind: 'updated', object: kept, previous }]
    return [
      { kind: 'deleted', object: previous },
      { kind: 'added', object: kept },
    ]
  }

  remove(object: StoredObject): readonly Change[] {
    const key = keyOf(object)
    const previous = this.#objects.get(key)
    if (previous === undefined) return []
    this.#objects.delete(key)
    this.#unindex(key, previous)
    return [{ kind: 'deleted', object: previous }]
  }

  #index(key: string, object: StoredObject): void {
    const owner = this.#ownerOf(object)
    if (owner === undefined) return
    const keys = this.#byOwner.get(owner)
    if (keys === undefined) this.#byOwner.set(owner, new Set([key]))
    else keys.add(key)
  }

  #unindex(key: string, object: StoredObject): void {
    const owner = this.#ownerOf(object)
    if (owner === undefined) return
    const keys = this.#byOwner.get(owner)
    keys?.delete(key)
    if (keys?.size === 0) this.#byOwner.delete(owner)
  }
}

function withoutManagedFields(object: StoredObject): StoredObject {
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
