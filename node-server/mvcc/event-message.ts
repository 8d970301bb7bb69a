/**
 * mvccpb.Event as bytes. Its own codec for the same reason as key-value.ts: events of one revision go to many watches, and
 * the key-values in them are bytes already.
 *
 *   type (08 01, only of a delete) ‖ kv (12 size …) ‖ prev_kv (1a size …, if there is one)
 */
const WIRE_TYPE = 0x08
const WIRE_KEY_VALUE = 0x12
const WIRE_PREVIOUS = 0x1a
const DELETE = 1

export function encodeEvent(isDelete: boolean, keyValue: Buffer, previous: Buffer | undefined): Buffer {
  const sizeBytes = (isDelete ? 2 : 0) + fieldSize(keyValue) + (previous === undefined ? 0 : fieldSize(previous))
  const bytes = Buffer.allocUnsafe(sizeBytes)
  let offset = 0
  if (isDelete) {
    bytes[offset++] = WIRE_TYPE
    bytes[offset++] = DELETE
  }
  offset = writeBytesField(bytes, offset, WIRE_KEY_VALUE, keyValue)
  if (previous !== undefined) writeBytesField(bytes, offset, WIRE_PREVIOUS, previous)
  return bytes
}

/** Of a length-delimited field whose number is below 16. */
export function fieldSize(bytes: Uint8Array): number {
  let sizeBytes = 2 + bytes.length
  for (let rest = bytes.length; rest > 0x7f; rest >>>= 7) sizeBytes++
  return sizeBytes
}

/** Returns the offset after the field. */
export function writeBytesField(target: Buffer, offset: number, wire: number, bytes: Uint8Array): number {
  target[offset] = wire
  let position = offset + 1
  let rest = bytes.length
  for (; rest > 0x7f; rest >>>= 7) target[position++] = (rest & 0x7f) | 0x80
  target[position++] = rest
  target.set(bytes, position)
  return position + bytes.length
}
