/**
 * mvccpb.KeyValue as bytes, written once when a key changes and spliced into every later answer. Its own codec because
 * the generated one would build an object for each key of a Range; fields are always written in the order of their
 * numbers, zero values left out, which is what the generated encoder does too.
 *
 *   revisions table value   tag (1): 0 put, 1 tombstone ‖ KeyValue; a tombstone has only key and mod_revision
 */
import { MalformedBytes } from '../../lib/bytes.ts'

export interface KeyValueFields {
  readonly key: Uint8Array
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly value: Uint8Array
  /** Signed 64 bits, 0n for none. */
  readonly lease: bigint
}

const TAG_SIZE_BYTES = 1
export const PUT_TAG = 0
export const TOMBSTONE_TAG = 1

const WIRE_KEY = 0x0a
const WIRE_CREATE_REVISION = 0x10
const WIRE_MOD_REVISION = 0x18
const WIRE_VERSION = 0x20
const WIRE_VALUE = 0x2a
const WIRE_LEASE = 0x30

/** A varint takes at most 10 bytes; six fields with their tags, two of them bytes with a length of up to 5. */
const MAX_FIELDS_SIZE_BYTES = 6 + 2 * 5 + 4 * 10

/** Value of the table `revisions`. */
export function encodePut(fields: KeyValueFields): Buffer {
  const { key, value } = fields
  const bytes = Buffer.allocUnsafe(TAG_SIZE_BYTES + MAX_FIELDS_SIZE_BYTES + key.length + value.length)
  bytes[0] = PUT_TAG
  let offset = writeBytes(bytes, 1, WIRE_KEY, key)
  offset = writeNumber(bytes, offset, WIRE_CREATE_REVISION, fields.createRevision)
  offset = writeNumber(bytes, offset, WIRE_MOD_REVISION, fields.modRevision)
  offset = writeNumber(bytes, offset, WIRE_VERSION, fields.version)
  offset = writeBytes(bytes, offset, WIRE_VALUE, value)
  if (fields.lease !== 0n) offset = writeBigint(bytes, offset, WIRE_LEASE, BigInt.asUintN(64, fields.lease))
  return bytes.subarray(0, offset)
}

/** Value of the table `revisions`. */
export function encodeTombstone(key: Uint8Array, modRevision: number): Buffer {
  const bytes = Buffer.allocUnsafe(TAG_SIZE_BYTES + MAX_FIELDS_SIZE_BYTES + key.length)
  bytes[0] = TOMBSTONE_TAG
  const offset = writeNumber(bytes, writeBytes(bytes, 1, WIRE_KEY, key), WIRE_MOD_REVISION, modRevision)
  return bytes.subarray(0, offset)
}

export interface StoredRevision {
  readonly isTombstone: boolean
  /** Encoded mvccpb.KeyValue; shares memory with the input. */
  readonly keyValue: Buffer
}

export function decodeStoredRevision(stored: Uint8Array): StoredRevision {
  const tag = stored[0]
  if (tag !== PUT_TAG && tag !== TOMBSTONE_TAG) throw new MalformedBytes(`a revision with tag ${tag}`)
  const keyValue = Buffer.from(stored.buffer, stored.byteOffset + TAG_SIZE_BYTES, stored.byteLength - TAG_SIZE_BYTES)
  return { isTombstone: tag === TOMBSTONE_TAG, keyValue }
}

/** The value inside an encoded KeyValue; shares memory with it. */
export function valueOf(keyValue: Buffer): Buffer {
  const span = findValue(keyValue)
  return keyValue.subarray(span.start, span.end)
}

/** The same KeyValue without its value, for `keys_only`. */
export function withoutValue(keyValue: Buffer): Buffer {
  const span = findValue(keyValue)
  if (span.fieldStart === span.end) return keyValue
  return Buffer.concat([keyValue.subarray(0, span.fieldStart), keyValue.subarray(span.end)])
}

interface ValueSpan {
  readonly fieldStart: number
  readonly start: number
  readonly end: number
}

function findValue(bytes: Buffer): ValueSpan {
  let offset = 0
  while (offset < bytes.length) {
    const fieldStart = offset
    const tag = bytes[offset++]
    if (tag !== WIRE_KEY && tag !== WIRE_VALUE) {
      while ((bytes[offset++] ?? 0) >= 0x80) continue // a varint field
      continue
    }
    let size = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset++]
      if (byte === undefined || shift > 28) throw new MalformedBytes('a KeyValue ends inside a length')
      size += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    const end = offset + size
    if (end > bytes.length) throw new MalformedBytes('a KeyValue ends inside a field')
    if (tag === WIRE_VALUE) return { fieldStart, start: offset, end }
    offset = end
  }
  return { fieldStart: offset, start: offset, end: offset }
}

function writeBytes(target: Buffer, offset: number, wire: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return offset
  target[offset] = wire
  const start = writeVarint(target, offset + 1, bytes.length)
  target.set(bytes, start)
  return start + bytes.length
}

function writeNumber(target: Buffer, offset: number, wire: number, value: number): number {
  if (value === 0) return offset
  target[offset] = wire
  return writeVarint(target, offset + 1, value)
}

/** Safe natural numbers only. */
function writeVarint(target: Buffer, offset: number, value: number): number {
  let rest = value
  let position = offset
  while (rest > 0x7f) {
    target[position++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[position++] = rest
  return position
}

function writeBigint(target: Buffer, offset: number, wire: number, value: bigint): number {
  target[offset] = wire
  let rest = value
  let position = offset + 1
  while (rest > 0x7fn) {
    target[position++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  target[position++] = Number(rest)
  return position
}
