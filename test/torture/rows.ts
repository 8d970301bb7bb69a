/** A table's content as one row a key: index, size and checksum of the value (4 bytes each, big-endian). Pure. */
import { crc32c } from '../../lib/crc32c.ts'
import { TORTURED_TABLES, type TorturedTable } from './content.ts'

export type Rows = Readonly<Record<TorturedTable, Uint8Array>>

export interface Row {
  readonly index: number
  readonly sizeBytes: number
  readonly checksum: number
}

const ROW_BYTES = 12

export function rowOf(index: number, value: Uint8Array): Row {
  return { index, sizeBytes: value.length, checksum: crc32c(value) }
}

export function encodeRows(rows: readonly Row[]): Uint8Array {
  const bytes = Buffer.alloc(rows.length * ROW_BYTES)
  rows.forEach(({ index, sizeBytes, checksum }, i) => {
    bytes.writeUInt32BE(index, i * ROW_BYTES)
    bytes.writeUInt32BE(sizeBytes, i * ROW_BYTES + 4)
    bytes.writeUInt32BE(checksum, i * ROW_BYTES + 8)
  })
  return bytes
}

export function emptyRows(): Rows {
  const none = new Uint8Array(0)
  return { current: none, revisions: none, history: none }
}

/** The first difference, in words. */
export function difference(expected: Rows, found: Rows): string | undefined {
  for (const table of TORTURED_TABLES) {
    const [wanted, got] = [expected[table], found[table]]
    if (Buffer.compare(wanted, got) === 0) continue
    let at = 0
    while (Buffer.compare(wanted.subarray(at, at + ROW_BYTES), got.subarray(at, at + ROW_BYTES)) === 0) at += ROW_BYTES
    return `${table}: ${describeRows(wanted, at)} is expected, and there is ${describeRows(got, at)}`
  }
  return undefined
}

function describeRows(rows: Uint8Array, at: number): string {
  if (at >= rows.length) return 'no further key'
  const row = Buffer.from(rows.subarray(at, at + ROW_BYTES))
  return `key ${row.readUInt32BE(0)} of ${row.readUInt32BE(4)} bytes (${row.readUInt32BE(8).toString(16)})`
}
