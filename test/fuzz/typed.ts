/** Arbitrary messages of a type, by its descriptor: the right fields and wire types, with values that break things. */
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import { bytes, int64, lengthDelimited, mutate, mutation, shortBytes, tag, varint } from './wire.ts'

/** Messages inside of messages; a txn in a txn takes two. */
const MAX_DEPTH = 5
const LENGTH_DELIMITED_SCALARS: ReadonlySet<ScalarType> = new Set([ScalarType.STRING, ScalarType.BYTES])

function messageOf(type: DescMessage, depth: number): fc.Arbitrary<Buffer> {
  const fields = type.fields
    .filter((field) => depth < MAX_DEPTH || (field.fieldKind !== 'message' && field.fieldKind !== 'list'))
    .map((field) => occurrences(field, depth))
  return fc.tuple(...fields).map((parts) => Buffer.concat(parts))
}

function occurrences(field: DescField, depth: number): fc.Arbitrary<Buffer> {
  const value = one(field, depth)
  // Absent as often as there; twice is allowed for every field, and the last one counts.
  return fc.array(value, { maxLength: field.fieldKind === 'list' ? 3 : 1 }).map((parts) => Buffer.concat(parts))
}

function one(field: DescField, depth: number): fc.Arbitrary<Buffer> {
  const { number } = field
  if (field.message !== undefined) {
    return messageOf(field.message, depth + 1).map((message) => lengthDelimited(number, message))
  }
  if (field.scalar !== undefined && LENGTH_DELIMITED_SCALARS.has(field.scalar)) {
    return shortBytes.map((value) => lengthDelimited(number, value))
  }
  return int64.map((value) => Buffer.concat([tag(number, 0), varint(value)]))
}

/** Requests of a method: mostly of its type, some of them damaged, and some that are anything. */
export function requestsOf(type: DescMessage): fc.Arbitrary<Buffer> {
  const typed = messageOf(type, 0)
  return fc.oneof(
    { weight: 5, arbitrary: typed },
    { weight: 2, arbitrary: fc.tuple(typed, mutation).map(([whole, change]) => mutate(whole, change)) },
    { weight: 2, arbitrary: bytes },
  )
}
