/** How a status text travels in a header: UTF-8, with all but printable ASCII, and `%`, as %XX (gRPC over HTTP/2). Pure. */
export function encodeStatusText(text: string): string {
  if (/^[ -$&-~]*$/.test(text)) return text
  let out = ''
  for (const byte of Buffer.from(text)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    out += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}
