/**
 * What keeps an applied value from being seen through its schema at all: a value of another type, a field that is none. It
 * is refused before anything is merged, in the words of structured-merge-diff (typed/validate.go), which are Go's.
 */
import { isObject, type Json } from '../object.ts'
import { childSchema, type Schema } from '../schema/schema.ts'
import { describeElement, itemElement } from './field-set.ts'

export function typeProblems(value: Json, schema: Schema, path = ''): readonly string[] {
  const but = (expected: string): readonly string[] => [`${path === '' ? '' : `${path}: `}expected ${expected}`]
  if (value === null || schema.isIntOrString) return []
  switch (schema.type) {
    case 'string':
      return typeof value === 'string'
        ? []
        : but(`string, got &value.valueUnstructured{Value:${JSON.stringify(value)}}`)
    case 'integer':
    case 'number':
      return typeof value === 'number' ? [] : but(`numeric (int or float), got ${goType(value)}`)
    case 'boolean':
      return typeof value === 'boolean' ? [] : but(`boolean, got &{${goText(value)}}`)
    case 'array':
      return Array.isArray(value) ? problemsOfItems(value, schema, path) : but(`list, got &{${goText(value)}}`)
    case 'object':
      return isObject(value) ? problemsOfFields(value, schema, path) : but(`map, got &{${goText(value)}}`)
    default:
      return []
  }
}

function problemsOfItems(list: readonly Json[], schema: Schema, path: string): readonly string[] {
  const { items } = schema
  if (items === undefined) return []
  return list.flatMap((item, index) => {
    const element = schema.listType === 'atomic' ? undefined : itemElement(schema, item)
    return typeProblems(item, items, path + (element === undefined ? `[${index}]` : describeElement(element)))
  })
}

function problemsOfFields(object: Readonly<Record<string, Json>>, schema: Schema, path: string): readonly string[] {
  return Object.entries(object).flatMap(([name, value]) => {
    const inner = childSchema(schema, name)
    if (inner !== undefined) return typeProblems(value, inner, `${path}.${name}`)
    return schema.preservesUnknown || schema.isEmbedded ? [] : [`${path}.${name}: field not declared in schema`]
  })
}

/** `%T` of what JSON can hold. */
function goType(value: Json): string {
  if (Array.isArray(value)) return '[]interface {}'
  if (isObject(value)) return 'map[string]interface {}'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

/** `%v` of it. */
function goText(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (!isObject(value)) return value === null ? '<nil>' : String(value)
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `map[${fields.map(([name, inner]) => `${name}:${goText(inner)}`).join(' ')}]`
}
