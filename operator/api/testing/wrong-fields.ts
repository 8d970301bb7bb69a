/** From the schema in crds/: each field of spec with each kind of wrong value, all else as it should be. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { AS_IN_KUBERNETES } from '../../../crds/kubernetes-types.ts'

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly pattern?: string
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

const CRD: unknown = parse(readFileSync(new URL('../../../crds/raftclusters.raftkv.dev.yaml', import.meta.url), 'utf8'))

export interface WrongSpec {
  /** Of the field, below `spec`. */
  readonly path: string
  readonly spec: unknown
}

export function* wrongInTurn(): Generator<WrongSpec> {
  const versions = at(at(CRD, 'spec'), 'versions')
  const first: unknown = Array.isArray(versions) ? versions[0] : undefined
  const spec = at(at(at(at(first, 'schema'), 'openAPIV3Schema'), 'properties'), 'spec') as Schema
  yield* fieldsOf(spec, [])
}

function* fieldsOf(schema: Schema, path: readonly string[]): Generator<WrongSpec> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const here = [...path, name]
    for (const value of wrongValues(field)) {
      // What an object requires beside the field is there, so that only the field is wrong.
      const beside =
        schema.required?.includes(name) === true ? { id: 'a', survivor: 'kv-0', acknowledgeDataLoss: true } : {}
      yield { path: here.join('.'), spec: nested(here, value, beside) }
    }
    // The API server alone looks into what is as in Kubernetes.
    if (!(here.join('.') in AS_IN_KUBERNETES)) yield* fieldsOf(field, here)
  }
}

function nested([name = '', ...rest]: readonly string[], value: unknown, beside: object): unknown {
  if (rest.length > 0) return { [name]: nested(rest, value, beside) }
  return { ...beside, [name]: value }
}

function wrongValues(schema: Schema): readonly unknown[] {
  switch (schema.type) {
    case 'integer':
      return [
        'text',
        1.5,
        {},
        ...(schema.minimum === undefined ? [] : [schema.minimum - 1]),
        ...(schema.maximum === undefined ? [] : [schema.maximum + 1]),
      ]
    case 'boolean':
      return ['true', 1, {}]
    case 'string':
      return [
        {},
        [],
        true,
        ...(schema.enum === undefined ? [] : ['Sometimes']),
        ...(schema.minLength === undefined ? [] : ['']),
        ...(schema.maxLength === undefined ? [] : ['x'.repeat(schema.maxLength + 1)]),
        ...(schema.pattern === undefined ? [] : ['-\u0000 ']),
      ]
    case 'array':
      return ['text', {}, [7], Array.from({ length: (schema.maxItems ?? 0) + 1 }, () => ({ name: 'x' }))]
    default:
      return ['text', 7, []]
  }
}

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
