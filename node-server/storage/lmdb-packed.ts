/**
 * The rows of a large commit on their way to the thread that writes them, in pieces:
 *
 *   table (1) ‖ size of the key (2) ‖ size of the value + 1, 0 for a removal (4) ‖ key ‖ value
 */
import { TABLES, type Table, type Write } from '../mvcc/backend.ts'

const HEAD_SIZE_BYTES = 7
const PIECE_SIZE_BYTES = 256 * 1024
/** Packed at once: about 2 ms. */
const PIECE_ROWS = 2000

/** In their order. */
export function* packed(writes: Iterable<Write>): Generator<Buffer, void, undefined> {
  let piece = Buffer.allocUnsafeSlow(PIECE_SIZE_BYTES)
  let sizeBytes = 0
  let rows = 0
  for (const write of writes) {
    const needed = HEAD_SIZE_BYTES + write.key.length + (write.value?.length ?? 0)
    if (sizeBytes > 0 && (sizeBytes + needed > piece.length || rows >= PIECE_ROWS)) {
      yield piece.subarray(0, sizeBytes)
      piece = Buffer.allocUnsafeSlow(Math.max(PIECE_SIZE_BYTES, needed))
      sizeBytes = 0
      rows = 0
    } else if (needed > piece.length) piece = Buffer.allocUnsafeSlow(needed)
    sizeBytes = pack(piece, sizeBytes, write)
    rows += 1
  }
  if (sizeBytes > 0) yield piece.subarray(0, sizeBytes)
}

function pack(piece: Buffer, start: number, { table, key, value }: Write): number {
  let offset = piece.writeUInt8(TABLE_NUMBERS[table], start)
  offset = piece.writeUInt16LE(key.length, offset)
  offset = piece.writeUInt32LE(value === undefined ? 0 : value.length + 1, offset)
  piece.set(key, offset)
  offset += key.length
  if (value === undefined) return offset
  piece.set(value, offset)
  return offset + value.length
}

/** Keys and values share memory with the piece. */
export function* unpacked(bytes: Uint8Array): Generator<Write, void, undefined> {
  const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let offset = 0; offset < piece.length;) {
    const table = TABLES[piece.readUInt8(offset)]
    if (table === undefined) throw new Error(`there is no table ${piece[offset]}`)
    const keyStart = offset + HEAD_SIZE_BYTES
    const keyEnd = keyStart + piece.readUInt16LE(offset + 1)
    const valueSize = piece.readUInt32LE(offset + 3)
    offset = keyEnd + Math.max(0, valueSize - 1)
    yield {
      table,
      key: piece.subarray(keyStart, keyEnd),
      value: valueSize === 0 ? undefined : piece.subarray(keyEnd, offset),
    }
  }
}

const TABLE_NUMBERS = Object.fromEntries(TABLES.map((table, number) => [table, number])) as Readonly<
  Record<Table, number>
>
