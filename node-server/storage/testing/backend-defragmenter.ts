/**
 * A process to be killed: defragments its database over and over while it applies and commits a log that follows from
 * the index alone (`backend-crash-writer.ts`). Prints `committed <index>` and `moved <file>`. Its one argument is a folder.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
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

async function defragment(store: Store, folder: string): Promise<never> {
  for (let count = 1; ; count++) {
    const name = `store-${count}.mdb`
    await store.backend.defragment(join(folder, 'copy.db'), () => join(folder, name))
    process.stdout.write(`moved ${name}\n`)
    for (const suffix of ['', '-lock']) rmSync(join(folder, `store-${count - 1}.mdb${suffix}`), { force: true })
  }
}

const [, script, folder] = process.argv
if (script === import.meta.filename && folder !== undefined) {
  const store = new Store(new LmdbBackend(join(folder, 'store-0.mdb')))
  await Promise.all([write(store), defragment(store, folder)])
}
