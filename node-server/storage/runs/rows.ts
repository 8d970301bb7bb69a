/**
 * The rows of a commit on their way to the writer, in order, one behind another, in pieces:
 *
 *   key size, the byte of the table included (4) ‖ 0 for a removal, else value size + 1 (4) ‖ table (1) ‖ key ‖ value
 */
import { assert } from '../../../lib/assert.ts'
import { TABLES, type Table, type TextWrite, type Write } from '../../mvcc/backend.ts'
import { bytesOfText, putText } from '../../mvcc/byte-text.ts'
import { bytesOfValue, putValue } from '../../mvcc/row-value.ts'
import { putU32 } from './format.ts'

type AnyWrite = Write | TextWrite

export const ROW_HEAD_BYTES = 8
const PIECE_SIZE_BYTES = 256 * 1024
const LARGE_ROW_SIZE_BYTES = PIECE_SIZE_BYTES / 8
const NO_PIECE = Buffer.alloc(0)
/** Packed in one go: about a millisecond. */
const PIECE_ROWS = 2000

const NUMBERS = new Map(TABLES.map((table, number) => [table, number]))

/** What the keys of a table begin with. */
export function tableNumber(table: Table): number {
  const number = NUMBERS.get(table)
  assert(number !== undefined, () => `there is no table ${table}`)
  return number
}

/**
 * In an array the last one counts of writes with the same key; others are in order. Rows are whole in their piece; where a large one
 * begins a piece, that is no longer than the row.
 */
export function* packRows(writes: Iterable<AnyWrite>): Generator<Buffer<ArrayBuffer>, void, undefined> {
  let piece = NO_PIECE
  let at = 0
  let rows = 0
  for (const write of Array.isArray(writes) ? inOrder(writes as readonly AnyWrite[]) : writes) {
    const sizeBytes = ROW_HEAD_BYTES + 1 + write.key.length + (write.value?.length ?? 0)
    if (rows >= PIECE_ROWS || at + sizeBytes > piece.length) {
      if (rows > 0) yield piece.subarray(0, at)
      piece = Buffer.allocUnsafeSlow(sizeBytes >= LARGE_ROW_SIZE_BYTES ? sizeBytes : PIECE_SIZE_BYTES)
      at = 0
      rows = 0
    }
    at = packRow(piece, at, write)
    rows++
  }
  if (rows > 0) yield piece.subarray(0, at)
}

function packRow(piece: Buffer, start: number, { table, key, value }: AnyWrite): number {
  assert(key.length > 0, 'a key is not empty')
  let at = putU32(piece, start, key.length + 1)
  at = putU32(piece, at, value === undefined ? 0 : value.length + 1)
  piece[at++] = tableNumber(table)
  if (typeof key === 'string') putText(piece, key, at)
  else putValue(piece, key, at)
  at += key.length
  if (value === undefined) return at
  putValue(piece, value, at)
  return at + value.length
}

function inOrder(writes: readonly AnyWrite[]): readonly AnyWrite[] {
  const isSorted = writes.every((write, i) => {
    const before = writes[i - 1]
    return before === undefined || compareWrites(before, write) < 0
  })
  if (isSorted) return writes
  const sorted = writes.toSorted(compareWrites) // is stable
  return sorted.filter((write, i) => {
    const next = sorted[i + 1]
    return next === undefined || compareWrites(write, next) !== 0
  })
}

function compareWrites(a: AnyWrite, b: AnyWrite): number {
  if (a.table !== b.table) return tableNumber(a.table) - tableNumber(b.table)
  return Buffer.compare(bytesOf(a.key), bytesOf(b.key))
}

function bytesOf(key: AnyWrite['key']): Uint8Array {
  return typeof key === 'string' ? bytesOfText(key) : bytesOfValue(key)
}
