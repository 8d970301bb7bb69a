/**
 * Strategic merge patches of built-in types: lists that have a merge key are merged item by item, and directives
 * (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList`, `$setElementOrder`) say what a merge alone cannot.
 * Source: Kubernetes docs, "Update API objects in place using kubectl patch"; sig-api-machinery, strategic-merge-patch.
 */
import { clone, isEqual, isObject, type Json, type JsonObject } from '../object.ts'
import { ANYTHING, childSchema, type Schema } from '../schema/schema.ts'
import { badRequest } from '../status-error.ts'

const DELETE_ITEMS = '$deleteFromPrimitiveList/'
const ORDER = '$setElementOrder/'

export function applyStrategicPatch(target: JsonObject, patch: JsonObject, schema: Schema): JsonObject {
  return mergeObjects(target, patch, schema)
}

function mergeObjects(target: JsonObject, patch: JsonObject, schema: Schema): JsonObject {
  const directive = patch['$patch']
  if (directive === 'replace') return withoutDirectives(patch)
  if (directive === 'delete') return {}
  if (directive !== undefined && directive !== 'merge') {
    throw badRequest(`unrecognized directive in the patch: ${JSON.stringify(directive)}`)
  }
  const merged: JsonObject = retain({ ...target }, patch['$retainKeys'])
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$')) continue
    const inner = childSchema(schema, name) ?? ANYTHING
    if (value === null) delete merged[name]
    else if (isObject(value)) mergeMember(merged, name, value, inner)
    else if (Array.isArray(value)) merged[name] = mergeLists(merged[name], value, inner, patch[`${ORDER}${name}`])
    else merged[name] = value
  }
  for (const [name, value] of Object.entries(patch)) applyListDirective(merged, patch, name, value, schema)
  return merged
}

function mergeMember(merged: JsonObject, name: string, value: JsonObject, schema: Schema): void {
  const before = merged[name]
  if (value['$patch'] === 'delete') delete merged[name]
  else if (schema.patchStrategies.includes('replace')) merged[name] = withoutDirectives(value)
  else merged[name] = mergeObjects(isObject(before) ? before : {}, value, schema)
}

function applyListDirective(merged: JsonObject, patch: JsonObject, name: string, value: Json, schema: Schema): void {
  if (name.startsWith(DELETE_ITEMS) && Array.isArray(value)) {
    const field = name.slice(DELETE_ITEMS.length)
    const list = merged[field]
    if (Array.isArray(list)) merged[field] = list.filter((item) => !value.some((gone) => isEqual(gone, item)))
  } else if (name.startsWith(ORDER) && Array.isArray(value)) {
    const field = name.slice(ORDER.length)
    const list = merged[field]
    const inner = childSchema(schema, field)
    if (Array.isArray(list) && patch[field] === undefined && inner !== undefined)
      merged[field] = order(list, value, inner)
  }
}

function retain(target: JsonObject, keys: Json | undefined): JsonObject {
  if (!Array.isArray(keys)) return target
  return Object.fromEntries(Object.entries(target).filter(([name]) => keys.includes(name)))
}

function withoutDirectives(patch: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(patch)
      .filter(([name, value]) => !name.startsWith('$') && value !== null)
      .map(([name, value]) => [name, isObject(value) ? withoutDirectives(value) : clone(value)]),
  )
}

function mergeLists(
  before: Json | undefined,
  patch: readonly Json[],
  schema: Schema,
  wanted: Json | undefined,
): Json[] {
  const isReplaced = patch.some((item) => isObject(item) && item['$patch'] === 'replace')
  const items = patch.filter((item) => !(isObject(item) && item['$patch'] === 'replace'))
  if (isReplaced || !schema.patchStrategies.includes('merge')) return items.map((item) => clean(item))
  const live = Array.isArray(before) ? before : []
  const merged = schema.patchMergeKey === undefined ? mergeSet(live, items) : mergeItems(live, items, schema)
  return Array.isArray(wanted) ? order(merged, wanted, schema) : merged
}

const clean = (item: Json): Json => (isObject(item) ? withoutDirectives(item) : clone(item))

function mergeSet(live: readonly Json[], items: readonly Json[]): Json[] {
  return [...live, ...items.filter((item) => !live.some((other) => isEqual(item, other)))]
}

function mergeItems(live: readonly Json[], items: readonly Json[], schema: Schema): Json[] {
  const key = schema.patchMergeKey ?? ''
  const merged = [...live]
  const added: Json[] = []
  for (const item of items) {
    if (!isObject(item)) throw badRequest(`an item of a list that is merged by ${key} is not an object`)
    const name = item[key]
    if (name === undefined) throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)
    const position = merged.findIndex((other) => isObject(other) && isEqual(other[key], name))
    const before = merged[position]
    if (item['$patch'] === 'delete') {
      if (position !== -1) merged.splice(position, 1)
    } else if (isObject(before)) merged[position] = mergeObjects(before, item, schema.items ?? ANYTHING)
    else added.push(mergeObjects({}, item, schema.items ?? ANYTHING))
  }
  return [...added, ...merged]
}

/** What the order names stands in that order; what it does not name keeps its place among the others. */
function order(list: readonly Json[], wanted: readonly Json[], schema: Schema): Json[] {
  const key = schema.patchMergeKey
  const nameOf = (item: Json): Json => (key !== undefined && isObject(item) ? (item[key] ?? null) : item)
  const rank = (item: Json): number => wanted.findIndex((other) => isEqual(nameOf(other), nameOf(item)))
  const ranked = list.filter((item) => rank(item) !== -1).toSorted((a, b) => rank(a) - rank(b))
  const next = ranked.values()
  return list.map((item) => (rank(item) === -1 ? item : (next.next().value ?? item)))
}
