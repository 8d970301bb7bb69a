/**
 * Values seen through their schema, for server-side apply: which fields a value has, how two differ, how one is merged
 * into the other, and what is left when fields are taken out.
 * Source: Kubernetes docs, server-side apply (merge strategy); KEP-555; the algorithm of structured-merge-diff.
 */
import { isEqual, isObject, type Json, type JsonObject } from '../object.ts'
import { ANYTHING, childSchema, type Schema } from '../schema/schema.ts'
import { childOf, emptySet, isAssociative, isEmptySet, itemElement, type FieldSet } from './field-set.ts'

/** A value is taken as a whole: a scalar, or what its schema calls atomic. */
function isLeaf(value: Json | undefined, schema: Schema): boolean {
  if (Array.isArray(value)) return !isAssociative(schema)
  return (
    !isObject(value) ||
    (schema.isAtomic && !schema.preservesUnknown) ||
    schema.node['x-kubernetes-map-type'] === 'atomic'
  )
}

const innerSchema = (schema: Schema, name: string): Schema => childSchema(schema, name) ?? ANYTHING
const itemSchema = (schema: Schema): Schema => schema.items ?? ANYTHING

/** The fields that applying this value claims. */
export function fieldsOf(value: Json, schema: Schema): FieldSet {
  const set = emptySet()
  collect(value, schema, set)
  return set
}

function collect(value: Json, schema: Schema, set: FieldSet): void {
  if (isLeaf(value, schema)) {
    set.isMember = true
  } else if (Array.isArray(value)) {
    for (const item of value) {
      const element = itemElement(schema, item)
      if (element === undefined) continue
      const child = childOf(set, element)
      collect(item, itemSchema(schema), child)
      child.isMember = true
    }
  } else if (isObject(value)) {
    for (const [name, inner] of Object.entries(value)) {
      const child = childOf(set, `f:${name}`)
      collect(inner, innerSchema(schema, name), child)
      const isEmptyMap = inner === null || (isObject(inner) && Object.keys(inner).length === 0)
      if (isEmptyMap || schema.property(name) === undefined) child.isMember = true
    }
  }
}

export interface Comparison {
  readonly added: FieldSet
  readonly modified: FieldSet
  readonly removed: FieldSet
}

export function compare(before: Json | undefined, after: Json | undefined, schema: Schema): Comparison {
  const result = { added: emptySet(), modified: emptySet(), removed: emptySet() }
  compareValues(before, after, schema, result)
  dropEmpty(result.added)
  dropEmpty(result.modified)
  dropEmpty(result.removed)
  return result
}

function compareValues(before: Json | undefined, after: Json | undefined, schema: Schema, into: Comparison): void {
  if (before === undefined && after === undefined) return
  const isWhole = isLeafForCompare(before, after, schema)
  if (!isWhole) {
    for (const [element, left, right, inner] of pairs(before, after, schema)) {
      compareValues(left, right, inner, {
        added: childOf(into.added, element),
        modified: childOf(into.modified, element),
        removed: childOf(into.removed, element),
      })
    }
  }
  if (before === undefined) into.added.isMember = true
  else if (after === undefined) into.removed.isMember = true
  else if (isWhole && !isEqual(before, after)) into.modified.isMember = true
}

function isLeafForCompare(before: Json | undefined, after: Json | undefined, schema: Schema): boolean {
  const isEmptyValue = (value: Json | undefined): boolean =>
    value === undefined ||
    value === null ||
    (Array.isArray(value) && value.length === 0) ||
    (isObject(value) && Object.keys(value).length === 0)
  const sides = [before, after].filter((side) => side !== undefined)
  if (sides.some((side) => isLeaf(side, schema) && side !== null)) return true
  return isEmptyValue(before) && isEmptyValue(after)
}

type Pair = readonly [element: string, before: Json | undefined, after: Json | undefined, schema: Schema]

function pairs(before: Json | undefined, after: Json | undefined, schema: Schema): readonly Pair[] {
  if (Array.isArray(before) || Array.isArray(after)) {
    const left = itemsByElement(before, schema)
    const right = itemsByElement(after, schema)
    const elements = new Set([...left.keys(), ...right.keys()])
    return [...elements].map((element): Pair => [element, left.get(element), right.get(element), itemSchema(schema)])
  }
  const left = isObject(before) ? before : {}
  const right = isObject(after) ? after : {}
  const names = new Set([...Object.keys(left), ...Object.keys(right)])
  return [...names].map((name): Pair => [`f:${name}`, left[name], right[name], innerSchema(schema, name)])
}

function itemsByElement(list: Json | undefined, schema: Schema): ReadonlyMap<string, Json> {
  const items = new Map<string, Json>()
  for (const item of Array.isArray(list) ? list : []) {
    const element = itemElement(schema, item)
    if (element !== undefined && !items.has(element)) items.set(element, item)
  }
  return items
}

function dropEmpty(set: FieldSet): void {
  for (const [name, child] of set.children) {
    dropEmpty(child)
    if (isEmptySet(child)) set.children.delete(name)
  }
}

/** `applied` put over `live`: fields of maps and items of associative lists are merged, everything else is replaced. */
export function merge(live: Json | undefined, applied: Json, schema: Schema): Json {
  if (live === undefined || live === null || isLeaf(applied, schema)) return applied
  if (Array.isArray(applied)) return Array.isArray(live) ? mergeLists(live, applied, schema) : applied
  if (!isObject(applied) || !isObject(live)) return applied
  const merged: JsonObject = { ...live }
  for (const [name, value] of Object.entries(applied))
    merged[name] = merge(live[name], value, innerSchema(schema, name))
  return merged
}

/** The order is the applied one's; what only the live list has keeps its place between what both have. */
function mergeLists(live: readonly Json[], applied: readonly Json[], schema: Schema): Json[] {
  const nameOf = (item: Json): string => itemElement(schema, item) ?? JSON.stringify(item)
  const liveByName = new Map(live.map((item) => [nameOf(item), item]))
  const appliedNames = new Set(applied.map(nameOf))
  const shared = applied.map(nameOf).filter((name) => liveByName.has(name))
  const mergeItem = (item: Json): Json => merge(liveByName.get(nameOf(item)), item, itemSchema(schema))
  const merged: Json[] = []
  const done = new Set<string>()
  let left = 0
  let right = 0
  while (left < live.length || right < applied.length) {
    const liveItem = live[left]
    const appliedItem = applied[right]
    if (liveItem !== undefined) {
      const name = nameOf(liveItem)
      const isShared = appliedNames.has(name)
      if (!isShared || done.has(name)) {
        if (!isShared) merged.push(liveItem)
        left++
        continue
      }
      if (appliedItem !== undefined && name !== nameOf(appliedItem) && name !== shared[0]) {
        left++
        continue
      }
      if (appliedItem !== undefined && name === nameOf(appliedItem)) left++
    }
    if (appliedItem !== undefined) {
      const name = nameOf(appliedItem)
      merged.push(mergeItem(appliedItem))
      done.add(name)
      if (shared[0] === name) shared.shift()
      right++
    }
  }
  return merged
}

/** `value` without the fields of `dropped` that `kept` does not have, nor anything below them. */
export function removeFields(value: Json, schema: Schema, dropped: FieldSet, kept: FieldSet | undefined): Json {
  if (isLeaf(value, schema)) return value
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      const element = itemElement(schema, item)
      const left = element === undefined ? item : removeChild(item, itemSchema(schema), element, dropped, kept)
      return left === undefined ? [] : [left]
    })
  }
  if (!isObject(value)) return value
  const result: JsonObject = {}
  for (const [name, inner] of Object.entries(value)) {
    const left = removeChild(inner, innerSchema(schema, name), `f:${name}`, dropped, kept)
    if (left !== undefined) result[name] = left
  }
  return result
}

function removeChild(
  value: Json,
  schema: Schema,
  element: string,
  dropped: FieldSet,
  kept: FieldSet | undefined,
): Json | undefined {
  const drop = dropped.children.get(element)
  if (drop === undefined) return value
  const keep = kept?.children.get(element)
  return keep === undefined ? undefined : removeFields(value, schema, drop, keep)
}
