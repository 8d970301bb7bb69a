/** All types that are served now: the built-in ones, and those of the CustomResourceDefinitions in the store. */
import type { ObjectStore } from '../storage.ts'
import { endOfPrefix } from '../storage.ts'
import { builtInTypes, readDefinitions, type Definitions } from './built-in.ts'
import { customTypes } from './custom.ts'
import { storagePrefix, type ResourceType } from './resource-type.ts'

export const CRD = { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' } as const

export class TypeRegistry {
  readonly definitions: Definitions = readDefinitions()
  readonly #builtIn: readonly ResourceType[] = builtInTypes(this.definitions)
  #types: ReadonlyMap<string, ResourceType> = new Map()
  readonly #store: ObjectStore
  #signature = ''

  constructor(store: ObjectStore) {
    this.#store = store
    this.refresh()
  }

  get all(): readonly ResourceType[] {
    return [...this.#types.values()]
  }

  find(group: string, version: string, resource: string): ResourceType | undefined {
    return this.#types.get(`${group}/${version}/${resource}`)
  }

  findKind(group: string, version: string, kind: string): ResourceType | undefined {
    return this.all.find((type) => type.group === group && type.version === version && type.kind === kind)
  }

  /** Changes whenever what is served changes. */
  get signature(): string {
    return this.#signature
  }

  /** Call it after every write of a CustomResourceDefinition. */
  refresh(): void {
    const prefix = storagePrefix(CRD)
    const stored = this.#store.list(prefix, endOfPrefix(prefix), this.#store.revision)
    const custom = stored.flatMap(({ object }) => customTypes(object, this.definitions))
    const types = [...this.#builtIn, ...custom]
    this.#types = new Map(types.map((type) => [`${type.group}/${type.version}/${type.resource}`, type]))
    this.#signature = custom.map((type) => `${type.resource}.${type.group} ${type.custom?.definitionVersion}`).join()
  }
}
