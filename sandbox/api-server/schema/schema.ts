/**
 * What is known of a value's form, from Kubernetes' OpenAPI (built-in types) or from a CRD: one view of both, read lazily
 * because the types refer to themselves (JSONSchemaProps). Source: Kubernetes API conventions; structural schemas.
 */
import { isObject, type Json, type JsonObject } from '../object.ts'

export interface Schema {
  /** With the keywords that only validation looks at. */
  readonly node: JsonObject
  /** Empty: not said, so anything goes. */
  readonly type: string
  property(name: string): Schema | undefined
  readonly propertyNames: readonly string[]
  /** Of the values of a map; undefined when the names are fixed. */
  readonly additional: Schema | undefined
  readonly items: Schema | undefined
  readonly listType: 'atomic' | 'set' | 'map'
  readonly listMapKeys: readonly string[]
  /** One owner for the whole of it, whatever it is. */
  readonly isAtomic: boolean
  readonly preservesUnknown: boolean
  readonly isIntOrString: boolean
  /** Has apiVersion, kind and metadata of its own. */
  readonly isEmbedded: boolean
  readonly isNullable: boolean
  readonly default: Json | undefined
  /** Strategic merge: by which field items are told apart; undefined when the list is replaced. */
  readonly patchMergeKey: string | undefined
  readonly patchStrategies: readonly string[]
}

export type ResolveReference = (reference: string) => JsonObject

/** Anything, owned as a whole. */
export const ANYTHING: Schema = makeSchema({}, () => ({}))

export function makeSchema(raw: JsonObject, resolve: ResolveReference): Schema {
  const node = flatten(raw, resolve)
  const properties = isObject(node['properties']) ? node['properties'] : {}
  const made = new Map<string, Schema>()
  const child = (key: string, inner: Json | undefined): Schema | undefined => {
    if (!isObject(inner)) return undefined
    const known = made.get(key)
    if (known !== undefined) return known
    const schema = makeSchema(inner, resolve)
    made.set(key, schema)
    return schema
  }
  const type = typeof node['type'] === 'string' ? node['type'] : ''
  const isTyped = type !== '' || node['properties'] !== undefined
  const listType = node['x-kubernetes-list-type']
  const strategy = node['x-kubernetes-patch-strategy']
  const mergeKey = node['x-kubernetes-patch-merge-key']
  const keys = node['x-kubernetes-list-map-keys']
  return {
    node,
    type,
    property: (name) => (Object.hasOwn(properties, name) ? child(`.${name}`, properties[name]) : undefined),
    propertyNames: Object.keys(properties),
    get additional() {
      return child('*', node['additionalProperties'])
    },
    get items() {
      return child('[]', node['items'])
    },
    listType: listType === 'map' || listType === 'set' ? listType : 'atomic',
    listMapKeys: Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : [],
    isAtomic: node['x-kubernetes-map-type'] === 'atomic' || !isTyped,
    preservesUnknown: node['x-kubernetes-preserve-unknown-fields'] === true || !isTyped || isFreeObject(node, type),
    isIntOrString: node['x-kubernetes-int-or-string'] === true || node['format'] === 'int-or-string',
    isEmbedded: node['x-kubernetes-embedded-resource'] === true,
    isNullable: node['nullable'] === true,
    default: node['default'],
    patchMergeKey: typeof mergeKey === 'string' ? mergeKey : undefined,
    patchStrategies: typeof strategy === 'string' ? strategy.split(',') : [],
  }
}

/** `type: object` of a built-in type that says no more (FieldsV1, RawExtension). */
function isFreeObject(node: JsonObject, type: string): boolean {
  return (
    type === 'object' &&
    node['properties'] === undefined &&
    node['additionalProperties'] === undefined &&
    node['x-structural'] !== true
  )
}

/** `$ref`, alone or as the one part of `allOf`, with what stands beside it on top. */
function flatten(raw: JsonObject, resolve: ResolveReference): JsonObject {
  const reference = raw['$ref']
  if (typeof reference === 'string') {
    const { $ref: _, ...rest } = raw
    return { ...flatten(resolve(reference), resolve), ...rest }
  }
  const [only, ...more] = Array.isArray(raw['allOf']) ? raw['allOf'] : []
  if (isObject(only) && more.length === 0 && typeof only['$ref'] === 'string') {
    const { allOf: _, ...rest } = raw
    return { ...flatten(only, resolve), ...rest }
  }
  return raw
}

/** Of a child by name: a field's, or that of a map's values. */
export function childSchema(schema: Schema, name: string): Schema | undefined {
  return schema.property(name) ?? schema.additional
}
