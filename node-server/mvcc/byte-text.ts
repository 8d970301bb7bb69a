/**
 * Bytes as strings of one character a byte, in the same order. JavaScript hashes and compares such strings several times
 * faster than it does buffers, and a string does not keep the buffer alive that its bytes were a slice of.
 */
export function textOfBytes(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.toString('latin1')
}

export function bytesOfText(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
