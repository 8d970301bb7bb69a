/** One request to a resource, and what its handler needs. */
import type { JsonObject, KubeObject } from '../object.ts'
import type { TypeRegistry } from '../resources/registry.ts'
import type { ResourceType } from '../resources/resource-type.ts'
import { badRequest, invalidOptions, notSupported, type Subject } from '../status-error.ts'
import type { ObjectStore } from '../storage.ts'

export interface User {
  readonly name: string
  readonly groups: readonly string[]
  readonly uid?: string
}

export interface Settings {
  readonly mode: 'always-allow' | 'rbac'
  /** The answer to who may do what; of `auth/`. */
  readonly clusterIpPrefix: string
}

export interface Api {
  readonly store: ObjectStore
  readonly types: TypeRegistry
  readonly settings: Settings
  nowMs(): number
  newUid(): string
  /** Lower-case letters and digits that make up no words, for generated names. */
  randomSuffix(): string
}

export interface Call {
  readonly api: Api
  /** Of HTTP. */
  readonly method: string
  readonly type: ResourceType
  readonly namespace: string
  readonly name: string
  readonly subresource: string
  readonly query: URLSearchParams
  readonly user: User
  readonly userAgent: string
  readonly contentType: string
  /** Undefined when there was none. */
  readonly body: Buffer
  /** Sent as `Warning` headers. */
  readonly warnings: string[]
}

export interface Answer {
  readonly status: number
  readonly object: JsonObject
}

export function subjectOf(call: Call, name = call.name): Subject {
  return { group: call.type.group, resource: call.type.resource, name }
}

/** What the parameters of a write are called in refusals. */
export function optionsKind({ method }: Call): string {
  return { POST: 'CreateOptions', PUT: 'UpdateOptions', DELETE: 'DeleteOptions' }[method] ?? 'PatchOptions'
}

export function isDryRun(call: Call): boolean {
  const values = call.query.getAll('dryRun')
  if (values.some((value) => value !== 'All')) {
    throw invalidOptions(optionsKind(call), notSupported('dryRun', values, ['All']))
  }
  return values.length > 0
}

const MAX_MANAGER_CHARACTERS = 128

/** What `managedFields` calls the writer: a parameter, or the first word of what the client calls itself. */
export function fieldManagerOf(call: Call): string {
  const named = call.query.get('fieldManager') ?? ''
  if (named.length > MAX_MANAGER_CHARACTERS) throw badRequest(`fieldManager: Invalid value: may not be longer than 128`)
  return named === '' ? (call.userAgent.split('/')[0] ?? '').slice(0, MAX_MANAGER_CHARACTERS) || 'unknown' : named
}

/** Kinds whose writes are `apiVersion` and `kind` of the type in the path. */
export function asType(
  object: KubeObject,
  type: { readonly group: string; readonly version: string; readonly kind: string },
): KubeObject {
  const { kind: _kind, apiVersion: _apiVersion, ...rest } = object
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`
  return { kind: type.kind, apiVersion, ...rest }
}
