/**
 * mvccpb.Event as bytes. Its own codec for the same reason as key-value.ts: events of one revision go to many watches, and
 * the key-values in them are bytes already.
 *
 *   type (08 01, only of a delete) ‖ kv (12 size …) ‖ prev_kv (1a size …, if there is one)
 */
import { fieldSize, writeBytesField } from './wire.ts'

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
