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

/** The text's bytes into `target` from `at` on. By hand: most are short, and a call into the runtime costs more than that. */
export function putText(target: Uint8Array, text: string, at: number): void {
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i)
}
