/** Fields that the type does not have: taken out of the object and named, for `fieldValidation`. */
import { isObject, type Json, type JsonObject } from '../object.ts'
import { childSchema, type Schema } from './schema.ts'

/** Changes `value` in place. Returns the paths of what was taken out (`spec.template.foo`, `spec.containers[0].bar`). */
export function prune(value: JsonObject, schema: Schema): readonly string[] {
  const removed: string[] = []
  pruneObject(value, schema, '', removed)
  return removed
}

function pruneValue(value: Json, schema: Schema, path: string, removed: string[]): void {
  if (Array.isArray(value)) {
    const { items } = schema
    if (items !== undefined) value.forEach((item, index) => pruneValue(item, items, `${path}[${index}]`, removed))
  } else if (isObject(value)) pruneObject(value, schema, path, removed)
}

const OF_EVERY_RESOURCE = new Set(['apiVersion', 'kind', 'metadata'])

function pruneObject(object: JsonObject, schema: Schema, path: string, removed: string[]): void {
  for (const [name, value] of Object.entries(object)) {
    const inner = childSchema(schema, name)
    const innerPath = path === '' ? name : `${path}.${name}`
    if (inner !== undefined) pruneValue(value, inner, innerPath, removed)
    else if (!schema.preservesUnknown && !(schema.isEmbedded && OF_EVERY_RESOURCE.has(name))) {
      delete object[name]
      removed.push(innerPath)
    }
  }
}
