/**
 * A process to be killed: defragments its database over and over while it applies and commits a log that follows from
 * the index alone (`backend-crash-writer.ts`). Prints `committed <index>` and `defragmented <count>`. Its one argument is
 * the store's path.
 */
import { compactSlice } from '../../mvcc/compaction.ts'
import { Store } from '../../mvcc/store.ts'
import { LmdbBackend } from '../backend.ts'
import { applyUpTo } from './backend-crash-writer.ts'

async function write(store: Store): Promise<never> {
  for (;;) {
    applyUpTo(store, store.appliedIndex + 13)
    const { cursor } = compactSlice(store, undefined)
    if (cursor !== undefined) compactSlice(store, cursor)
    await store.commit()
    process.stdout.write(`committed ${store.committedIndex}\n`)
  }
}

async function defragment(store: Store): Promise<never> {
  for (let count = 1; ; count++) {
    await store.backend.defragment()
    process.stdout.write(`defragmented ${count}\n`)
  }
}

const [, script, path] = process.argv
if (script === import.meta.filename && path !== undefined) {
  const store = new Store(new LmdbBackend(path))
  await Promise.all([write(store), defragment(store)])
}
