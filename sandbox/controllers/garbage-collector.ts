/**
 * Deletes what has lost its owners, over all resources there are. A mirror may be a moment behind, so an owner that is
 * not in one is asked for at the API server before anything is deleted for want of it.
 */
import { unreachable } from '../../lib/assert.ts'
import { isProblem } from '../../operator/kube/api-error.ts'
import type { Mirror } from '../client/mirror.ts'
import type { OwnerReference, StoredObject } from '../client/object.ts'
import type { Resource } from '../client/resource.ts'
import { judge } from './garbage.ts'
import type { Loop, Sandbox } from './loop.ts'
import { startLoop } from './loop.ts'
import type { Universe } from './universe.ts'

interface Known {
  readonly object: StoredObject
  readonly resource: Resource
}

export function startGarbageCollector(sandbox: Sandbox, universe: Universe): Loop {
  const collector = new Collector(sandbox, universe)
  const loop = startLoop(sandbox, {
    name: 'garbage-collector',
    reconcile: async (uid) => collector.collect(uid),
    keys: () => collector.uids(),
  })
  universe.onChange((object, isGone) => {
    const owners = collector.note(object, isGone)
    loop.enqueue(object.metadata.uid)
    for (const uid of owners) loop.enqueue(uid)
    const concernsDependents = isGone || object.metadata.deletionTimestamp !== undefined
    if (!concernsDependents) return
    for (const dependent of collector.dependentsOf(object.metadata.uid)) loop.enqueue(dependent.metadata.uid)
  })
  return loop
}

class Collector {
  readonly #sandbox: Sandbox
  readonly #universe: Universe
  readonly #objects = new Map<string, StoredObject>()
  /** UID of an owner → UIDs of what names it. */
  readonly #dependents = new Map<string, Set<string>>()

  constructor(sandbox: Sandbox, universe: Universe) {
    this.#sandbox = sandbox
    this.#universe = universe
  }

  uids(): Iterable<string> {
    return this.#objects.keys()
  }

  /** Returns its owners, also those that it has lost: one of them may have waited for just that. */
  note(object: StoredObject, isGone: boolean): ReadonlySet<string> {
    const { uid } = object.metadata
    const before = ownersOf(this.#objects.get(uid))
    const now = ownersOf(object)
    for (const owner of before) this.#unlink(owner, uid)
    if (isGone) this.#objects.delete(uid)
    else {
      this.#objects.set(uid, object)
      for (const owner of now) this.#link(owner, uid)
    }
    return new Set([...before, ...now])
  }

  dependentsOf(uid: string): readonly StoredObject[] {
    return [...(this.#dependents.get(uid) ?? [])].flatMap((dependent) => this.#objects.get(dependent) ?? [])
  }

  async collect(uid: string): Promise<undefined> {
    const known = this.#find(uid)
    if (known === undefined) return undefined
    const owners = new Map<string, StoredObject>()
    for (const reference of known.object.metadata.ownerReferences ?? []) {
      const owner = await this.#owner(reference, known.object.metadata.namespace)
      if (owner !== undefined) owners.set(reference.uid, owner)
    }
    const verdict = judge(known.object, {
      ownerOf: (reference) => owners.get(reference.uid),
      dependents: this.dependentsOf(uid),
    })
    const { client } = this.#sandbox
    const { resource, object } = known
    const { metadata } = object
    switch (verdict.kind) {
      case 'keep':
        return undefined
      case 'delete': {
        const { propagationPolicy } = verdict
        const { resourceVersion } = metadata
        await client.delete(resource, refOf(object), { uid, resourceVersion, propagationPolicy })
        return undefined
      }
      case 'set-owners':
        return this.#patch(known, { ownerReferences: verdict.owners })
      case 'remove-finalizer': {
        const rest = (metadata.finalizers ?? []).filter((finalizer) => finalizer !== verdict.finalizer)
        return this.#patch(known, { finalizers: rest })
      }
      case 'orphan-dependents':
        for (const dependent of verdict.dependents) {
          const rest = (dependent.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid)
          const found = this.#find(dependent.metadata.uid)
          if (found !== undefined) await this.#patch(found, { ownerReferences: rest })
        }
        return undefined
      default:
        return unreachable(verdict)
    }
  }

  async #patch({ resource, object }: Known, metadata: Readonly<Record<string, unknown>>): Promise<undefined> {
    const { uid, resourceVersion } = object.metadata
    const patch = { metadata: { ...metadata, uid, resourceVersion } }
    try {
      await this.#sandbox.client.patch(resource, refOf(object), patch)
    } catch (error) {
      // Changed or gone meanwhile: the event about it brings us back.
      if (!isProblem(error, 'Conflict', 'NotFound')) throw error
    }
    return undefined
  }

  /** From a mirror, or from the API server when no mirror has it. */
  async #owner(reference: OwnerReference, namespace: string | undefined): Promise<StoredObject | undefined> {
    const known = this.#objects.get(reference.uid)
    if (known !== undefined) return known
    const resource = this.#resourceOf(reference)
    // Of a kind that is not served: nobody can say that it is gone.
    if (resource === undefined) return { ...reference, metadata: { ...reference, resourceVersion: '' } }
    const scope = resource.isNamespaced ? namespace : undefined
    const owner = await this.#sandbox.client.get(resource, { namespace: scope, name: reference.name })
    return owner?.metadata.uid === reference.uid ? owner : undefined
  }

  #find(uid: string): Known | undefined {
    const object = this.#objects.get(uid)
    const resource = object && this.#resourceOf(object)
    return object === undefined || resource === undefined ? undefined : { object, resource }
  }

  #resourceOf({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): Resource | undefined {
    const group = groupOf(apiVersion)
    const isOne = ({ resource }: Mirror): boolean => resource.kind === kind && groupOf(resource.apiVersion) === group
    return this.#universe.mirrors().find(isOne)?.resource
  }

  #link(owner: string, dependent: string): void {
    const known = this.#dependents.get(owner)
    if (known === undefined) this.#dependents.set(owner, new Set([dependent]))
    else known.add(dependent)
  }

  #unlink(owner: string, dependent: string): void {
    const known = this.#dependents.get(owner)
    known?.delete(dependent)
    if (known?.size === 0) this.#dependents.delete(owner)
  }
}

function ownersOf(object: StoredObject | undefined): readonly string[] {
  return (object?.metadata.ownerReferences ?? []).map(({ uid }) => uid)
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
}

function refOf({ metadata }: StoredObject): { readonly namespace: string | undefined; readonly name: string } {
  return { namespace: metadata.namespace, name: metadata.name }
}
