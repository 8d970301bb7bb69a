/** A type that the server knows: where it is served, what it looks like, what may be done with it. */
import type { JsonObject } from '../object.ts'
import type { Schema } from '../schema/schema.ts'

export interface Subresource {
  readonly name: string
  /** Of what is sent and answered; group and version empty: the resource's own. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly verbs: readonly string[]
}

export interface PrinterColumn {
  readonly name: string
  readonly type: string
  readonly format: string
  readonly description: string
  readonly priority: number
  readonly jsonPath: string
}

export interface ScalePaths {
  readonly specReplicas: readonly string[]
  readonly statusReplicas: readonly string[]
  readonly labelSelector: readonly string[] | undefined
}

export interface CustomVersion {
  /** Of the CustomResourceDefinition, for caches of what was compiled from it. */
  readonly definitionVersion: string
  readonly hasStatus: boolean
  readonly scale: ScalePaths | undefined
  readonly columns: readonly PrinterColumn[]
  readonly selectableFields: readonly string[]
  readonly deprecationWarning: string | undefined
  readonly isBeingDeleted: boolean
}

export interface ResourceType {
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly isNamespaced: boolean
  readonly verbs: readonly string[]
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly subresources: readonly Subresource[]
  readonly schema: Schema
  /** As OpenAPI documents show it. */
  readonly schemaName: string
  readonly definitions: Readonly<Record<string, JsonObject>>
  /** Undefined of built-in types. */
  readonly custom: CustomVersion | undefined
}

/** "apps/v1", or "v1" of the core group. */
export function groupVersion(type: { readonly group: string; readonly version: string }): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`
}

export function hasSubresource(type: ResourceType, name: string): boolean {
  return type.subresources.some((subresource) => subresource.name === name)
}

/** The objects of the type, whichever version and group they are served in. */
export function storagePrefix(type: { readonly group: string; readonly resource: string }): string {
  // Events are one set of objects that two groups show.
  const group = type.group === 'events.k8s.io' ? '' : type.group
  return group === '' ? `/registry/${type.resource}/` : `/registry/${group}/${type.resource}/`
}

export function storageKey(type: ResourceType, namespace: string, name: string): string {
  const prefix = storagePrefix(type)
  return type.isNamespaced ? `${prefix}${namespace}/${name}` : `${prefix}${name}`
}
