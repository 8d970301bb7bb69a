/** The schemas of our kinds, as the CRDs in this folder have them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export interface Schema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema
}

export interface Kind {
  readonly name: string
  readonly plural: string
  readonly schema: Schema
}

export const PLURALS = ['raftclusters', 'raftbackups', 'scheduledraftbackups'] as const

interface Definition {
  readonly spec: {
    readonly names: { readonly kind: string; readonly plural: string }
    readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }]
  }
}

export function kindOf(plural: (typeof PLURALS)[number]): Kind {
  const { spec } = parse(readFileSync(join(import.meta.dirname, `${plural}.raftkv.dev.yaml`), 'utf8'), {
    maxAliasCount: -1,
  }) as Definition
  const { names, versions } = spec
  return { name: names.kind, plural: names.plural, schema: versions[0].schema.openAPIV3Schema }
}
