/**
 * `node crds/kubernetes-types.ts`: writes into the definition of RaftCluster what is there as in Kubernetes, by its own types, which
 * the sandbox has recorded. Bounds are added, which rules in CEL need; defaults, words and lists' kinds are left out: the API
 * server adds them to the StatefulSet. What stands at these places otherwise (words, rules) is kept.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Document, isMap, parseDocument, visit } from 'yaml'

type Schema = Readonly<Record<string, unknown>>

const IN_A_POD = {
  tolerations: 'Toleration',
  affinity: 'Affinity',
  topologySpreadConstraints: 'TopologySpreadConstraint',
  securityContext: 'PodSecurityContext',
  containerSecurityContext: 'SecurityContext',
  envFrom: 'EnvFromSource',
  env: 'EnvVar',
  volumes: 'Volume',
  volumeMounts: 'VolumeMount',
  initContainers: 'Container',
  extraContainers: 'Container',
}

/** Fields of spec, and what they are in Kubernetes. */
export const AS_IN_KUBERNETES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(IN_A_POD).map(([field, name]) => [`podTemplate.${field}`, `core.v1.${name}`])),
  'networkPolicy.clientFrom': 'networking.v1.NetworkPolicyPeer',
  'networkPolicy.metricsFrom': 'networking.v1.NetworkPolicyPeer',
}

const MAX_ITEMS = 64
const MAX_LENGTH = 4096
/** What people write programs into. */
const MAX_TEXT_LENGTH = 65_536
const TEXTS: ReadonlySet<string> = new Set(['value', 'command', 'args', 'annotations'])

const TEXT_OR_INTEGER = { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] }
const QUANTITY = { ...TEXT_OR_INTEGER, maxLength: 32, pattern: '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' }
const PORT = { ...TEXT_OR_INTEGER, maxLength: 253 }

const recorded = JSON.parse(
  readFileSync(new URL('../sandbox/api-server/built-in/schemas.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Schema>>

/** As a CRD has it. */
function typeOf(name: string): Schema {
  return converted({ $ref: `#/definitions/io.k8s.api.${name}` }, '')
}

function converted(schema: Schema, field: string): Schema {
  const reference = referenceOf(schema)
  if (reference !== undefined) return named(reference, field)
  switch (schema['type']) {
    case 'array':
      return { type: 'array', maxItems: MAX_ITEMS, items: converted(child(schema, 'items'), field) }
    case 'string': {
      const maxLength = TEXTS.has(field) ? MAX_TEXT_LENGTH : MAX_LENGTH
      return schema['enum'] === undefined ? { type: 'string', maxLength } : { type: 'string', enum: schema['enum'] }
    }
    case 'integer':
      return { type: 'integer', format: schema['format'] ?? 'int64' }
    case 'boolean':
      return { type: 'boolean' }
    default:
      return object(schema, field)
  }
}

function object(schema: Schema, field: string): Schema {
  const { required, additionalProperties, properties } = schema
  return {
    type: 'object',
    ...(Array.isArray(required) && { required }),
    ...(additionalProperties !== undefined && {
      maxProperties: MAX_ITEMS,
      additionalProperties: converted(child(schema, 'additionalProperties'), field),
    }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.keys(Object(properties)).map((name) => [
          name,
          converted(child(child(schema, 'properties'), name), name),
        ]),
      ),
    }),
  }
}

function named(reference: string, field: string): Schema {
  const name = reference.slice(reference.lastIndexOf('/') + 1)
  if (name.endsWith('.resource.Quantity')) return QUANTITY
  if (name.endsWith('.intstr.IntOrString')) return PORT
  // Of a claim that a volume brings along: there is more in metadata, but nobody sets it.
  if (name.endsWith('.meta.v1.ObjectMeta'))
    return { type: 'object', properties: { labels: texts('labels'), annotations: texts('annotations') } }
  return converted(child(recorded, name), field)
}

function texts(field: string): Schema {
  return converted({ additionalProperties: { type: 'string' } }, field)
}

function referenceOf({ $ref, allOf }: Schema): string | undefined {
  const [first]: readonly unknown[] = Array.isArray(allOf) ? allOf : []
  const reference = $ref ?? Object(first)['$ref']
  return typeof reference === 'string' ? reference : undefined
}

function child(schema: Schema, name: string): Schema {
  const inner = schema[name]
  if (typeof inner !== 'object' || inner === null) throw new Error(`no ${name}`)
  return { ...inner }
}

/** The text of the definition with all of these types in their places. */
export function withTypes(definition: string): string {
  const document = parseDocument(definition)
  const spec = ['spec', 'versions', 0, 'schema', 'openAPIV3Schema', 'properties', 'spec']
  for (const [field, name] of Object.entries(AS_IN_KUBERNETES)) {
    const place = [...spec, ...field.split('.').flatMap((part) => ['properties', part])]
    const path = document.getIn([...place, 'items']) === undefined ? place : [...place, 'items']
    for (const [key, value] of Object.entries(typeOf(name))) document.setIn([...path, key], onLines(value))
  }
  return document.toString({ lineWidth: 0 })
}

/** What holds no further schema has a line of its own. */
function onLines(value: unknown): unknown {
  // Without the document's aliases: what is written twice stands there twice.
  const { contents } = new Document(value, { aliasDuplicateObjects: false })
  visit(contents, {
    Collection: (_, node) => {
      node.flow = !isMap(node) || !['properties', 'items', 'additionalProperties'].some((key) => isMap(node.get(key)))
      if (isMap(node) && node.items.some(({ value: inner }) => isMap(inner) && inner.has('type'))) node.flow = false
    },
  })
  return contents
}

if (import.meta.main) {
  const file = join(import.meta.dirname, 'raftclusters.raftkv.dev.yaml')
  writeFileSync(file, withTypes(readFileSync(file, 'utf8')))
}
