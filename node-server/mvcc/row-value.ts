/**
 * Values of the write buffer, and keys. Most are written many times as often as they are read, so those of puts are kept as
 * what they are made of, and become bytes when somebody reads them or in the very memory that goes to the disk.
 */

/** What it is made of does not change. */
export interface LateBytes {
  /** Of its bytes, as an array of them has it. */
  readonly length: number
  /** Into `target` from `at` on, which has the room. */
  writeTo(target: Buffer, at: number): void
}

export type RowValue = Uint8Array | LateBytes

export function bytesOfValue(value: RowValue): Uint8Array {
  if (value instanceof Uint8Array) return value
  const bytes = Buffer.allocUnsafe(value.length)
  value.writeTo(bytes, 0)
  return bytes
}

export function putValue(target: Buffer, value: RowValue, at: number): void {
  if (value instanceof Uint8Array) target.set(value, at)
  else value.writeTo(target, at)
}
