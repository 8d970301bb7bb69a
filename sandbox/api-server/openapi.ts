/** OpenAPI v3, as far as kubectl reads it: the schemas of a group, and which parameters its operations take. */
import { createHash } from 'node:crypto'
import { at, isObject, type Json, type JsonObject } from './object.ts'
import { groupVersion, hasSubresource, type ResourceType } from './resources/resource-type.ts'

const REFERENCE = '#/components/schemas/'
const PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml']
const SCALE = 'io.k8s.api.autoscaling.v1.Scale'
const STRATEGIC = 'application/strategic-merge-patch+json'

function documentPath(type: { readonly group: string; readonly version: string }): string {
  return type.group === '' ? `api/${type.version}` : `apis/${type.group}/${type.version}`
}

/** The root document: where the others are. */
export function openapiIndex(types: readonly ResourceType[], signature: string): JsonObject {
  const paths: JsonObject = {}
  for (const type of types) {
    const path = documentPath(type)
    const hash = createHash('sha512')
      .update(`${path} ${type.custom === undefined ? '' : signature}`)
      .digest('hex')
    paths[path] ??= { serverRelativeURL: `/openapi/v3/${path}?hash=${hash.toUpperCase()}` }
  }
  return { paths }
}

/** Undefined when nothing is served there. `path`: "apis/apps/v1". */
export function openapiDocument(types: readonly ResourceType[], path: string): JsonObject | undefined {
  const served = types.filter((type) => documentPath(type) === path)
  const [first] = served
  if (first === undefined) return undefined
  const definitions: Readonly<Record<string, JsonObject>> = Object.assign({}, ...served.map((type) => type.definitions))
  const paths: JsonObject = {}
  const wanted = new Set<string>([
    'io.k8s.apimachinery.pkg.apis.meta.v1.Status',
    'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
  ])
  for (const type of served) {
    wanted.add(type.schemaName)
    if (hasSubresource(type, 'scale')) wanted.add(SCALE)
    Object.assign(paths, pathsOf(type))
  }
  for (const name of wanted) for (const other of references(definitions[name] ?? {})) wanted.add(other)
  const schemas: JsonObject = {}
  for (const name of [...wanted].toSorted()) {
    const schema = definitions[name]
    if (schema !== undefined) schemas[name] = schema
  }
  for (const type of served) if (type.custom !== undefined) schemas[type.schemaName] = customSchema(type)
  return {
    openapi: '3.0.0',
    info: { title: 'raftkv sandbox, a stand-in for Kubernetes', version: '1.36' },
    paths,
    components: { schemas },
  }
}

function customSchema(type: ResourceType): JsonObject {
  const { group, version, kind } = type
  const schema = withoutMarks(type.definitions[type.schemaName] ?? {})
  return { ...(isObject(schema) ? schema : {}), 'x-kubernetes-group-version-kind': [{ group, version, kind }] }
}

function withoutMarks(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutMarks)
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([name]) => name !== 'x-structural')
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutMarks(inner)]))
}

function references(value: Json): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(references)
  if (!isObject(value)) return []
  const own = at(value, '$ref')
  const here = typeof own === 'string' ? [own.slice(REFERENCE.length)] : []
  return [...here, ...Object.values(value).flatMap(references)]
}

function parameter(name: string, type = 'string'): JsonObject {
  return { name, in: 'query', schema: { type, uniqueItems: true } }
}

const WRITE = [parameter('dryRun'), parameter('fieldManager'), parameter('fieldValidation')]

/** What an operation takes and answers. */
type Shown = Pick<ResourceType, 'group' | 'version' | 'kind' | 'schemaName'>

function contentOf({ schemaName }: Shown): JsonObject {
  return { 'application/json': { schema: { $ref: `${REFERENCE}${schemaName}` } } }
}

function operation(type: Shown, action: string, more: JsonObject): JsonObject {
  const { group, version, kind } = type
  const content = contentOf(type)
  return {
    tags: [`${group === '' ? 'core' : group.split('.')[0]}_${version}`],
    responses: { 200: { description: 'OK', content } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, version, kind },
    ...more,
  }
}

function pathsOf(type: ResourceType): JsonObject {
  const root = type.group === '' ? '/api/v1' : `/apis/${groupVersion(type)}`
  const everywhere = `${root}/${type.resource}`
  const collection = type.isNamespaced ? `${root}/namespaces/{namespace}/${type.resource}` : everywhere
  const list = operation(type, 'list', {
    parameters: [parameter('labelSelector'), parameter('fieldSelector'), parameter('limit', 'integer')],
  })
  const write = { parameters: WRITE, requestBody: { content: contentOf(type), required: true } }
  const post = operation(type, 'post', write)
  if (!type.verbs.includes('get')) return { [collection]: { post } }
  const deletion = {
    parameters: [parameter('dryRun'), parameter('gracePeriodSeconds', 'integer'), parameter('propagationPolicy')],
  }
  const paths: JsonObject = {
    ...(type.isNamespaced && { [everywhere]: { get: list } }),
    [collection]: {
      get: list,
      post,
      ...(type.verbs.includes('deletecollection') && { delete: operation(type, 'deletecollection', deletion) }),
    },
    [`${collection}/{name}`]: { ...replacement(type, type), delete: operation(type, 'delete', deletion) },
  }
  if (hasSubresource(type, 'status')) paths[`${collection}/{name}/status`] = replacement(type, type)
  if (hasSubresource(type, 'scale')) {
    const scale = { group: 'autoscaling', version: 'v1', kind: 'Scale', schemaName: SCALE }
    paths[`${collection}/{name}/scale`] = replacement(type, scale)
  }
  return paths
}

/** Of the object itself, or of one side of it. */
function replacement(type: ResourceType, shown: Shown): JsonObject {
  const patchTypes = type.custom === undefined ? [...PATCH_TYPES, STRATEGIC] : PATCH_TYPES
  const patchBody = {
    content: Object.fromEntries(patchTypes.map((name): [string, Json] => [name, { schema: { type: 'object' } }])),
  }
  const requestBody = { content: contentOf(shown), required: true }
  return {
    get: operation(shown, 'get', {}),
    put: operation(shown, 'put', { parameters: WRITE, requestBody }),
    patch: operation(shown, 'patch', {
      parameters: [...WRITE, parameter('force', 'boolean')],
      requestBody: patchBody,
    }),
  }
}
