/** CRC-32C (Castagnoli), the checksum of WAL records and peer frames. Pass the previous value to go on with it. */
import { crc32c as compute } from '@node-rs/crc32'

export function crc32c(bytes: Uint8Array, previous = 0): number {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return compute(buffer, previous)
}
