/** CRC-32C (Castagnoli), the checksum of WAL records and peer frames. Pass the previous value to go on with it. */
import { crc32c as compute } from '@node-rs/crc32'

/** Up to here, the way into the library takes longer than the sum itself. */
const SHORT_SIZE_BYTES = 128

export function crc32c(bytes: Uint8Array, previous = 0): number {
  if (bytes.length <= SHORT_SIZE_BYTES) return computeHere(bytes, previous)
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return compute(buffer, previous)
}

const REVERSED_POLYNOMIAL = 0x82f63b78
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ REVERSED_POLYNOMIAL
  return crc
})

function computeHere(bytes: Uint8Array, previous: number): number {
  let crc = ~previous
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
  return ~crc >>> 0
}
