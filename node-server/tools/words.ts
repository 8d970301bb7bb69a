/** How the tools print bytes, sizes and lists. */
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const

/** As etcdutl prints sizes: powers of 1000, one decimal below 10, from there on whole, halves to the even neighbour. */
export function humanSize(bytes: number): string {
  if (bytes < 10) return `${bytes} B`
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3))
  const tenths = Math.floor((bytes / 1000 ** power) * 10 + 0.5)
  return `${tenths < 100 ? (tenths / 10).toFixed(1) : wholes(tenths)} ${UNITS[power]}`
}

function wholes(tenths: number): number {
  const whole = Math.floor(tenths / 10)
  const rest = tenths % 10
  return rest > 5 || (rest === 5 && whole % 2 === 1) ? whole + 1 : whole
}

/** Printable ASCII as it is, in quotes; everything else as \xNN, so that a terminal shows what is there. */
export function quoteBytes(bytes: Uint8Array): string {
  let text = '"'
  for (const byte of bytes) {
    if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else text += `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return `${text}"`
}

export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`
}
