/** Objects as they travel: plain JSON, read by path, whatever a client has put there. */

export type Json = null | boolean | number | string | Json[] | JsonObject
export interface JsonObject {
  [name: string]: Json
}

/** An object of the API: `apiVersion`, `kind` and `metadata` are there once it was read from the store. */
export type KubeObject = JsonObject

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What stands at the path; undefined when there is nothing. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let found: Json | undefined = value
  for (const name of path) {
    if (!isObject(found) || !Object.hasOwn(found, name)) return undefined
    found = found[name]
  }
  return found
}

/** Empty when there is no text. */
export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = at(value, ...path)
  return typeof found === 'string' ? found : ''
}

export function numberAt(value: Json | undefined, ...path: readonly string[]): number | undefined {
  const found = at(value, ...path)
  return typeof found === 'number' ? found : undefined
}

/** Empty when there is no list. The list itself: what is done to it is done to the object. */
export function listAt(value: Json | undefined, ...path: readonly string[]): Json[] {
  const found = at(value, ...path)
  return Array.isArray(found) ? found : []
}

/** Empty, and not part of `value`, when there is no object. */
export function objectAt(value: Json | undefined, ...path: readonly string[]): JsonObject {
  const found = at(value, ...path)
  return isObject(found) ? found : {}
}

/** Puts `value` there, making the objects on the way. */
export function setAt(target: JsonObject, path: readonly string[], value: Json): void {
  let inner = target
  for (const name of path.slice(0, -1)) {
    const next = inner[name]
    if (isObject(next)) inner = next
    else {
      const made: JsonObject = {}
      inner[name] = made
      inner = made
    }
  }
  const last = path.at(-1)
  if (last !== undefined) inner[last] = value
}

export function removeAt(target: JsonObject, ...path: readonly string[]): void {
  const parent = at(target, ...path.slice(0, -1))
  const last = path.at(-1)
  if (isObject(parent) && last !== undefined) delete parent[last]
}

export function metadataOf(object: KubeObject): JsonObject {
  const metadata = object['metadata']
  if (isObject(metadata)) return metadata
  const made: JsonObject = {}
  object['metadata'] = made
  return made
}

export const nameOf = (object: KubeObject): string => textAt(object, 'metadata', 'name')
export const namespaceOf = (object: KubeObject): string => textAt(object, 'metadata', 'namespace')
export const uidOf = (object: KubeObject): string => textAt(object, 'metadata', 'uid')
export const versionOf = (object: KubeObject): string => textAt(object, 'metadata', 'resourceVersion')
export const isBeingDeleted = (object: KubeObject): boolean => textAt(object, 'metadata', 'deletionTimestamp') !== ''

export function clone<Value extends Json>(value: Value): Value {
  return structuredClone(value)
}

/** Deep, without regard to the order of names. */
export function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, position) => isEqual(item, b[position]))
  if (!isObject(a) || !isObject(b)) return false
  const names = Object.keys(a)
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && isEqual(a[name], b[name]))
  )
}

/** Kubernetes' times: whole seconds, UTC. */
export function timestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z')
}
