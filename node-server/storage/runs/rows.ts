/**
 * The rows of a commit on their way to the writer, in order, one behind another:
 *
 *   key size, the byte of the table included (4) ‖ 0 for a removal, else value size + 1 (4) ‖ table (1) ‖ key ‖ value
 */
import { assert } from '../../../lib/assert.ts'
import { TABLES, type Table, type Write } from '../../mvcc/backend.ts'
import { putU32 } from './format.ts'

export const ROW_HEAD_BYTES = 8

const NUMBERS = new Map(TABLES.map((table, number) => [table, number]))

/** What the keys of a table begin with. */
export function tableNumber(table: Table): number {
  const number = NUMBERS.get(table)
  assert(number !== undefined, () => `there is no table ${table}`)
  return number
}

/** Of writes with the same key the last one counts. */
export function packRows(writes: readonly Write[]): Buffer<ArrayBuffer> {
  const sorted = inOrder(writes)
  let size = 0
  for (const { key, value } of sorted) size += ROW_HEAD_BYTES + 1 + key.length + (value?.length ?? 0)
  const rows = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const { table, key, value } of sorted) {
    assert(key.length > 0, 'a key is not empty')
    at = putU32(rows, at, key.length + 1)
    at = putU32(rows, at, value === undefined ? 0 : value.length + 1)
    rows[at++] = tableNumber(table)
    rows.set(key, at)
    at += key.length
    if (value === undefined) continue
    rows.set(value, at)
    at += value.length
  }
  return rows
}

/** The write buffer hands them over as they should be; others may not. */
function inOrder(writes: readonly Write[]): readonly Write[] {
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

function compareWrites(a: Write, b: Write): number {
  if (a.table !== b.table) return tableNumber(a.table) - tableNumber(b.table)
  return Buffer.compare(a.key, b.key)
}
