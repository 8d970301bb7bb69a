/**
 * Objects of built-in types as Go's clients send them: in protobuf, behind four bytes and an envelope that names the kind.
 *
 *   6b 38 73 00 | Unknown { 1: TypeMeta { 1: apiVersion, 2: kind }, 2: the object's message }
 *
 * What a field holds stands in its OpenAPI schema, its number in `built-in/fields.json`. Sources: Kubernetes docs, API
 * concepts (protobuf encoding); generated.proto of k8s.io/api and k8s.io/apimachinery.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { assert } from '../../../lib/assert.ts'
import { isObject, objectAt, textAt, timestamp, type Json, type JsonObject } from '../object.ts'
import { schemaNameOf, type Definitions } from '../resources/built-in.ts'

export const PROTOBUF = 'application/vnd.kubernetes.protobuf'
const MAGIC = Buffer.from('k8s\0')
const REFERENCE = '#/components/schemas/'
const MACHINERY = 'io.k8s.apimachinery.pkg'

export type Decoded =
  | { readonly kind: 'object'; readonly object: JsonObject }
  /** Of a type whose fields are not known here. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'broken'; readonly why: string }

export function decodeProtobuf(body: Uint8Array, definitions: Definitions): Decoded {
  if (!MAGIC.equals(body.subarray(0, MAGIC.length))) return { kind: 'broken', why: 'the prefix "k8s\\x00" is missing' }
  try {
    const envelope = parts(body.subarray(MAGIC.length))
    const typeMeta = parts(bytesOf(envelope.get(1)))
    const [apiVersion, kind] = [textOf(typeMeta.get(1)), textOf(typeMeta.get(2))]
    const [version = '', group = ''] = apiVersion.split('/').toReversed()
    const type = schemaNameOf(definitions, { group, version, kind })
    if (type === undefined || !FIELDS.has(type)) return { kind: 'unknown' }
    const object = messageOf(bytesOf(envelope.get(2)), type, propertiesOf(type, definitions), definitions)
    return { kind: 'object', object: { ...object, apiVersion, kind } }
  } catch (error) {
    return { kind: 'broken', why: String(error) }
  }
}

interface Field {
  readonly name: string
  /** In Go a pointer: when it is sent, it is meant, whatever its value. All others are sent always. */
  readonly isPointer: boolean
  /** A message whose fields stand beside the others. */
  readonly inlined: string | undefined
}

const FIELDS = readFields()

function readFields(): ReadonlyMap<string, ReadonlyMap<number, Field>> {
  const path = join(import.meta.dirname, '..', 'built-in', 'fields.json')
  const read: unknown = JSON.parse(readFileSync(path, 'utf8'))
  assert(isObject(read), 'fields.json is an object')
  return new Map(
    Object.entries(read).map(([type, fields]) => [
      type,
      new Map(Object.entries(isObject(fields) ? fields : {}).map(([name, number]) => [Number(number), fieldOf(name)])),
    ]),
  )
}

function fieldOf(name: string): Field {
  const inlined = name.startsWith('...') ? name.slice('...'.length) : undefined
  return { name: name.replace(/\?$/, ''), isPointer: name.endsWith('?'), inlined }
}

/** A varint, or what has a length. */
type Raw = bigint | Uint8Array

/** The last value of each field. */
function parts(bytes: Uint8Array): ReadonlyMap<number, Raw> {
  return new Map(entries(bytes))
}

function* entries(bytes: Uint8Array): Generator<readonly [number: number, raw: Raw]> {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag()
    if (wireType === WireType.Varint) yield [number, BigInt(reader.int64())]
    else if (wireType === WireType.LengthDelimited) yield [number, reader.bytes()]
    else reader.skip(wireType, number)
  }
}

function propertiesOf(type: string, definitions: Definitions): JsonObject {
  return objectAt(definitions[type], 'properties')
}

function messageOf(bytes: Uint8Array, type: string, properties: JsonObject, definitions: Definitions): JsonObject {
  const fields = FIELDS.get(type)
  assert(fields !== undefined, `the fields of ${type} are known`)
  const object: JsonObject = {}
  for (const [number, raw] of entries(bytes)) {
    const field = fields.get(number)
    if (field === undefined) continue // of another version
    const { name, isPointer, inlined } = field
    if (inlined !== undefined) {
      Object.assign(object, messageOf(bytesOf(raw), inlined, properties, definitions))
      continue
    }
    const schema = objectAt(properties, name)
    if (schema['type'] === 'array') {
      const known = object[name]
      const item = valueOf(raw, objectAt(schema, 'items'), definitions)
      object[name] = Array.isArray(known) ? [...known, item] : [item]
    } else if (isMap(schema)) {
      object[name] = { ...objectAt(object, name), ...entryOf(raw, schema, definitions) }
    } else {
      const value = valueOf(raw, schema, definitions)
      if (isPointer || !isEmpty(value)) object[name] = value
    }
  }
  return object
}

const isMap = (schema: JsonObject): boolean => isObject(schema['additionalProperties'])

function isEmpty(value: Json): boolean {
  return (
    value === null ||
    value === '' ||
    value === 0 ||
    value === false ||
    (isObject(value) && Object.keys(value).length === 0)
  )
}

/** One entry of a map is a message of two fields; a list in a map is a message of one. */
function entryOf(raw: Raw, schema: JsonObject, definitions: Definitions): JsonObject {
  const entry = parts(bytesOf(raw))
  const inner = objectAt(schema, 'additionalProperties')
  const value = entry.get(2) ?? new Uint8Array()
  if (inner['type'] !== 'array') return { [textOf(entry.get(1))]: valueOf(value, inner, definitions) }
  const items = [...entries(bytesOf(value))].map(([, item]) => valueOf(item, objectAt(inner, 'items'), definitions))
  return { [textOf(entry.get(1))]: items }
}

function valueOf(raw: Raw, schema: JsonObject, definitions: Definitions): Json {
  const type = referenceOf(schema)
  if (type !== '') {
    const special = SPECIAL[type]
    const bytes = bytesOf(raw)
    if (special !== undefined) return special(bytes)
    return messageOf(bytes, type, propertiesOf(type, definitions), definitions)
  }
  switch (schema['type']) {
    case 'integer':
      return numberOf(raw)
    case 'boolean':
      return numberOf(raw) !== 0
    default:
      return schema['format'] === 'byte' ? Buffer.from(bytesOf(raw)).toString('base64') : textOf(raw)
  }
}

/** Named alone, or beside a default. */
function referenceOf(schema: JsonObject): string {
  const [only] = Array.isArray(schema['allOf']) ? schema['allOf'] : []
  return (textAt(schema, '$ref') || textAt(only, '$ref')).slice(REFERENCE.length)
}

/** What is something else in JSON than a message's fields; null: nothing is said. */
const SPECIAL: Readonly<Record<string, (bytes: Uint8Array) => Json>> = {
  [`${MACHINERY}.apis.meta.v1.Time`]: (bytes) => timeOf(bytes, timestamp),
  [`${MACHINERY}.apis.meta.v1.MicroTime`]: (bytes) =>
    timeOf(bytes, (ms, nanos) => timestamp(ms).replace('Z', `.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`)),
  [`${MACHINERY}.apis.meta.v1.FieldsV1`]: jsonOf,
  [`${MACHINERY}.runtime.RawExtension`]: jsonOf,
  [`${MACHINERY}.api.resource.Quantity`]: (bytes) => textOf(parts(bytes).get(1)),
  [`${MACHINERY}.util.intstr.IntOrString`]: (bytes) => {
    const fields = parts(bytes)
    return numberOf(fields.get(1)) === 1 ? textOf(fields.get(3)) : numberOf(fields.get(2))
  },
}

function timeOf(bytes: Uint8Array, write: (ms: number, nanos: number) => string): Json {
  if (bytes.length === 0) return null
  const fields = parts(bytes)
  return write(numberOf(fields.get(1)) * 1000, numberOf(fields.get(2)))
}

function jsonOf(bytes: Uint8Array): Json {
  const value: unknown = JSON.parse(textOf(parts(bytes).get(1)))
  return isObject(value) ? value : null
}

/** What is absent has the empty value. */
function bytesOf(raw: Raw | undefined): Uint8Array {
  if (typeof raw === 'bigint') throw new Error('a varint stands where bytes are expected')
  return raw ?? new Uint8Array()
}

const UTF8 = new TextDecoder()

function textOf(raw: Raw | undefined): string {
  return UTF8.decode(bytesOf(raw))
}

function numberOf(raw: Raw | undefined): number {
  if (raw !== undefined && typeof raw !== 'bigint') throw new Error('bytes stand where a varint is expected')
  return Number(raw ?? 0n)
}
