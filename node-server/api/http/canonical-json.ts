/**
 * Checks JSON against a message's descriptor as Go's protojson does, and brings it to the one form that every reader of
 * Protobuf's JSON takes the same way. The library's own reader is more lenient, and its refusals name no position.
 */
import { ScalarType, type DescEnum, type DescField, type DescMessage, type JsonValue } from '@bufbuild/protobuf'
import { unreachable } from '../../../lib/assert.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { JsonMember, JsonNode } from './json.ts'

/** The text that the nodes come from, and how deep messages may still be nested. */
interface Context {
  readonly text: string
  readonly depth: number
}

/** Undefined: to be left out. */
type Canonical = Result<JsonValue | undefined, string>

/** Names in Go's messages. The API has no other types. */
const SCALAR_NAMES: ReadonlyMap<ScalarType, string> = new Map([
  [ScalarType.BOOL, 'bool'],
  [ScalarType.INT32, 'int32'],
  [ScalarType.INT64, 'int64'],
  [ScalarType.UINT32, 'uint32'],
  [ScalarType.UINT64, 'uint64'],
  [ScalarType.STRING, 'string'],
  [ScalarType.BYTES, 'bytes'],
])

/** Unknown fields and enum names are left out. The error is a sentence for the client. */
export function canonicalMessage(
  type: DescMessage,
  node: JsonNode,
  text: string,
  maxDepth: number,
): Result<JsonValue, string> {
  return message(type, node, { text, depth: maxDepth })
}

function message(type: DescMessage, node: JsonNode, { text, depth }: Context): Result<JsonValue, string> {
  if (depth === 0) return err('exceeded max recursion depth')
  if (node.kind !== 'object') return unexpected(node, text)
  const inner: Context = { text, depth: depth - 1 }
  const seen = new Set<DescField>()
  const seenOneofs = new Set<string>()
  const fields: [string, JsonValue][] = []
  for (const { name, value } of node.members) {
    const field = type.fields.find((known) => known.jsonName === name.value || known.name === name.value)
    if (field === undefined) continue
    if (seen.has(field)) return err(`${position(name, text)}: duplicate field ${name.raw}`)
    seen.add(field)
    if (value.kind === 'null') continue
    if (field.oneof !== undefined) {
      if (seenOneofs.has(field.oneof.name)) return err(oneofIsSet(name, field.oneof.toString(), text))
      seenOneofs.add(field.oneof.name)
    }
    const canonical = member(field, value, inner)
    if (!canonical.ok) return canonical
    if (canonical.value !== undefined) fields.push([field.jsonName, canonical.value])
  }
  return ok(Object.fromEntries(fields))
}

function oneofIsSet(name: JsonMember['name'], oneof: string, text: string): string {
  return `${position(name, text)}: error parsing ${name.raw}, ${oneof} is already set`
}

function member(field: DescField, node: JsonNode, context: Context): Canonical {
  switch (field.fieldKind) {
    case 'message':
      return message(field.message, node, context)
    case 'list':
      return list(field, node, context)
    case 'scalar':
      return scalar(field, field.scalar, node, context)
    case 'enum':
      return enumeration(field, field.enum, node, context)
    case 'map':
      throw new Error(`${String(field)}: the API has no maps`)
    default:
      return unreachable(field)
  }
}

function list(field: DescField & { fieldKind: 'list' }, node: JsonNode, context: Context): Canonical {
  if (node.kind !== 'array') return unexpected(node, context.text)
  const values: JsonValue[] = []
  for (const item of node.items) {
    const canonical = listItem(field, item, context)
    if (!canonical.ok) return canonical
    if (canonical.value !== undefined) values.push(canonical.value)
  }
  return ok(values)
}

function listItem(field: DescField & { fieldKind: 'list' }, node: JsonNode, context: Context): Canonical {
  switch (field.listKind) {
    case 'message':
      return message(field.message, node, context)
    case 'scalar':
      return scalar(field, field.scalar, node, context)
    case 'enum':
      return enumeration(field, field.enum, node, context)
    default:
      return unreachable(field)
  }
}

function enumeration(field: DescField, type: DescEnum, node: JsonNode, { text }: Context): Canonical {
  if (node.kind === 'string') return ok(type.values.find(({ name }) => name === node.value)?.number)
  const number = node.kind === 'number' ? integer(node.raw) : undefined
  if (number === undefined || BigInt.asIntN(32, number) !== number) return invalid(field, 'enum', node, text)
  return ok(Number(number))
}

function scalar(field: DescField, type: ScalarType, node: JsonNode, { text }: Context): Canonical {
  const value = scalarValue(type, node)
  return value === undefined ? invalid(field, SCALAR_NAMES.get(type) ?? '', node, text) : ok(value)
}

/** Undefined for what is not of the type. */
function scalarValue(type: ScalarType, node: JsonNode): JsonValue | undefined {
  switch (type) {
    case ScalarType.BOOL:
      return node.kind === 'boolean' ? node.value : undefined
    case ScalarType.STRING:
      return node.kind === 'string' && node.value.isWellFormed() ? node.value : undefined
    case ScalarType.BYTES:
      return node.kind === 'string' ? base64(node.value) : undefined
    case ScalarType.INT32:
    case ScalarType.UINT32:
    case ScalarType.INT64:
    case ScalarType.UINT64: {
      const bits = type === ScalarType.INT32 || type === ScalarType.UINT32 ? 32 : 64
      const isSigned = type === ScalarType.INT32 || type === ScalarType.INT64
      const number =
        node.kind === 'number' ? integer(node.raw) : node.kind === 'string' ? integer(node.value) : undefined
      if (number === undefined) return undefined
      return (isSigned ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number)) === number
        ? `${number}`
        : undefined
    }
    default:
      throw new Error(`the API has no fields of type ${ScalarType[type]}`)
  }
}

/** More digits than any 64-bit integer has; a longer run of zeros would only be made to be refused. */
const MAX_DIGITS = 20

/** A longer number is not looked at: nobody writes so many zeros behind a point. */
const MAX_NUMBER_LENGTH = 100

/** A number of JSON that is an integer, be it written 10, 10.0 or 1e1. */
function integer(source: string): bigint | undefined {
  if (source.length > MAX_NUMBER_LENGTH) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(source) ?? []
  if (sign === undefined) return undefined
  const digits = (whole + fraction).replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return 0n
  const zeros = Number(exponent) - fraction.length + (digits.length - significant.length)
  if (zeros < 0 || significant.length + zeros > MAX_DIGITS) return undefined
  return BigInt(`${sign}${significant}${'0'.repeat(zeros)}`)
}

/** With either alphabet, with padding or without. */
function base64(text: string): string | undefined {
  const isUrl = /[-_]/.test(text)
  const isPadded = text.length % 4 === 0
  const plain = text.replaceAll(/[\r\n]/g, '')
  const alphabet = isUrl ? /^[A-Za-z0-9_-]*(={0,2})$/ : /^[A-Za-z0-9+/]*(={0,2})$/
  const padding = alphabet.exec(plain)?.[1]
  if (padding === undefined || (isPadded ? plain.length % 4 !== 0 : padding !== '' || plain.length % 4 === 1)) {
    return undefined
  }
  return isUrl ? plain.replaceAll('-', '+').replaceAll('_', '/') : plain
}

function invalid(
  field: DescField,
  type: string,
  node: JsonNode,
  text: string,
): { readonly ok: false; readonly error: string } {
  return err(`${position(node, text)}: invalid value for ${type} field ${field.jsonName}: ${node.raw}`)
}

function unexpected(node: JsonNode, text: string): { readonly ok: false; readonly error: string } {
  return err(`syntax error ${position(node, text)}: unexpected token ${node.raw}`)
}

/** Both count from one, columns in code points. */
function position({ at }: { readonly at: number }, text: string): string {
  const before = text.slice(0, at)
  const line = before.slice(before.lastIndexOf('\n') + 1)
  const pairs = line.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0
  return `(line ${before.split('\n').length}:${line.length - pairs + 1})`
}
