/**
 * `node charts/generate.ts`: writes the tables of values in the charts' READMEs, from values.yaml and its comments, and the schema
 * of the values of charts/raft-cluster, from the CRDs. A test keeps both so.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml'
import { kindOf, type Schema } from '../crds/schema.ts'

const BEGIN = '<!-- values -->'
const END = '<!-- end of values -->'
/** How many levels of a kind's fields the schema of the values knows; what is deeper is checked by the API server alone. */
const SCHEMA_DEPTH = 4

type Text = Readonly<Record<string, unknown>>

/** Of files below charts/, by their paths. */
export function generated(): ReadonlyMap<string, string> {
  const schemas = new Map([['raft-cluster', clusterValuesSchema()]])
  return new Map(
    ['raftkv-operator', 'raft-cluster'].flatMap((chart): readonly (readonly [string, string])[] => {
      const schema = schemas.get(chart)
      const text = schema === undefined ? read(chart, 'values.schema.json') : `${JSON.stringify(schema, undefined, 2)}\n`
      const rows = rowsOf(read(chart, 'values.yaml'), JSON.parse(text) as Text)
      const readme = [`${chart}/README.md`, withTable(read(chart, 'README.md'), rows)] as const
      return schema === undefined ? [readme] : [readme, [`${chart}/values.schema.json`, text]]
    }),
  )
}

function read(...path: readonly string[]): string {
  return readFileSync(join(import.meta.dirname, ...path), 'utf8')
}

function withTable(readme: string, rows: readonly string[]): string {
  const [before, rest = ''] = readme.split(BEGIN)
  const [, after] = rest.split(END)
  if (after === undefined) throw new Error(`a README of a chart has no ${BEGIN} … ${END}`)
  return [before, BEGIN, '\n', ['| value | default | what it is |', '|---|---|---|', ...rows].join('\n'), '\n', END, after].join('') // prettier-ignore
}

/** A value whose fields the schema does not name is told as a whole. */
function rowsOf(values: string, schema: Text): readonly string[] {
  const { contents, commentBefore } = parseDocument(values)
  if (!isMap(contents)) throw new Error('the values are no map')
  // What stands before the first value, after an empty line, is of the file.
  return mapRows(contents, schema, '', commentBefore === undefined ? '' : (contents.commentBefore ?? ''))
}

function mapRows(map: YAMLMap, schema: Text, prefix: string, first: string): readonly string[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) return []
    const path = `${prefix}${String(key.value)}`
    const comment = words(key.commentBefore ?? (index === 0 ? first : ''))
    const inner = Object(Object(schema['properties'])[String(key.value)]) as Text
    const isWhole = !isMap(value) || inner['properties'] === undefined
    if (!isWhole) {
      const rows = mapRows(value, inner, `${path}.`, value.commentBefore ?? '')
      return comment === '' ? rows : [`| \`${path}\` | | ${comment} |`, ...rows]
    }
    const json = JSON.stringify(Object(value).toJSON?.() ?? null)
    return [`| \`${path}\` | \`${json.replaceAll('|', '\\|')}\` | ${comment} |`]
  })
}

/** A comment's last paragraph: what stands further up is of a group, or of the file. */
function words(comment: string): string {
  const paragraph = comment.split(/\n\s*\n/).at(-1) ?? ''
  return paragraph.replaceAll(/\s*\n\s*/g, ' ').trim().replaceAll('|', '\\|')
}

function clusterValuesSchema(): Text {
  const cluster = closed(specOf('raftclusters'), SCHEMA_DEPTH)
  const { clusterName: _, ...backup } = specOf('scheduledraftbackups').properties ?? {}
  const required = ['destination', 'schedule']
  const own = JSON.parse(read('raft-cluster', 'values.own.schema.json')) as Text
  const properties = {
    ...Object(own['properties']),
    cluster,
    backups: {
      type: 'object',
      additionalProperties: closed({ type: 'object', required, properties: backup }, SCHEMA_DEPTH),
    },
  }
  return { ...own, properties }
}

function specOf(plural: Parameters<typeof kindOf>[0]): Schema {
  const spec = kindOf(plural).schema.properties?.['spec']
  if (spec === undefined) throw new Error(`${plural} have no spec`)
  return spec
}

/** As JSON Schema: fields that a kind does not have are refused, and what has a default may be left out. */
function closed(schema: Schema, depth: number): Text {
  const { type, properties, items, additionalProperties, required = [] } = schema
  const kept = Object.fromEntries(
    ['enum', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'minItems', 'maxItems', 'anyOf']
      .filter((name) => name in schema)
      .map((name) => [name, Object(schema)[name]]),
  )
  const base = { ...(type !== undefined && { type }), ...kept }
  if (depth === 0) return base
  if (items !== undefined) return { ...base, items: closed(items, depth - 1) }
  if (additionalProperties !== undefined) return { ...base, additionalProperties: closed(additionalProperties, depth - 1) }
  if (properties === undefined) return base
  const needed = required.filter((name) => properties[name]?.default === undefined)
  return {
    ...base,
    additionalProperties: false,
    ...(needed.length > 0 && { required: needed }),
    properties: Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, closed(field, depth - 1)])),
  }
}

if (import.meta.main)
  for (const [path, text] of generated()) writeFileSync(join(import.meta.dirname, path), text)
