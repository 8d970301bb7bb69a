/** What a schema says to put where nothing is. Source: Kubernetes docs, CRD defaulting; Go's zero values of structs. */
import { clone, isObject, type Json, type JsonObject } from '../object.ts'
import { childSchema, type Schema } from './schema.ts'

/**
 * In place. `zeroValues`: of built-in types, whose defaults also say which parts are never absent (`resources: {}`), and
 * where a scalar's empty default means nothing.
 */
export function applyDefaults(object: JsonObject, schema: Schema, zeroValues: boolean): void {
  for (const name of schema.propertyNames) {
    const inner = schema.property(name)
    if (inner?.default === undefined) continue
    const value = object[name]
    const isMissing = value === undefined || (value === null && !inner.isNullable)
    if (isMissing && !(zeroValues && isZero(inner.default))) object[name] = clone(inner.default)
  }
  for (const [name, value] of Object.entries(object)) {
    const inner = childSchema(schema, name)
    if (inner !== undefined) applyWithin(value, inner, zeroValues)
  }
}

function isZero(value: Json): boolean {
  return value === '' || value === 0 || value === false || value === null
}

function applyWithin(value: Json, schema: Schema, zeroValues: boolean): void {
  if (isObject(value)) applyDefaults(value, schema, zeroValues)
  else if (Array.isArray(value) && schema.items !== undefined) {
    for (const item of value) applyWithin(item, schema.items, zeroValues)
  }
}

/** Go drops what is null; in place. */
export function dropNulls(value: Json): void {
  if (Array.isArray(value)) for (const item of value) dropNulls(item)
  else if (isObject(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (inner === null) delete value[name]
      else dropNulls(inner)
    }
  }
}
