/**
 * A process to be killed: defragments its store over and over while it applies and commits a log that follows from
 * the index alone (`crash-writer.ts`). Prints `committed <index>` and `defragmented <count>`. Its one argument is
 * the store's path.
 */
import { compactSlice } from '../../../mvcc/compaction.ts'
import { Store } from '../../../mvcc/store.ts'
import { runsEngine } from '../engine.ts'
import { applyUpTo } from './crash-writer.ts'

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
  const store = new Store(await runsEngine().open(path))
  await Promise.all([write(store), defragment(store)])
}
