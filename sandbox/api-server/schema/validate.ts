/** Whether a value is what its schema says. Source: Kubernetes docs, structural schemas; OpenAPI 3.0 schema objects. */
import { isEqual, isObject, type Json, type JsonObject } from '../object.ts'
import { itemElement } from '../patch/field-set.ts'
import { invalidValue, notSupported, quoteValue, required, type FieldProblem } from '../status-error.ts'
import { childSchema, type Schema } from './schema.ts'

/** Paths as users read them: `spec.containers[0].name`. `path` empty: the object itself. */
export function validateStructure(value: Json, schema: Schema, path = ''): readonly FieldProblem[] {
  if (value === null && schema.isNullable) return []
  const typeProblem = validateType(value, schema, path)
  if (typeProblem !== undefined) return [typeProblem]
  const own = [...validateEnum(value, schema, path), ...validateScalar(value, schema, path)]
  if (Array.isArray(value)) return [...own, ...validateList(value, schema, path)]
  if (isObject(value)) return [...own, ...validateObject(value, schema, path)]
  return own
}

export function typeOf(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function validateType(value: Json, schema: Schema, path: string): FieldProblem | undefined {
  const actual = typeOf(value)
  if (schema.isIntOrString) {
    if (actual === 'integer' || actual === 'string') return undefined
    return typeMismatch(path, value, 'integer,string', actual)
  }
  const { type } = schema
  const isRight = type === '' || type === actual || (type === 'number' && actual === 'integer')
  return isRight ? undefined : typeMismatch(path, value, type, actual)
}

function typeMismatch(path: string, value: Json, wanted: string, actual: string): FieldProblem {
  const shown = isObject(value) ? 'object' : Array.isArray(value) ? 'array' : actual
  return {
    field: path,
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${JSON.stringify(shown)}: ${path} in body must be of type ${wanted}: ${JSON.stringify(shown)}`,
  }
}

function validateEnum(value: Json, schema: Schema, path: string): readonly FieldProblem[] {
  const allowed = schema.node['enum']
  if (!Array.isArray(allowed) || allowed.some((item) => isEqual(item, value))) return []
  return [
    notSupported(
      path,
      value,
      allowed.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))),
    ),
  ]
}

function number(node: JsonObject, name: string): number | undefined {
  const value = node[name]
  return typeof value === 'number' ? value : undefined
}

function validateScalar(value: Json, schema: Schema, path: string): readonly FieldProblem[] {
  if (typeof value === 'number') return validateNumber(value, schema.node, path)
  if (typeof value === 'string') return validateText(value, schema.node, path)
  return []
}

function validateNumber(value: number, node: JsonObject, path: string): readonly FieldProblem[] {
  const problems: string[] = []
  const minimum = number(node, 'minimum')
  const maximum = number(node, 'maximum')
  const multipleOf = number(node, 'multipleOf')
  if (minimum !== undefined) {
    if (node['exclusiveMinimum'] === true && value <= minimum) problems.push(`should be greater than ${minimum}`)
    else if (value < minimum) problems.push(`should be greater than or equal to ${minimum}`)
  }
  if (maximum !== undefined) {
    if (node['exclusiveMaximum'] === true && value >= maximum) problems.push(`should be less than ${maximum}`)
    else if (value > maximum) problems.push(`should be less than or equal to ${maximum}`)
  }
  if (multipleOf !== undefined && value % multipleOf !== 0) problems.push(`should be a multiple of ${multipleOf}`)
  const isTooWide = node['format'] === 'int32' && Math.abs(value) > 2 ** 31
  if (isTooWide) problems.push(`must be of type int32: ${JSON.stringify(typeOf(value))}`)
  return problems.map((why) => invalidValue(path, value, `${path} in body ${why}`))
}

function validateText(value: string, node: JsonObject, path: string): readonly FieldProblem[] {
  const characters = Array.from(value).length
  const maxLength = number(node, 'maxLength')
  const minLength = number(node, 'minLength')
  const problems: FieldProblem[] = []
  if (maxLength !== undefined && characters > maxLength) {
    const message = `Too long: may not be more than ${maxLength} bytes`
    problems.push({ field: path, reason: 'FieldValueTooLong', message })
  }
  if (minLength !== undefined && characters < minLength) {
    problems.push(invalidValue(path, value, `${path} in body should be at least ${minLength} chars long`))
  }
  const pattern = node['pattern']
  if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value)) {
    problems.push(invalidValue(path, value, `${path} in body should match '${pattern}'`))
  }
  const format = node['format']
  if (typeof format === 'string' && FORMATS[format]?.test(value) === false) {
    problems.push(invalidValue(path, value, `${path} in body must be of type ${format}: ${JSON.stringify(value)}`))
  }
  return problems
}

/** Those that matter here; others are not looked at, as with a real API server for those that it does not know. */
const FORMATS: Readonly<Record<string, RegExp>> = {
  'date-time': /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/,
  date: /^\d{4}-\d{2}-\d{2}$/,
  uuid: /^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$/,
  byte: /^[A-Za-z0-9+/]*={0,2}$/,
}

function validateList(list: readonly Json[], schema: Schema, path: string): readonly FieldProblem[] {
  const problems: FieldProblem[] = []
  const maxItems = number(schema.node, 'maxItems')
  const minItems = number(schema.node, 'minItems')
  if (maxItems !== undefined && list.length > maxItems) {
    const message = `Too many: ${list.length}: must have at most ${maxItems} items`
    problems.push({ field: path, reason: 'FieldValueTooMany', message })
  }
  if (minItems !== undefined && list.length < minItems) {
    problems.push(invalidValue(path, list.length, `${path} in body should have at least ${minItems} items`))
  }
  const { items } = schema
  if (items === undefined) return problems
  list.forEach((item, index) => problems.push(...validateStructure(item, items, `${path}[${index}]`)))
  return [...problems, ...validateUnique(list, schema, path)]
}

/** Of the lists whose items have keys. */
function validateUnique(list: readonly Json[], schema: Schema, path: string): readonly FieldProblem[] {
  if (schema.listType === 'atomic') return []
  const seen = new Set<string>()
  return list.flatMap((item, index): readonly FieldProblem[] => {
    const element = itemElement(schema, item)
    if (element === undefined) return []
    if (!seen.has(element)) {
      seen.add(element)
      return []
    }
    const shown = quoteValue(schema.listType === 'set' ? item : JSON.parse(element.slice(2)))
    return [{ field: `${path}[${index}]`, reason: 'FieldValueDuplicate', message: `Duplicate value: ${shown}` }]
  })
}

function validateObject(object: JsonObject, schema: Schema, path: string): readonly FieldProblem[] {
  const problems: FieldProblem[] = []
  const needed = schema.node['required']
  for (const name of Array.isArray(needed) ? needed : []) {
    if (typeof name === 'string' && object[name] === undefined) problems.push(required(join(path, name)))
  }
  const count = Object.keys(object).length
  const maxProperties = number(schema.node, 'maxProperties')
  const minProperties = number(schema.node, 'minProperties')
  if (maxProperties !== undefined && count > maxProperties) {
    const message = `Too many: ${count}: must have at most ${maxProperties} properties`
    problems.push({ field: path, reason: 'FieldValueTooMany', message })
  }
  if (minProperties !== undefined && count < minProperties) {
    problems.push(invalidValue(path, count, `${path} in body should have at least ${minProperties} properties`))
  }
  for (const [name, value] of Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const inner = childSchema(schema, name)
    if (inner !== undefined) problems.push(...validateStructure(value, inner, join(path, name)))
  }
  return problems
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

/** The first value of the wrong type: what Go's decoder ends at, for built-in types. */
export function firstTypeMismatch(value: Json, schema: Schema, path = ''): FieldProblem | undefined {
  if (value === null) return undefined
  const own = validateType(value, schema, path)
  if (own !== undefined) return own
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const found = schema.items === undefined ? undefined : firstTypeMismatch(item, schema.items, `${path}[${index}]`)
      if (found !== undefined) return found
    }
  } else if (isObject(value)) {
    for (const [name, inner] of Object.entries(value)) {
      const innerSchema = childSchema(schema, name)
      const found = innerSchema === undefined ? undefined : firstTypeMismatch(inner, innerSchema, join(path, name))
      if (found !== undefined) return found
    }
  }
  return undefined
}
