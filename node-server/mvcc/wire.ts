/** Fields of protobuf that are written by hand, where building an object for the generated codec costs more than the answer. */

/** Of 64 bits. */
export const MAX_VARINT_BYTES = 10

/** Of a length-delimited field whose number is below 16. */
export function fieldSize(bytes: Uint8Array): number {
  let sizeBytes = 2 + bytes.length
  for (let rest = bytes.length; rest > 0x7f; rest >>>= 7) sizeBytes++
  return sizeBytes
}

/** Returns the offset after the field. */
export function writeBytesField(target: Buffer, offset: number, wire: number, bytes: Uint8Array): number {
  target[offset] = wire
  const start = writeVarint(target, offset + 1, bytes.length)
  target.set(bytes, start)
  return start + bytes.length
}

/** Nothing for 0, as the generated codec does. Returns the offset after it. */
export function writeNumberField(target: Buffer, offset: number, wire: number, value: number): number {
  if (value === 0) return offset
  target[offset] = wire
  return writeVarint(target, offset + 1, value)
}

/** Safe natural numbers only. Returns the offset after it. */
export function writeVarint(target: Buffer, offset: number, value: number): number {
  let rest = value
  let position = offset
  while (rest > 0x7f) {
    target[position++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[position++] = rest
  return position
}
