/** Types that CustomResourceDefinitions add. Source: Kubernetes docs, custom resources; apiextensions.k8s.io/v1. */
import { at, isObject, listAt, objectAt, textAt, type Json, type JsonObject, type KubeObject } from '../object.ts'
import { makeSchema } from '../schema/schema.ts'
import { resolver, type Definitions } from './built-in.ts'
import type { CustomVersion, PrinterColumn, ResourceType, ScalePaths, Subresource } from './resource-type.ts'

const VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch']
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'

/** One type for each version that is served; none before the names were accepted. */
export function customTypes(crd: KubeObject, builtIn: Definitions): readonly ResourceType[] {
  return listAt(crd, 'spec', 'versions')
    .filter(isObject)
    .filter((version) => at(version, 'served') === true)
    .map((version) => customType(crd, version, builtIn))
}

function customType(crd: KubeObject, version: JsonObject, builtIn: Definitions): ResourceType {
  const names = objectAt(crd, 'spec', 'names')
  const group = textAt(crd, 'spec', 'group')
  const kind = textAt(names, 'kind')
  const schemaName = [...group.split('.').toReversed(), textAt(version, 'name'), kind].join('.')
  const definition = rootSchema(objectAt(version, 'schema', 'openAPIV3Schema'))
  const custom = customVersion(crd, version)
  return {
    group,
    version: textAt(version, 'name'),
    resource: textAt(names, 'plural'),
    singular: textAt(names, 'singular') || kind.toLowerCase(),
    kind,
    listKind: textAt(names, 'listKind') || `${kind}List`,
    isNamespaced: textAt(crd, 'spec', 'scope') === 'Namespaced',
    verbs: VERBS,
    shortNames: listAt(names, 'shortNames').filter((name) => typeof name === 'string'),
    categories: listAt(names, 'categories').filter((name) => typeof name === 'string'),
    subresources: subresourcesOf(custom, kind),
    schema: makeSchema(definition, resolver({ [META]: builtIn[META] ?? {}, ...builtIn })),
    schemaName,
    definitions: { ...builtIn, [schemaName]: definition },
    custom,
  }
}

/** With the fields that every object has, and marked so that an object without properties keeps nothing unknown. */
function rootSchema(schema: JsonObject): JsonObject {
  const marked = markStructural(schema)
  const properties = objectAt(marked, 'properties')
  return {
    ...marked,
    properties: {
      ...properties,
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { ...objectAt(properties, 'metadata'), allOf: [{ $ref: `#/components/schemas/${META}` }] },
    },
  }
}

const NESTED = ['properties', 'patternProperties']

function markStructural(schema: JsonObject): JsonObject {
  const marked: JsonObject = { ...schema, 'x-structural': true }
  for (const name of NESTED) {
    const inner = schema[name]
    if (!isObject(inner)) continue
    marked[name] = Object.fromEntries(
      Object.entries(inner).map(([key, value]): [string, Json] => [
        key,
        isObject(value) ? markStructural(value) : value,
      ]),
    )
  }
  for (const name of ['items', 'additionalProperties']) {
    const inner = schema[name]
    if (isObject(inner)) marked[name] = markStructural(inner)
  }
  return marked
}

function customVersion(crd: KubeObject, version: JsonObject): CustomVersion {
  const scale = at(version, 'subresources', 'scale')
  const isDeprecated = at(version, 'deprecated') === true
  const group = textAt(crd, 'spec', 'group')
  const kind = textAt(crd, 'spec', 'names', 'kind')
  const warning = textAt(version, 'deprecationWarning') || `${group}/${textAt(version, 'name')} ${kind} is deprecated`
  return {
    definitionVersion: `${textAt(crd, 'metadata', 'uid')}/${textAt(crd, 'metadata', 'generation')}`,
    hasStatus: isObject(at(version, 'subresources', 'status')),
    scale: isObject(scale) ? scalePaths(scale) : undefined,
    columns: columnsOf(version),
    selectableFields: listAt(version, 'selectableFields').map((field) => textAt(field, 'jsonPath').replace(/^\./, '')),
    deprecationWarning: isDeprecated ? warning : undefined,
    isBeingDeleted: textAt(crd, 'metadata', 'deletionTimestamp') !== '',
  }
}

function scalePaths(scale: JsonObject): ScalePaths {
  const path = (name: string): readonly string[] =>
    textAt(scale, name)
      .split('.')
      .filter((part) => part !== '')
  return {
    specReplicas: path('specReplicasPath'),
    statusReplicas: path('statusReplicasPath'),
    labelSelector: textAt(scale, 'labelSelectorPath') === '' ? undefined : path('labelSelectorPath'),
  }
}

function columnsOf(version: JsonObject): readonly PrinterColumn[] {
  const own = listAt(version, 'additionalPrinterColumns')
    .filter(isObject)
    .map((column): PrinterColumn => {
      const priority = at(column, 'priority')
      return {
        name: textAt(column, 'name'),
        type: textAt(column, 'type'),
        format: textAt(column, 'format'),
        description: textAt(column, 'description'),
        priority: typeof priority === 'number' ? priority : 0,
        jsonPath: textAt(column, 'jsonPath'),
      }
    })
  return own.length > 0 ? own : [AGE]
}

const AGE: PrinterColumn = {
  name: 'Age',
  type: 'date',
  format: '',
  description: '',
  priority: 0,
  jsonPath: '.metadata.creationTimestamp',
}

function subresourcesOf(custom: CustomVersion, kind: string): readonly Subresource[] {
  const verbs = ['get', 'patch', 'update']
  const status = { name: 'status', group: '', version: '', kind, verbs }
  const scale = { name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs }
  return [...(custom.hasStatus ? [status] : []), ...(custom.scale === undefined ? [] : [scale])]
}
