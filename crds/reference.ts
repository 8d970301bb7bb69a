/** docs/reference.md, from the CRDs. `node crds/reference.ts > docs/reference.md` writes it; a test keeps it so. */
import { AS_IN_KUBERNETES } from './kubernetes-types.ts'
import { kindOf, PLURALS, type Kind, type Schema } from './schema.ts'

const HEAD = `# Reference

Every field of the kinds in the API group \`raftkv.dev/v1alpha1\`, as \`kubectl explain raftcluster.spec\` prints them on a cluster where the CRDs
are installed. What the fields are for, with examples, is in [operator.md](operator.md) and [backup.md](backup.md). A value that cannot work is
refused with a sentence that says what to do. \`[]\` marks the entries of a list.
`

export function referencePage(): string {
  return [HEAD, ...PLURALS.map((plural) => sectionOf(kindOf(plural)))].join('\n')
}

function sectionOf({ name, schema }: Kind): string {
  const { spec = {}, status = {} } = schema.properties ?? {}
  return [
    `## ${name}`,
    '',
    schema.description ?? '',
    '',
    ...table(spec, 'spec'),
    '',
    `What the operator writes, and nobody else:`,
    '',
    ...table(status, 'status'),
    '',
  ].join('\n')
}

function table(schema: Schema, path: string): readonly string[] {
  return ['| field | type | default | what it is |', '|---|---|---|---|', ...rowsOf(schema, path)]
}

function rowsOf(schema: Schema, path: string): readonly string[] {
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const own = `${path}.${name}`
    const inner = kubernetesTypeOf(own) === undefined ? (field.items ?? field) : {}
    const more = rowsOf(inner, field.items === undefined ? own : `${own}[]`)
    return [rowOf(own, field, required.has(name)), ...more]
  })
}

function rowOf(path: string, field: Schema, isRequired: boolean): string {
  const fallback = isScalar(field.default) ? `\`${field.default}\`` : isRequired ? 'required' : ''
  const words = [field.description ?? '', ...choicesOf(field)].filter((text) => text !== '').join(' ')
  return `| \`${path}\` | ${typeOf(path, field)} | ${fallback} | ${words.replaceAll('|', '\\|').replaceAll('\n', ' ')} |`
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

function choicesOf({ enum: choices, items }: Schema): readonly string[] {
  const all = choices ?? items?.enum
  return all === undefined ? [] : [`One of ${all.map(String).join(', ')}.`]
}

function typeOf(path: string, { type, items, additionalProperties }: Schema): string {
  const theirs = kubernetesTypeOf(path)
  if (theirs !== undefined) return items === undefined ? theirs : `list of ${theirs}`
  if (items !== undefined) return `list of ${items.type === 'object' ? 'objects' : `${items.type ?? 'any'}s`}`
  if (additionalProperties !== undefined)
    return `map of ${additionalProperties.type === undefined ? 'quantities' : `${additionalProperties.type}s`}`
  return type ?? 'string or integer'
}

/** As in `kubectl explain pod.spec`, where they are told. */
function kubernetesTypeOf(path: string): string | undefined {
  const name = AS_IN_KUBERNETES[path.replace(/^spec\./, '')]
  return name?.slice(name.lastIndexOf('.') + 1)
}

if (import.meta.main) process.stdout.write(referencePage())
