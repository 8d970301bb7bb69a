/**
 * Sets of fields, as `managedFields` writes them (FieldsV1): a tree whose edges are path elements. "f:name" is a field or
 * a map's key, `k:{"name":"a"}` an item of a list by its keys, `v:"x"` one by its value.
 * Source: Kubernetes docs, server-side apply; meta/v1 FieldsV1.
 */
import { isObject, type Json, type JsonObject } from '../object.ts'
import type { Schema } from '../schema/schema.ts'

export interface FieldSet {
  /** The path to here is itself in the set. */
  isMember: boolean
  readonly children: Map<string, FieldSet>
}

export function emptySet(): FieldSet {
  return { isMember: false, children: new Map() }
}

export function isEmptySet(set: FieldSet): boolean {
  return !set.isMember && set.children.size === 0
}

/** The node there, made if need be. */
export function childOf(set: FieldSet, element: string): FieldSet {
  const known = set.children.get(element)
  if (known !== undefined) return known
  const made = emptySet()
  set.children.set(element, made)
  return made
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const result: FieldSet = { isMember: a.isMember || b.isMember, children: new Map() }
  for (const name of new Set([...a.children.keys(), ...b.children.keys()])) {
    const left = a.children.get(name)
    const right = b.children.get(name)
    const both = left === undefined ? right : right === undefined ? left : union(left, right)
    if (both !== undefined) result.children.set(name, both)
  }
  return result
}

export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const result: FieldSet = { isMember: a.isMember && !b.isMember, children: new Map() }
  for (const [name, left] of a.children) {
    const right = b.children.get(name)
    const rest = right === undefined ? left : difference(left, right)
    if (!isEmptySet(rest)) result.children.set(name, rest)
  }
  return result
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result: FieldSet = { isMember: a.isMember && b.isMember, children: new Map() }
  for (const [name, left] of a.children) {
    const right = b.children.get(name)
    const both = right === undefined ? undefined : intersection(left, right)
    if (both !== undefined && !isEmptySet(both)) result.children.set(name, both)
  }
  return result
}

/** Everything at or below one of the paths taken out. */
export function withoutPaths(set: FieldSet, paths: readonly (readonly string[])[]): FieldSet {
  const result: FieldSet = { isMember: set.isMember, children: new Map(set.children) }
  const byFirst = Map.groupBy(paths, (path) => path[0] ?? '')
  for (const [first, matching] of byFirst) {
    const child = result.children.get(first)
    if (child === undefined) continue
    const deeper = matching.filter((path) => path.length > 1).map((path) => path.slice(1))
    const rest = deeper.length === matching.length ? withoutPaths(child, deeper) : emptySet()
    if (isEmptySet(rest)) result.children.delete(first)
    else result.children.set(first, rest)
  }
  return result
}

export function toFieldsV1(set: FieldSet): JsonObject {
  const json: JsonObject = {}
  if (set.isMember && set.children.size > 0) json['.'] = {}
  for (const name of [...set.children.keys()].toSorted(compareElements)) {
    const child = set.children.get(name)
    if (child !== undefined) json[name] = toFieldsV1(child)
  }
  return json
}

function compareElements(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The root itself is in no set. */
export function fromFieldsV1(json: Json | undefined): FieldSet {
  const set = decodeNode(json)
  set.isMember = false
  return set
}

function decodeNode(json: Json | undefined): FieldSet {
  if (!isObject(json)) return emptySet()
  const set = emptySet()
  for (const [name, inner] of Object.entries(json)) {
    if (name === '.') set.isMember = true
    else set.children.set(name, decodeNode(inner))
  }
  if (set.children.size === 0) set.isMember = true
  return set
}

/** All paths as users read them: `.spec.template.spec.containers[name="a"].image`. */
export function describePaths(set: FieldSet, prefix = ''): readonly string[] {
  const own = set.isMember ? [prefix] : []
  const inner = [...set.children].flatMap(([element, child]) => describePaths(child, prefix + describeElement(element)))
  return [...own, ...inner]
}

export function describeElement(element: string): string {
  const text = element.slice(2)
  if (element.startsWith('f:')) return `.${text}`
  if (element.startsWith('v:')) return `[=${text}]`
  const keys: unknown = JSON.parse(text)
  if (!isObject(keys)) return `[${text}]`
  return `[${Object.entries(keys)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')}]`
}

/** How an item is named in its list; undefined when it has not got the keys. */
export function itemElement(schema: Schema, item: Json): string | undefined {
  if (schema.listType === 'set') return `v:${JSON.stringify(item)}`
  if (!isObject(item)) return undefined
  const keys: JsonObject = {}
  for (const name of [...schema.listMapKeys].toSorted(compareElements)) {
    const value = item[name] ?? schema.items?.property(name)?.default
    if (value !== undefined && value !== null) keys[name] = value
  }
  return Object.keys(keys).length === 0 ? undefined : `k:${JSON.stringify(keys)}`
}

/** Items have owners of their own. */
export function isAssociative(schema: Schema): boolean {
  return schema.listType !== 'atomic'
}
