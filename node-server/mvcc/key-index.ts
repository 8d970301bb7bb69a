/**
 * The key index: for every key its live version in `current`, superseded versions and tombstones in `history`. A key that
 * was never overwritten has one entry; nothing is rebuilt at start.
 *
 * Example, after put a (revision 2), put a (3), delete a (4), put b (5):
 *
 *   current   b → {mod 5, create 5, version 1}
 *   history   a‖2 → {mod 2, create 2, version 1}   a‖3 → {mod 3, create 2, version 2}   a‖4 → tombstone
 *
 * Reading a key at revision R: its entry in `current` if that is not newer than R, else its newest entry in `history`
 * that is not newer than R; a tombstone or nothing there means that the key did not exist.
 *
 *   index record   mod revision (8) ‖ sub-revision (4) ‖ create revision (8) ‖ version (8) ‖ lease (8)
 *   history key    user key with each 00 as 00 FF ‖ 00 01 ‖ mod revision (8)
 *
 * A history has one record a revision. Where a txn puts a key and then deletes it (inner txns can), that is the tombstone,
 * and its create revision, which no tombstone has, is 1 + the sub-revision of the put: who removes one row removes both.
 * Where a txn deletes a key and then puts it (it can when the deletion is of a range to the end), that is the put in the
 * end, and no record names the deletion's row: a compaction comes by it in `revisions`.
 *
 * The escape keeps the order of user keys although something follows them, and no key a prefix of another.
 */
import { MalformedBytes } from '../../lib/bytes.ts'
import { bytesOfValue, type LateBytes, type RowValue } from './row-value.ts'

export interface IndexRecord {
  readonly modRevision: number
  /** Position of the change in its txn. */
  readonly sub: number
  readonly createRevision: number
  /** Puts since the key was created; 0 marks a tombstone. */
  readonly version: number
  /** 0n: none. */
  readonly lease: bigint
}

const RECORD_SIZE_BYTES = 36
const TERMINATOR_SIZE_BYTES = 2
const REVISION_SIZE_BYTES = 8
/** In `revisions`. */
export const REVISION_KEY_SIZE_BYTES = 12
const TWO_POW_32 = 0x1_0000_0000

function countZeros(bytes: Uint8Array): number {
  let zeros = 0
  for (const byte of bytes) if (byte === 0) zeros++
  return zeros
}

function writeU53(target: Buffer, value: number, offset: number): void {
  writeU32(target, Math.floor(value / TWO_POW_32), offset)
  writeU32(target, value % TWO_POW_32, offset + 4)
}

/** By hand: several for each put, and Buffer's own looks at what it is given each time. */
function writeU32(target: Buffer, value: number, offset: number): void {
  target[offset] = value >>> 24
  target[offset + 1] = value >>> 16
  target[offset + 2] = value >>> 8
  target[offset + 3] = value
}

function textOfU32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
}

function textOfU53(value: number): string {
  return textOfU32(Math.floor(value / TWO_POW_32)) + textOfU32(value % TWO_POW_32)
}

function u32OfText(text: string, at: number): number {
  let value = 0
  for (let i = at; i < at + 4; i++) value = value * 0x100 + (i < text.length ? text.charCodeAt(i) : 0)
  return value
}

function readU53(source: Buffer, offset: number): number {
  return source.readUInt32BE(offset) * TWO_POW_32 + source.readUInt32BE(offset + 4)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function encodeRecord(record: IndexRecord): Buffer {
  const bytes = Buffer.allocUnsafe(RECORD_SIZE_BYTES)
  writeRecord(bytes, record, 0)
  return bytes
}

function writeRecord(
  target: Buffer,
  { modRevision, sub, createRevision, version, lease }: IndexRecord,
  at: number,
): void {
  writeU53(target, modRevision, at)
  writeU32(target, sub, at + 8)
  writeU53(target, createRevision, at + 12)
  writeU53(target, version, at + 20)
  if (lease === 0n) target.fill(0, at + 28, at + RECORD_SIZE_BYTES)
  else target.writeBigInt64BE(lease, at + 28)
}

/** A record as the write buffer keeps it. */
export class LateRecord implements IndexRecord, LateBytes {
  readonly modRevision: number
  readonly sub: number
  readonly createRevision: number
  readonly version: number
  readonly lease: bigint

  constructor({ modRevision, sub, createRevision, version, lease }: IndexRecord) {
    this.modRevision = modRevision
    this.sub = sub
    this.createRevision = createRevision
    this.version = version
    this.lease = lease
  }

  get length(): number {
    return RECORD_SIZE_BYTES
  }

  writeTo(target: Buffer, at: number): void {
    writeRecord(target, this, at)
  }
}

/** Of a row of `current` or `history`. */
export function recordOf(value: RowValue): LateRecord {
  return value instanceof LateRecord ? value : new LateRecord(decodeRecord(bytesOfValue(value)))
}

export function decodeRecord(bytes: Uint8Array): IndexRecord {
  if (bytes.length !== RECORD_SIZE_BYTES) throw new MalformedBytes(`an index record of ${bytes.length} bytes`)
  const buffer = asBuffer(bytes)
  return {
    modRevision: readU53(buffer, 0),
    sub: buffer.readUInt32BE(8),
    createRevision: readU53(buffer, 12),
    version: readU53(buffer, 20),
    lease: readLease(buffer, 28),
  }
}

/** Hardly a key has one, and each bigint that is read from bytes is an object of its own. */
function readLease(source: Buffer, offset: number): bigint {
  const isNone = source.readUInt32BE(offset) === 0 && source.readUInt32BE(offset + 4) === 0
  return isNone ? 0n : source.readBigInt64BE(offset)
}

/** Of an encoded record. */
export function modRevisionOf(bytes: Uint8Array): number {
  return readU53(asBuffer(bytes), 0)
}

export function isTombstone(record: IndexRecord): boolean {
  return record.version === 0
}

/** The record of a key that is deleted; `hidden` is its live version in the same txn, if that is where it came from. */
export function tombstoneOf(modRevision: number, sub: number, hidden: IndexRecord | undefined): IndexRecord {
  return { modRevision, sub, createRevision: hidden === undefined ? 0 : hidden.sub + 1, version: 0, lease: 0n }
}

/** Sub-revision of the put that the same txn deleted; undefined when there is none. */
export function hiddenSubOf(record: IndexRecord): number | undefined {
  return isTombstone(record) && record.createRevision > 0 ? record.createRevision - 1 : undefined
}

/** Key of the table `revisions` for it. */
export function hiddenRevisionKey(record: IndexRecord): Buffer | undefined {
  const sub = hiddenSubOf(record)
  return sub === undefined ? undefined : revisionKey(record.modRevision, sub)
}

/** Key of the table `revisions`. */
export function revisionKey(revision: number, sub: number): Buffer {
  const key = Buffer.allocUnsafe(REVISION_KEY_SIZE_BYTES)
  writeRevisionKey(key, revision, sub, 0)
  return key
}

/** The same as text (byte-text.ts). */
export function revisionText(revision: number, sub: number): string {
  return textOfU53(revision) + textOfU32(sub)
}

/** {@link revisionKey} into `target` from `at` on. */
export function writeRevisionKey(target: Buffer, revision: number, sub: number, at: number): void {
  writeU53(target, revision, at)
  writeU32(target, sub, at + 8)
}

/** Of a key of `revisions` as text, or of the beginning of one, which is as good as one that goes on with zeros. */
export function revisionOfText(text: string): { readonly revision: number; readonly sub: number } {
  return { revision: u32OfText(text, 0) * TWO_POW_32 + u32OfText(text, 4), sub: u32OfText(text, 8) }
}

export function decodeRevisionKey(key: Uint8Array): { readonly revision: number; readonly sub: number } {
  if (key.length !== REVISION_KEY_SIZE_BYTES) throw new MalformedBytes(`a revision key of ${key.length} bytes`)
  const buffer = asBuffer(key)
  return { revision: readU53(buffer, 0), sub: buffer.readUInt32BE(8) }
}

/** The user key escaped and terminated: what all history keys of it start with. */
export function historyPrefix(key: Uint8Array): Buffer {
  return escape(key, TERMINATOR_SIZE_BYTES)
}

export function historyKey(key: Uint8Array, revision: number): Buffer {
  const bytes = escape(key, TERMINATOR_SIZE_BYTES + REVISION_SIZE_BYTES)
  writeU53(bytes, revision, bytes.length - REVISION_SIZE_BYTES)
  return bytes
}

/** The same as text, of the text of the key. */
export function historyText(key: string, revision: number): string {
  const escaped = key.includes('\0') ? key.replaceAll('\0', '\0\u00ff') : key
  return `${escaped}\0\u0001${textOfU53(revision)}`
}

/** How many bytes {@link historyKey} has, of the text of the key. */
export function historyKeySize(key: string): number {
  let sizeBytes = key.length + TERMINATOR_SIZE_BYTES + REVISION_SIZE_BYTES
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) === 0) sizeBytes++
  return sizeBytes
}

/** {@link historyKey} into `target` from `at` on, of the text of the key. */
export function writeHistoryKey(target: Buffer, key: string, revision: number, at: number): void {
  let offset = at
  for (let i = 0; i < key.length; i++) {
    const byte = key.charCodeAt(i)
    target[offset++] = byte
    if (byte === 0) target[offset++] = 0xff
  }
  target[offset] = 0
  target[offset + 1] = 1
  writeU53(target, revision, offset + TERMINATOR_SIZE_BYTES)
}

/**
 * Of a bound in `history` the user key, both as text: rows of lower keys stand before the bound, those of higher ones at or
 * behind it.
 */
export function keyTextOf(bound: string): string {
  const end = bound.search(/\0(?!\u00ff)/)
  const escaped = end < 0 ? bound : bound.slice(0, end)
  return escaped.includes('\0') ? escaped.replaceAll('\0\u00ff', '\0') : escaped
}

/** Where the history of keys >= `key` begins. */
export function historyBound(key: Uint8Array): Buffer {
  return escape(key, 0)
}

/** Escaped key, the terminator if there is room for it, the rest of the `tail` unset. */
function escape(key: Uint8Array, tailSizeBytes: number): Buffer {
  const zeros = key.includes(0) ? countZeros(key) : 0
  const escapedSize = key.length + zeros
  const bytes = Buffer.allocUnsafe(escapedSize + tailSizeBytes)
  if (zeros === 0) bytes.set(key)
  else {
    let offset = 0
    for (const byte of key) {
      bytes[offset++] = byte
      if (byte === 0) bytes[offset++] = 0xff
    }
  }
  if (tailSizeBytes >= TERMINATOR_SIZE_BYTES) bytes.writeUInt16BE(1, escapedSize)
  return bytes
}

export interface HistoryKey {
  readonly key: Buffer
  readonly revision: number
}

export function decodeHistoryKey(bytes: Uint8Array): HistoryKey {
  const buffer = asBuffer(bytes)
  const escapedSize = buffer.length - TERMINATOR_SIZE_BYTES - REVISION_SIZE_BYTES
  if (escapedSize < 1 || buffer.readUInt16BE(escapedSize) !== 1) throw new MalformedBytes('not a history key')
  return {
    key: unescape(buffer.subarray(0, escapedSize)),
    revision: readU53(buffer, escapedSize + TERMINATOR_SIZE_BYTES),
  }
}

/** Whether two history keys are of one user key. */
export function isSameHistory(a: Buffer, b: Buffer): boolean {
  if (a.length !== b.length) return false
  const prefixSize = a.length - REVISION_SIZE_BYTES
  return a.compare(b, 0, prefixSize, 0, prefixSize) === 0
}

function unescape(escaped: Buffer): Buffer {
  if (!escaped.includes(0)) return escaped
  const key = Buffer.allocUnsafe(escaped.length)
  let size = 0
  for (let offset = 0; offset < escaped.length; offset++) {
    const byte = escaped.readUInt8(offset)
    key[size++] = byte
    if (byte === 0 && escaped[++offset] !== 0xff) throw new MalformedBytes('a zero byte that is not escaped')
  }
  return key.subarray(0, size)
}
