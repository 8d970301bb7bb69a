/** Kubernetes' own types, from the facts recorded in `built-in/` (see `built-in/record.ts`). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../../../lib/assert.ts'
import { at, isObject, listAt, textAt, type Json, type JsonObject } from '../object.ts'
import { makeSchema } from '../schema/schema.ts'
import type { ResourceType, Subresource } from './resource-type.ts'

const FOLDER = join(import.meta.dirname, '..', 'built-in')
const REFERENCE = '#/components/schemas/'

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(FOLDER, name), 'utf8'))
}

function texts(values: readonly Json[]): readonly string[] {
  return values.filter((value) => typeof value === 'string')
}

export type Definitions = Readonly<Record<string, JsonObject>>

export function readDefinitions(): Definitions {
  const definitions: Record<string, JsonObject> = {}
  const read = readJson('schemas.json')
  assert(isObject(read), 'schemas.json is an object')
  for (const [name, schema] of Object.entries(read)) if (isObject(schema)) definitions[name] = schema
  return definitions
}

export function resolver(definitions: Definitions): (reference: string) => JsonObject {
  return (reference) => {
    const found = definitions[reference.slice(REFERENCE.length)]
    assert(found !== undefined, `there is no schema ${reference}`)
    return found
  }
}

/** The name of the schema of a kind; undefined when there is none. */
export function schemaNameOf(
  definitions: Definitions,
  kind: { readonly group: string; readonly version: string; readonly kind: string },
): string | undefined {
  return Object.entries(definitions).find(([, schema]) => {
    const types = listAt(schema, 'x-kubernetes-group-version-kind')
    return types.some(
      (type) =>
        textAt(type, 'group') === kind.group &&
        textAt(type, 'version') === kind.version &&
        textAt(type, 'kind') === kind.kind,
    )
  })?.[0]
}

export function builtInTypes(definitions: Definitions): readonly ResourceType[] {
  const records = readJson('resources.json')
  assert(Array.isArray(records), 'resources.json is a list')
  return records.filter(isObject).map((record) => typeOf(record, definitions))
}

function typeOf(record: JsonObject, definitions: Definitions): ResourceType {
  const gvk = { group: textAt(record, 'group'), version: textAt(record, 'version'), kind: textAt(record, 'kind') }
  const schemaName = schemaNameOf(definitions, gvk)
  const definition = schemaName === undefined ? undefined : definitions[schemaName]
  assert(schemaName !== undefined && definition !== undefined, `there is a schema of ${gvk.kind}`)
  return {
    ...gvk,
    resource: textAt(record, 'resource'),
    singular: textAt(record, 'singular'),
    listKind: `${gvk.kind}List`,
    isNamespaced: at(record, 'isNamespaced') === true,
    verbs: texts(listAt(record, 'verbs')),
    shortNames: texts(listAt(record, 'shortNames')),
    categories: texts(listAt(record, 'categories')),
    subresources: listAt(record, 'subresources').filter(isObject).map(subresourceOf),
    schema: makeSchema(definition, resolver(definitions)),
    schemaName,
    definitions,
    custom: undefined,
  }
}

function subresourceOf(record: JsonObject): Subresource {
  return {
    name: textAt(record, 'name'),
    group: textAt(record, 'group'),
    version: textAt(record, 'version'),
    kind: textAt(record, 'kind'),
    verbs: texts(listAt(record, 'verbs')),
  }
}
