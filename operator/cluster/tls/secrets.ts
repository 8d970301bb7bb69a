/** What stands in a Secret. Missing, emptied or broken, each part counts as absent. Pure. */
import type { KubeObject } from '../ports.ts'
import { type Certificate, certificatesIn, type Pair, pairOf } from './certificates.ts'
import { BUNDLE_FILE, type Files } from './leaves.ts'

export function pairIn(secret: KubeObject | undefined, files: Files): Pair | undefined {
  return read(secret, pairs, files.certificate, () =>
    pairOf(textIn(secret, files.certificate), textIn(secret, files.key)),
  )
}

export function bundleIn(secret: KubeObject | undefined): readonly Certificate[] {
  return chainIn(secret, BUNDLE_FILE)
}

export function chainIn(secret: KubeObject | undefined, file: string): readonly Certificate[] {
  return read(secret, chains, file, () => certificatesIn(textIn(secret, file)))
}

/** A decision asks for the same again and again; what was read of a Secret is never changed in place. */
type Known<T> = WeakMap<KubeObject, Map<string, { readonly value: T }>>
const pairs: Known<Pair | undefined> = new WeakMap()
const chains: Known<readonly Certificate[]> = new WeakMap()

function read<T>(secret: KubeObject | undefined, known: Known<T>, file: string, parse: () => T): T {
  if (secret === undefined) return parse()
  const files = known.get(secret) ?? new Map<string, { readonly value: T }>()
  known.set(secret, files)
  const found = files.get(file) ?? { value: parse() }
  files.set(file, found)
  return found.value
}

/** Empty where there is none. */
export function textIn(secret: KubeObject | undefined, key: string): string {
  const data = secret?.['data']
  const encoded: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, key) : undefined
  return typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString() : ''
}

export function keysOf(secret: KubeObject | undefined): readonly string[] {
  return Object.keys(Object(secret?.['data']))
}
