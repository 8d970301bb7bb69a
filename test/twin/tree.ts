/** Messages as plain trees: how answers are compared field by field, and how requests and answers are printed. */
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'

export type Tree = string | number | boolean | undefined | readonly Tree[] | { readonly [field: string]: Tree }

/** One leaf, or one length of a list, that is not the same on both sides. */
export interface Mismatch {
  /** Such as `kvs[3].version`. */
  readonly field: string
  readonly etcd: Tree
  readonly ours: Tree
}

/** Fields that hold encoded mvccpb.KeyValue messages: ours keeps them as bytes. */
const KEY_VALUE_FIELDS: ReadonlySet<string> = new Set(['kvs', 'prevKv', 'prevKvs', 'kv'])
const LONGEST_BYTES_SHOWN = 80

/** Numbers of 64 bits become text with an `n`, bytes become quoted text, key-values are decoded. */
export function treeOf(value: unknown, field = ''): Tree {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  if (value instanceof Uint8Array) {
    return KEY_VALUE_FIELDS.has(field) ? treeOf(KeyValue.decode(value)) : textOf(value)
  }
  if (Array.isArray(value)) return value.map((each: unknown) => treeOf(each, field))
  if (typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([name, each]: [string, unknown]) => [name, treeOf(each, name)]),
    )
  }
  throw new TypeError(`a message cannot hold a ${typeof value}`)
}

/** Printable bytes as they are, others as `\xNN`; long ones by their beginning and length, then a sum of all. */
export function textOf(bytes: Uint8Array): string {
  const shown = bytes.length > LONGEST_BYTES_SHOWN ? bytes.subarray(0, 16) : bytes
  let text = ''
  for (const byte of shown) {
    const isPrintable = byte >= 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x27
    text += isPrintable ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  if (shown === bytes) return `'${text}'`
  const sum = bytes.reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 7)
  return `'${text}…' (${bytes.length} bytes, sum ${sum})`
}

export function mismatches(etcd: Tree, ours: Tree, field = ''): readonly Mismatch[] {
  if (Array.isArray(etcd) && Array.isArray(ours)) {
    const length = Math.max(etcd.length, ours.length)
    const lengths =
      etcd.length === ours.length ? [] : [{ field: `${field}.length`, etcd: etcd.length, ours: ours.length }]
    const each = Array.from({ length }, (_, i) => mismatches(etcd[i] as Tree, ours[i] as Tree, `${field}[${i}]`))
    return [...lengths, ...each.flat()]
  }
  if (isFields(etcd) && isFields(ours)) {
    const names = new Set([...Object.keys(etcd), ...Object.keys(ours)])
    return [...names].flatMap((name) => mismatches(etcd[name], ours[name], field === '' ? name : `${field}.${name}`))
  }
  return etcd === ours ? [] : [{ field, etcd, ours }]
}

function isFields(tree: Tree): tree is { readonly [field: string]: Tree } {
  return typeof tree === 'object' && !Array.isArray(tree)
}

/** On one line, without what has its default value. */
export function show(tree: Tree): string {
  if (tree === undefined) return 'nothing'
  if (typeof tree !== 'object') return String(tree)
  if (Array.isArray(tree)) return `[${tree.map(show).join(', ')}]`
  const fields = Object.entries(tree).filter(([, value]) => !isDefault(value))
  return `{ ${fields.map(([name, value]) => `${name}: ${show(value)}`).join(', ')} }`.replace('{  }', '{}')
}

function isDefault(tree: Tree): boolean {
  if (tree === undefined || tree === '' || tree === 0 || tree === false || tree === '0n' || tree === "''") return true
  return Array.isArray(tree) && tree.length === 0
}
