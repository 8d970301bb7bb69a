/**
 * Writes what is known of Kubernetes' own types, as facts and without its texts, from a real API server:
 * `node sandbox/api-server/built-in/record.ts https://127.0.0.1:6443 TOKEN`. Run it again for another version.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { isObject, listAt, objectAt, textAt, type Json, type JsonObject } from '../object.ts'

const SERVED: Readonly<Record<string, readonly string[]>> = {
  'api/v1': [
    'configmaps',
    'endpoints',
    'events',
    'namespaces',
    'nodes',
    'persistentvolumeclaims',
    'persistentvolumes',
    'pods',
    'secrets',
    'serviceaccounts',
    'services',
  ],
  'apis/apps/v1': ['controllerrevisions', 'deployments', 'replicasets', 'statefulsets'],
  'apis/events.k8s.io/v1': ['events'],
  'apis/authentication.k8s.io/v1': ['selfsubjectreviews', 'tokenreviews'],
  'apis/authorization.k8s.io/v1': [
    'localsubjectaccessreviews',
    'selfsubjectaccessreviews',
    'selfsubjectrulesreviews',
    'subjectaccessreviews',
  ],
  'apis/networking.k8s.io/v1': ['networkpolicies'],
  'apis/policy/v1': ['poddisruptionbudgets'],
  'apis/rbac.authorization.k8s.io/v1': ['clusterrolebindings', 'clusterroles', 'rolebindings', 'roles'],
  'apis/storage.k8s.io/v1': ['storageclasses'],
  'apis/apiextensions.k8s.io/v1': ['customresourcedefinitions'],
  'apis/coordination.k8s.io/v1': ['leases'],
  'apis/discovery.k8s.io/v1': ['endpointslices'],
}
const SUBRESOURCES = new Set(['status', 'scale', 'log', 'eviction', 'token', 'binding', 'finalize', 'proxy'])
/** Types that no served resource names, and that clients ask about all the same. */
const ALSO = ['io.k8s.apimachinery.pkg.apis.meta.v1.Status', 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions']
const DISCOVERY = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
const REF = '#/components/schemas/'

const [server = '', token = ''] = process.argv.slice(2)
const agent = new Agent({ connect: { rejectUnauthorized: false } })

async function get(path: string, accept = 'application/json'): Promise<JsonObject> {
  const headers = { authorization: `Bearer ${token}`, accept }
  const { statusCode, body } = await request(`${server}${path}`, { dispatcher: agent, headers })
  const value: unknown = await body.json()
  if (statusCode !== 200 || !isObject(value)) throw new Error(`${path} answers ${statusCode}`)
  return value
}

function resourceRecords(discovery: JsonObject): JsonObject[] {
  const found: JsonObject[] = []
  for (const item of listAt(discovery, 'items').filter(isObject)) {
    const group = textAt(item, 'metadata', 'name')
    for (const served of listAt(item, 'versions').filter(isObject)) {
      const version = textAt(served, 'version')
      const wanted = SERVED[group === '' ? 'api/v1' : `apis/${group}/${version}`] ?? []
      for (const entry of listAt(served, 'resources').filter(isObject)) {
        if (wanted.includes(textAt(entry, 'resource'))) found.push(resourceRecord(group, version, entry))
      }
    }
  }
  return found
}

function resourceRecord(group: string, version: string, entry: JsonObject): JsonObject {
  const subresources = listAt(entry, 'subresources').filter(isObject)
  return {
    group,
    version,
    resource: textAt(entry, 'resource'),
    singular: textAt(entry, 'singularResource'),
    kind: textAt(entry, 'responseKind', 'kind'),
    isNamespaced: textAt(entry, 'scope') === 'Namespaced',
    verbs: listAt(entry, 'verbs'),
    shortNames: listAt(entry, 'shortNames'),
    categories: listAt(entry, 'categories'),
    subresources: subresources
      .filter((subresource) => SUBRESOURCES.has(textAt(subresource, 'subresource')))
      .map((subresource) => ({
        name: textAt(subresource, 'subresource'),
        group: textAt(subresource, 'responseKind', 'group'),
        version: textAt(subresource, 'responseKind', 'version'),
        kind: textAt(subresource, 'responseKind', 'kind'),
        verbs: listAt(subresource, 'verbs'),
      })),
  }
}

/** Names (of properties, of schemas) may be "description" too: only beside a schema's keywords it is a text. */
function withoutTexts(value: Json, isNames: boolean): Json {
  if (Array.isArray(value)) return value.map((item) => withoutTexts(item, false))
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([name]) => isNames || name !== 'description')
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutTexts(inner, name === 'properties' && !isNames)]))
}

function references(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(references)
  if (!isObject(value)) return []
  const own = value['$ref']
  const here = typeof own === 'string' ? [own.slice(REF.length)] : []
  return [...here, ...Object.values(value).flatMap(references)]
}

async function main(): Promise<void> {
  const resources = [
    ...resourceRecords(await get('/api', DISCOVERY)),
    ...resourceRecords(await get('/apis', DISCOVERY)),
  ]
  const all: JsonObject = {}
  for (const path of [...Object.keys(SERVED), 'apis/autoscaling/v1']) {
    const document = await get(`/openapi/v3/${path}`)
    Object.assign(all, objectAt(document, 'components', 'schemas'))
  }
  const kinds = new Set([
    ...resources.map((resource) => ['group', 'version', 'kind'].map((name) => textAt(resource, name)).join('/')),
    'autoscaling/v1/Scale',
    'policy/v1/Eviction',
    'authentication.k8s.io/v1/TokenRequest',
    '/v1/Binding',
  ])
  const roots = Object.entries(all).filter(([, schema]) => {
    const types = isObject(schema) ? listAt(schema, 'x-kubernetes-group-version-kind').filter(isObject) : []
    return types.some((type) => {
      const kind = textAt(type, 'kind')
      const names = [kind, kind.replace(/List$/, '')]
      return names.some((name) => kinds.has(`${textAt(type, 'group')}/${textAt(type, 'version')}/${name}`))
    })
  })
  const wanted = new Set([...ALSO, ...roots.map(([name]) => name)])
  for (const name of wanted) for (const other of references(all[name] ?? null)) wanted.add(other)
  const schemas = Object.fromEntries(
    [...wanted].toSorted().map((name) => [name, withoutTexts(all[name] ?? null, false)]),
  )
  write('resources.json', resources)
  write('schemas.json', schemas)
  await agent.close()
}

/** One entry a line, so that a difference between two versions can be read. */
function write(name: string, value: Json): void {
  const lines = Array.isArray(value)
    ? `[\n${value.map((item) => JSON.stringify(item)).join(',\n')}\n]\n`
    : `{\n${Object.entries(value ?? {})
        .map(([key, item]) => `${JSON.stringify(key)}: ${JSON.stringify(item)}`)
        .join(',\n')}\n}\n`
  writeFileSync(join(import.meta.dirname, name), lines)
}

await main()
