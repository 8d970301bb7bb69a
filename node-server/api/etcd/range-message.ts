/**
 * etcd's RangeResponse, or a part of one, as bytes: its size is known before it is written, and each key-value is copied once.
 *
 *   header ‖ kvs (12 size …)* ‖ more (18 01, if there are) ‖ count (20 varint, unless it is 0)
 */
import { assert } from '../../../lib/assert.ts'
import type { RangeResult } from '../../mvcc/results.ts'
import { fieldSize, MAX_VARINT_BYTES, writeBytesField, writeNumberField } from '../../mvcc/wire.ts'

const WIRE_KEY_VALUE = 0x12
const WIRE_MORE = 0x18
const WIRE_COUNT = 0x20
const MAX_END_BYTES = 2 + 1 + MAX_VARINT_BYTES

/** Of a part that is not the first. */
export const NO_HEADER = new Uint8Array(0)

/** `header` as `HeaderBytes` gives it. */
export function encodeRange(
  header: Uint8Array,
  { kvs, more, count }: Pick<RangeResult, 'kvs' | 'more' | 'count'>,
): Uint8Array {
  let sizeBytes = header.length
  for (const kv of kvs) sizeBytes += fieldSize(kv)
  const bytes = Buffer.allocUnsafe(sizeBytes + MAX_END_BYTES)
  bytes.set(header)
  let end = header.length
  for (const kv of kvs) end = writeBytesField(bytes, end, WIRE_KEY_VALUE, kv)
  assert(end === sizeBytes, 'the size was computed as the bytes are written')
  if (more) {
    bytes[end++] = WIRE_MORE
    bytes[end++] = 1
  }
  end = writeNumberField(bytes, end, WIRE_COUNT, count)
  return bytes.subarray(0, end)
}
