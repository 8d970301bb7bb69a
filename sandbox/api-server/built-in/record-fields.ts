/**
 * Writes the numbers that fields of Kubernetes' own types have in protobuf, from the Go sources of the types:
 * `node sandbox/api-server/built-in/record-fields.ts API APIMACHINERY`, two folders that
 * `go list -m -f '{{.Dir}}' k8s.io/api k8s.io/apimachinery` names. Run it after `record.ts`.
 *
 * In `fields.json` a type has its fields as `name: number`; `name?` is a pointer in Go, whose empty value is a value;
 * `...type` is a message whose fields stand among those of the type that has it.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

type Fields = Record<string, number>

const [api = '', apimachinery = ''] = process.argv.slice(2)
const SOURCES: readonly (readonly [prefix: string, folder: string])[] = [
  ['io.k8s.api.', api],
  ['io.k8s.apimachinery.', apimachinery],
]
const STRUCT = /^type (\w+) struct \{\n(.*?)^\}/gms
const FIELD = /^\t(?:\w+ +)?(\*?)[\w[\].*]+ +`(.*)`$/gm

/** `io.k8s.api.core.v1.Pod`: the package's path and the name of the type. */
function packageOf(type: string): string {
  return type.slice(0, type.lastIndexOf('.'))
}

function structsOf(folder: string): ReadonlyMap<string, Fields> {
  const structs = new Map<string, Fields>()
  for (const file of readdirSync(folder).filter((name) => name.endsWith('types.go'))) {
    const source = readFileSync(join(folder, file), 'utf8')
    for (const [, name = '', body = ''] of source.matchAll(STRUCT)) structs.set(name, fieldsOf(body))
  }
  return structs
}

function fieldsOf(body: string): Fields {
  const fields: Fields = {}
  for (const [line, pointer, tags = ''] of body.matchAll(FIELD)) {
    const number = Number(/protobuf:"\w+,(\d+)/.exec(tags)?.[1] ?? 0)
    const [name = '', ...options] = (/json:"([^"]*)"/.exec(tags)?.[1] ?? '').split(',')
    if (number === 0 || name === '-') continue
    if (options.includes('inline')) fields[`...${/(\w+) +`/.exec(line)?.[1] ?? ''}`] = number
    else fields[pointer === '' ? name : `${name}?`] = number
  }
  return fields
}

function main(): void {
  const schemas: unknown = JSON.parse(readFileSync(join(import.meta.dirname, 'schemas.json'), 'utf8'))
  const recorded = new Map<string, Fields>()
  for (const type of Object.keys(Object(schemas))) {
    const [prefix = '', root = ''] = SOURCES.find(([start]) => type.startsWith(start)) ?? []
    const path = packageOf(type)
    const folder = join(root, ...path.slice(prefix.length).split('.'))
    if (root === '' || !existsSync(folder)) continue
    const structs = structsOf(folder)
    const add = (name: string): void => {
      const fields = structs.get(name)
      if (fields === undefined) return
      const qualified = Object.entries(fields).map(([field, number]): [string, number] => {
        if (!field.startsWith('...')) return [field, number]
        add(field.slice(3))
        return [`...${path}.${field.slice(3)}`, number]
      })
      recorded.set(`${path}.${name}`, Object.fromEntries(qualified))
    }
    add(type.slice(path.length + 1))
  }
  const lines = [...recorded]
    .filter(([, fields]) => Object.keys(fields).length > 0)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([type, fields]) => `${JSON.stringify(type)}: ${JSON.stringify(fields)}`)
  writeFileSync(join(import.meta.dirname, 'fields.json'), `{\n${lines.join(',\n')}\n}\n`)
}

main()
