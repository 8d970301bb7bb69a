/**
 * What LMDB's library (lmdb-js 3.5.6) does wrong with the pages of a file that are free, and what rules it out here. The
 * free pages have a table of their own, in which each commit puts one record: the pages that it has freed. A transaction
 * that needs pages takes some of those records into a list in memory, and writes what is left of the list back when it
 * commits (`mdb_page_alloc` and `mdb_freelist_save` in mdb.c).
 *
 * Found and watched by test/torture.
 */
import type { RootDatabase } from 'lmdb'
import { assert } from '../../lib/assert.ts'
import { TABLES, type Write } from '../mvcc/backend.ts'
import { textOfBytes } from '../mvcc/byte-text.ts'

/**
 * An option for the opening of a file: no list is kept from one transaction to the next.
 *
 * Of a list that was kept only the records are written in whose part of it something has changed. They are emptied first;
 * when the list becomes shorter while it is saved, the parts shift, and one that no longer meets the change stays empty.
 * Its pages are missing until that part changes again; if the process ends before, they are lost for good, and no compacting
 * copy of the file can be made any more (MDB_INCOMPATIBLE). In other cases the list had a page twice, and the commit failed
 * (MDB_BAD_TXN). A list that was read in the same transaction is written as a whole.
 */
export const WITHOUT_MEMORY = { maxFreeSpaceToRetain: 0 } as const

/**
 * To be called for a file that was opened to be written, before anything else is committed to it.
 *
 * A record of more than 250 pages does not fit half a page, so it gets pages of its own, and for those the library searches
 * the table that it is about to put the record in. When the table was empty, there is its new leaf in it by now, without an
 * entry; `mdb_cursor_last` reads the one before the first, and the process ends (SIGSEGV, or an assertion), or the commit is
 * refused. The table is empty in every compacting copy, and stays so until a commit frees something.
 *
 * So the first record must be small: this commit's, which frees a page or a few. From then on no commit finds the table
 * empty. It takes out only records that no reader could need, which that of the commit just before it never is; and every
 * commit leaves a record, because one that changes any table frees at least the old root of the table of tables.
 *
 * The entry stands beside the store's tables and is gone in the same transaction, which is durable when this returns.
 */
export function keepFreeTableFilled(root: RootDatabase<Uint8Array, Uint8Array>): void {
  if (freeRecords(root) > 0) return
  const key = Buffer.of(0)
  root.transactionSync(() => {
    root.putSync(key, key)
    root.removeSync(key)
  })
  assert(freeRecords(root) > 0, 'a commit leaves a record of the pages that it freed')
}

function freeRecords(root: RootDatabase<Uint8Array, Uint8Array>): number {
  root.resetReadTxn()
  return (root.getStats() as { readonly free: { readonly entryCount: number } }).free.entryCount
}

/**
 * Of the writes to one key the last.
 *
 * The pages of a large value that the same transaction has written and removes or replaces go into the list in memory
 * (`mdb_ovpage_free`). When the list had become empty, and readers hold all else that is free, it is not seen to have
 * changed: the pages are lost, or the commit fails.
 *
 * What the write buffer hands over has each key once and is in order, which costs a comparison a write to see.
 */
export function lastOfEachKey(writes: readonly Write[]): Iterable<Write> {
  const isInOrder = writes.every((write, i) => comesAfter(write, writes[i - 1]))
  if (isInOrder) return writes
  return new Map(writes.map((write) => [`${write.table} ${textOfBytes(write.key)}`, write])).values()
}

/** By the order of the tables' names in {@link TABLES}, and in one table by the keys. */
function comesAfter({ table, key }: Write, before: Write | undefined): boolean {
  if (before === undefined) return true
  if (table === before.table) return Buffer.compare(before.key, key) < 0
  return TABLES.indexOf(table) > TABLES.indexOf(before.table)
}
