/**
 * mvccpb.KeyValue as bytes, written once when a key changes and spliced into every later answer. Its own codec because
 * the generated one would build an object for each key of a Range; fields are always written in the order of their
 * numbers, zero values left out, which is what the generated encoder does too.
 *
 *   revisions table value   tag (1): 0 put, 1 tombstone ‖ KeyValue; a tombstone has only key and mod_revision
 */
import { MalformedBytes } from '../../lib/bytes.ts'
import { putText } from './byte-text.ts'
import type { LateRecord } from './key-index.ts'
import type { LateBytes } from './row-value.ts'
import { writeBytesField, writeNumberField, writeVarint } from './wire.ts'

/** What is known of a key-value beside its bytes. */
export interface KeyValueNumbers {
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  /** Signed 64 bits, 0n for none. */
  readonly lease: bigint
}

export interface KeyValueFields extends KeyValueNumbers {
  readonly key: Uint8Array
  readonly value: Uint8Array
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

/** Value of the table `revisions`. */
export function encodePut(fields: KeyValueFields): Buffer {
  const { key, value } = fields
  const bytes = Buffer.allocUnsafe(TAG_SIZE_BYTES + sizeOf(fields, key.length, value.length))
  bytes[0] = PUT_TAG
  writeFields(bytes, TAG_SIZE_BYTES, fields, key, value)
  return bytes
}

/**
 * The same as the write buffer keeps it: the value stays where it lies, in the entry that it came with. The key is the text
 * (byte-text.ts) that another row has anyway.
 */
export class LatePut implements LateBytes {
  readonly length: number
  readonly record: LateRecord
  readonly #key: string
  readonly #value: Uint8Array

  constructor(record: LateRecord, key: string, value: Uint8Array) {
    this.length = TAG_SIZE_BYTES + sizeOf(record, key.length, value.length)
    this.record = record
    this.#key = key
    this.#value = value
  }

  writeTo(target: Buffer, at: number): void {
    target[at] = PUT_TAG
    writeFields(target, at + TAG_SIZE_BYTES, this.record, this.#key, this.#value)
  }
}

/** A key-value as it goes to clients. */
export function encodeKeyValue(fields: KeyValueFields): Buffer {
  const { key, value } = fields
  const bytes = Buffer.allocUnsafe(sizeOf(fields, key.length, value.length))
  writeFields(bytes, 0, fields, key, value)
  return bytes
}

function sizeOf(numbers: KeyValueNumbers, keySizeBytes: number, valueSizeBytes: number): number {
  const { createRevision, modRevision, version, lease } = numbers
  return (
    bytesFieldSize(keySizeBytes) +
    numberFieldSize(createRevision) +
    numberFieldSize(modRevision) +
    numberFieldSize(version) +
    bytesFieldSize(valueSizeBytes) +
    (lease === 0n ? 0 : 1 + bigintSize(BigInt.asUintN(64, lease)))
  )
}

function writeFields(
  bytes: Buffer,
  start: number,
  { createRevision, modRevision, version, lease }: KeyValueNumbers,
  key: Uint8Array | string,
  value: Uint8Array,
): void {
  let offset = typeof key === 'string' ? writeKeyText(bytes, start, key) : writeBytes(bytes, start, WIRE_KEY, key)
  offset = writeNumberField(bytes, offset, WIRE_CREATE_REVISION, createRevision)
  offset = writeNumberField(bytes, offset, WIRE_MOD_REVISION, modRevision)
  offset = writeNumberField(bytes, offset, WIRE_VERSION, version)
  offset = writeBytes(bytes, offset, WIRE_VALUE, value)
  if (lease !== 0n) writeBigint(bytes, offset, WIRE_LEASE, BigInt.asUintN(64, lease))
}

/** Value of the table `revisions`. */
export function encodeTombstone(key: Uint8Array, modRevision: number): Buffer {
  const bytes = Buffer.allocUnsafe(TAG_SIZE_BYTES + bytesFieldSize(key.length) + numberFieldSize(modRevision))
  bytes[0] = TOMBSTONE_TAG
  writeNumberField(bytes, writeBytes(bytes, 1, WIRE_KEY, key), WIRE_MOD_REVISION, modRevision)
  return bytes
}

function bytesFieldSize(sizeBytes: number): number {
  return sizeBytes === 0 ? 0 : 1 + varintSize(sizeBytes) + sizeBytes
}

function numberFieldSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value)
}

function varintSize(value: number): number {
  let sizeBytes = 1
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) sizeBytes++
  return sizeBytes
}

function bigintSize(value: bigint): number {
  let sizeBytes = 1
  for (let rest = value; rest > 0x7fn; rest >>= 7n) sizeBytes++
  return sizeBytes
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

export interface KeyValueHead {
  /** Shares memory with the input. */
  readonly key: Buffer
  /** 0 in a tombstone. */
  readonly createRevision: number
}

/** What stands at the beginning of an encoded KeyValue: this module writes fields in the order of their numbers. */
export function headOf(keyValue: Buffer): KeyValueHead {
  let offset = 0
  let key = keyValue.subarray(0, 0)
  if (keyValue[offset] === WIRE_KEY) {
    const size = readVarint(keyValue, offset + 1)
    key = keyValue.subarray(size.end, size.end + size.value)
    offset = size.end + size.value
  }
  return { key, createRevision: keyValue[offset] === WIRE_CREATE_REVISION ? readVarint(keyValue, offset + 1).value : 0 }
}

function readVarint(bytes: Buffer, offset: number): { readonly value: number; readonly end: number } {
  let value = 0
  for (let end = offset, scale = 1; ; scale *= 0x80) {
    const byte = bytes[end++]
    if (byte === undefined || scale > Number.MAX_SAFE_INTEGER)
      throw new MalformedBytes('a KeyValue ends inside a number')
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, end }
  }
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
  return bytes.length === 0 ? offset : writeBytesField(target, offset, wire, bytes)
}

function writeKeyText(target: Buffer, offset: number, key: string): number {
  if (key.length === 0) return offset
  target[offset] = WIRE_KEY
  const start = writeVarint(target, offset + 1, key.length)
  putText(target, key, start)
  return start + key.length
}

function writeBigint(target: Buffer, offset: number, wire: number, value: bigint): void {
  target[offset] = wire
  let rest = value
  let position = offset + 1
  while (rest > 0x7fn) {
    target[position++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  target[position] = Number(rest)
}
