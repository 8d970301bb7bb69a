/**
 * The key-values that a long read has found the keys of. Where keys were written in their order their key-values lie one
 * behind another: those are read in one go, block by block, at a fraction of what it costs to look for each. None of them is
 * kept for later: they are more than there is room for, and would take the place of what is asked for often.
 */
import { decodeRevisionKey, revisionKey, type IndexRecord } from './key-index.ts'
import { decodeStoredRevision } from './key-value.ts'
import { readKeyValue, type IndexedKey } from './read.ts'
import type { Store } from './store.ts'

/** A version is near behind another when it is at most so many revisions, or operations of a txn, later. */
const NEAR = 4
/** Fewer that are near one another are looked for one by one. */
const LEAST_NEIGHBOURS = 16

/** Those of `keys` from that position on. Consume it before anything is awaited or written. */
export function* longReadKeyValues(store: Store, keys: readonly IndexedKey[], from: number): Iterable<Buffer> {
  for (let start = from; start < keys.length;) {
    const end = endOfNeighbours(keys, start)
    if (end - start >= LEAST_NEIGHBOURS) yield* neighbours(store, keys, start, end)
    else for (const { record } of keys.slice(start, end)) yield readKeyValue(store, record, false)
    start = end
  }
}

function endOfNeighbours(keys: readonly IndexedKey[], start: number): number {
  let end = start + 1
  for (let before = keys[start]?.record; before !== undefined; end++) {
    const record = keys[end]?.record
    if (record === undefined || !isNearBehind(record, before)) break
    before = record
  }
  return end
}

function isNearBehind(record: IndexRecord, before: IndexRecord): boolean {
  const revisions = record.modRevision - before.modRevision
  if (revisions === 0) return record.sub > before.sub && record.sub - before.sub <= NEAR
  return revisions > 0 && revisions <= NEAR && record.sub < NEAR
}

/** Between them may lie all that other keys have of their revisions: when that is too much, the rest is looked for. */
function* neighbours(store: Store, keys: readonly IndexedKey[], start: number, end: number): Iterable<Buffer> {
  const [first, last] = [keys[start]?.record, keys[end - 1]?.record]
  if (first === undefined || last === undefined) return
  let next = start
  let inVain = NEAR * (end - start)
  const bound = revisionKey(last.modRevision, last.sub + 1)
  for (const row of store.buffer.scan('revisions', revisionKey(first.modRevision, first.sub), bound)) {
    const record = keys[next]?.record
    if (record === undefined || next === end) return
    const { revision, sub } = decodeRevisionKey(row.key)
    if (revision === record.modRevision && sub === record.sub) {
      yield decodeStoredRevision(row.value).keyValue
      next++
    } else if (--inVain < 0) break
  }
  for (; next < end; next++) {
    const record = keys[next]?.record
    if (record !== undefined) yield readKeyValue(store, record, false)
  }
}
