/**
 * The rules in CEL that a CustomResourceDefinition sets for its objects. A library evaluates CEL; here is what Kubernetes adds
 * to it: `self` and `oldSelf`, quantities, which rules are looked at, and the words of a refusal.
 *
 * On an update a rule that speaks of the present alone is not asked again where nothing has changed (KEP-4008); one that
 * speaks of `oldSelf` is asked only where there was a value before.
 * Source: Kubernetes docs, CRD validation rules; KEP-2876.
 */
import { Environment } from '@marcbachmann/cel-js'
import { parseQuantity } from '../../../lib/quantity.ts'
import { isEqual, isObject, listAt, objectAt, textAt, type Json, type JsonObject } from '../object.ts'
import { quoteValue, type FieldProblem } from '../status-error.ts'
import { childSchema, type Schema } from './schema.ts'

const RULES = 'x-kubernetes-validations'

interface Rule {
  readonly source: string
  readonly isTransition: boolean
  readonly message: string
  readonly reason: FieldProblem['reason']
  /** Below the value that the rule stands at; empty, or with its dot: `.replicas`. */
  readonly fieldPath: string
  readonly holds: (values: Values) => unknown
  readonly words: ((values: Values) => unknown) | undefined
}

type Values = { readonly self: unknown; readonly oldSelf?: unknown }

class Quantity {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

const ENVIRONMENT = new Environment()
  .registerType('Quantity', { ctor: Quantity, fields: {} })
  .registerFunction('isQuantity(string): bool', (text: string) => parseQuantity(text) !== undefined)
  .registerFunction('quantity(string): Quantity', (text: string) => {
    const value = parseQuantity(text)
    if (value === undefined) throw new Error(`${JSON.stringify(text)} is not a quantity`)
    return new Quantity(value)
  })
  .registerFunction('Quantity.compareTo(Quantity): int', (a: Quantity, b: Quantity) =>
    BigInt(Math.sign(a.value - b.value)),
  )
  .registerFunction('Quantity.isGreaterThan(Quantity): bool', (a: Quantity, b: Quantity) => a.value > b.value)
  .registerFunction('Quantity.isLessThan(Quantity): bool', (a: Quantity, b: Quantity) => a.value < b.value)
  .registerFunction('Quantity.sign(): int', ({ value }: Quantity) => BigInt(Math.sign(value)))
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn')

const REASONS: Readonly<Record<string, FieldProblem['reason']>> = {
  FieldValueRequired: 'FieldValueRequired',
  FieldValueForbidden: 'FieldValueForbidden',
  FieldValueDuplicate: 'FieldValueDuplicate',
}

/** By the schema's node: made when it is first needed, and gone with the definition. */
const compiled = new WeakMap<JsonObject, readonly Rule[]>()

export function validateRules(value: Json, old: Json | undefined, schema: Schema): readonly FieldProblem[] {
  return problemsOf(value, old, schema, '')
}

function problemsOf(value: Json, old: Json | undefined, schema: Schema, path: string): readonly FieldProblem[] {
  if (value === null) return []
  const own = rulesOf(schema.node).flatMap((rule) => problemOf(rule, value, old, schema, path) ?? [])
  if (Array.isArray(value)) {
    const { items } = schema
    if (items === undefined) return own
    const before = Array.isArray(old) ? old : []
    return [
      ...own,
      ...value.flatMap((item, index) =>
        problemsOf(item, counterpart(schema, item, before), items, `${path}[${index}]`),
      ),
    ]
  }
  if (!isObject(value)) return own
  const before = isObject(old) ? old : {}
  return [
    ...own,
    ...Object.entries(value).flatMap(([name, inner]) => {
      const innerSchema = childSchema(schema, name)
      if (innerSchema === undefined) return []
      return problemsOf(inner, before[name], innerSchema, path === '' ? name : `${path}.${name}`)
    }),
  ]
}

/** Only items with keys can be told to be the same as before. */
function counterpart({ listType, listMapKeys }: Schema, item: Json, before: readonly Json[]): Json | undefined {
  if (listType !== 'map' || !isObject(item)) return undefined
  return before.find((old) => isObject(old) && listMapKeys.every((key) => isEqual(old[key] ?? null, item[key] ?? null)))
}

function problemOf(
  rule: Rule,
  value: Json,
  old: Json | undefined,
  schema: Schema,
  path: string,
): FieldProblem | undefined {
  const isUnchanged = old !== undefined && isEqual(old, value)
  if (rule.isTransition ? old === undefined : isUnchanged) return undefined
  const oldSelf = old === undefined ? undefined : toCel(old, schema, path === '')
  const values: Values = { self: toCel(value, schema, path === ''), ...(oldSelf !== undefined && { oldSelf }) }
  const why = refusal(rule, values)
  if (why === undefined) return undefined
  const field = `${path}${rule.fieldPath}`.replace(/^\./, '')
  return { field: field === '' ? '<nil>' : field, reason: rule.reason, message: messageOf(rule.reason, value, why) }
}

function refusal(rule: Rule, values: Values): string | undefined {
  try {
    if (rule.holds(values) === true) return undefined
  } catch (error) {
    return `rule evaluation error: ${textOf(error)} evaluating rule: ${rule.source}`
  }
  if (rule.words === undefined) return rule.message
  try {
    const words = rule.words(values)
    return typeof words === 'string' && words.trim() !== '' ? words : rule.message
  } catch {
    return rule.message
  }
}

/** A value that is large is not shown. */
function messageOf(reason: FieldProblem['reason'], value: Json, why: string): string {
  const shown = typeof value === 'object' ? '' : `${quoteValue(value)}: `
  if (reason === 'FieldValueRequired') return `Required value: ${why}`
  if (reason === 'FieldValueForbidden') return `Forbidden: ${why}`
  if (reason === 'FieldValueDuplicate') return `Duplicate value: ${shown}${why}`
  return `Invalid value: ${shown}${why}`
}

/** With CEL's numbers: JSON does not tell 1 from 1.0, the schema does. Of the whole object, a rule sees the name only. */
function toCel(value: Json, schema: Schema, isRoot = false): unknown {
  if (typeof value === 'number') {
    return (schema.type === 'integer' || schema.type === '') && Number.isInteger(value) ? BigInt(value) : value
  }
  if (schema.isIntOrString || value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) {
    const { items } = schema
    return value.map((item) => (items === undefined ? item : toCel(item, items)))
  }
  const entries = Object.entries(value).flatMap(([name, inner]): readonly (readonly [string, unknown])[] => {
    if (isRoot && name === 'metadata') return [[name, namesOf(inner)]]
    const innerSchema = childSchema(schema, name)
    return innerSchema === undefined ? [] : [[name, toCel(inner, innerSchema)]]
  })
  return Object.fromEntries(entries)
}

function namesOf(metadata: Json): JsonObject {
  if (!isObject(metadata)) return {}
  const { name, generateName } = metadata
  return { ...(name !== undefined && { name }), ...(generateName !== undefined && { generateName }) }
}

function rulesOf(node: JsonObject): readonly Rule[] {
  const known = compiled.get(node)
  if (known !== undefined) return known
  const rules = listAt(node, RULES).filter(isObject).map(compile)
  compiled.set(node, rules)
  return rules
}

/** Throws when the rule is none. */
function compile(rule: JsonObject): Rule {
  const source = textAt(rule, 'rule')
  const expression = textAt(rule, 'messageExpression')
  // The library's checker gives an optional's value no type that a field could be taken from.
  if (rule['optionalOldSelf'] === true) throw new Error('the sandbox does not know optionalOldSelf')
  return {
    source,
    isTransition: /\boldSelf\b/.test(source),
    message: textAt(rule, 'message') || `failed rule: ${source}`,
    reason: REASONS[textAt(rule, 'reason')] ?? 'FieldValueInvalid',
    fieldPath: textAt(rule, 'fieldPath'),
    holds: compiledText(source),
    words: expression === '' ? undefined : compiledText(expression),
  }
}

function compiledText(source: string): (values: Values) => unknown {
  const parsed = ENVIRONMENT.parse(source)
  const { valid, error } = parsed.check()
  if (!valid) throw error ?? new Error(`${source} is not valid`)
  return (values) => parsed({ ...values })
}

/** Of a CustomResourceDefinition: the rules that cannot be compiled. */
export function uncompilable(crd: JsonObject): readonly FieldProblem[] {
  return listAt(crd, 'spec', 'versions').flatMap((version, index) =>
    uncompilableIn(objectAt(version, 'schema', 'openAPIV3Schema'), `spec.versions[${index}].schema.openAPIV3Schema`),
  )
}

function uncompilableIn(node: JsonObject, path: string): readonly FieldProblem[] {
  const own = listAt(node, RULES).flatMap((rule, index): readonly FieldProblem[] => {
    if (!isObject(rule)) return []
    try {
      compile(rule)
      return []
    } catch (error) {
      const message = `Invalid value: ${JSON.stringify(textAt(rule, 'rule'))}: compilation failed: ${textOf(error)}`
      return [{ field: `${path}.${RULES}[${index}].rule`, reason: 'FieldValueInvalid', message }]
    }
  })
  const inner = ['items', 'additionalProperties'].flatMap((name) => {
    const child = node[name]
    return isObject(child) ? uncompilableIn(child, `${path}.${name}`) : []
  })
  const properties = Object.entries(objectAt(node, 'properties')).flatMap(([name, child]) =>
    isObject(child) ? uncompilableIn(child, `${path}.properties[${name}]`) : [],
  )
  return [...own, ...inner, ...properties]
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
