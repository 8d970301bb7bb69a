/** A store as the versions with LMDB made it: `0.mdb` in a directory, written by LMDB's library. */
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { TABLES, type Table, type TableEntry, type Write } from '../../../mvcc/backend.ts'

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const
/** Of free pages: with one, the library loses pages. Its types do not know the option. */
const WITHOUT_MEMORY = { maxFreeSpaceToRetain: 0 } as const
type Bytes = Database<Uint8Array, Uint8Array>

export class LmdbStore {
  readonly path: string
  readonly #root: RootDatabase<Uint8Array, Uint8Array>
  readonly #tables: Readonly<Record<Table, Bytes>>

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true })
    const [name = '0.mdb'] = readdirSync(directory).filter((entry) => entry.endsWith('.mdb'))
    this.path = join(directory, name)
    this.#root = open<Uint8Array, Uint8Array>({
      path: this.path,
      noSubdir: true,
      overlappingSync: false,
      maxDbs: TABLES.length + 4,
      ...WITHOUT_MEMORY,
      ...BINARY,
    })
    const tables = TABLES.map((table) => [table, this.#root.openDB<Uint8Array, Uint8Array>(table, BINARY)])
    this.#tables = Object.fromEntries(tables) as Record<Table, Bytes>
  }

  async commit(writes: readonly Write[]): Promise<void> {
    await this.#root.batch(() => {
      for (const { table, key, value } of writes)
        void (value === undefined ? this.#tables[table].remove(key) : this.#tables[table].put(key, value))
    })
  }

  rows(table: Table): Iterable<TableEntry> {
    return this.#tables[table].getRange({ start: Buffer.of(0) })
  }

  /** To a file, as a snapshot was sent and as a defragmentation made it. */
  async copyTo(path: string): Promise<void> {
    await this.#root.backup(path, true)
  }

  async close(): Promise<void> {
    await this.#root.close()
    rmSync(`${this.path}-lock`, { force: true })
  }
}

/** Nobody has the store open; its compacted copy is `1.mdb`. */
export async function compactLmdb(directory: string): Promise<void> {
  const store = new LmdbStore(directory)
  const copy = join(directory, 'copy')
  await store.copyTo(copy)
  await store.close()
  rmSync(store.path)
  renameSync(copy, join(directory, '1.mdb'))
}
