/** Stores in the engine that members have (`storage/runs`), on a simulated disk; its writer shares the process's thread. */
import {
  StoreDamaged,
  type Backend,
  type CommitOptions,
  type Counted,
  type ScanOptions,
  type Table,
  type Write,
} from '../../node-server/mvcc/backend.ts'
import type { Disk } from '../../node-server/storage/disk.ts'
import { runsEngine } from '../../node-server/storage/runs/engine.ts'
import { SMALL_SIZES } from '../../node-server/storage/runs/testing/small-sizes.ts'
import { localWriter } from '../../node-server/storage/runs/writer-link.ts'
import type { StoreEngine } from '../../node-server/storage/store-engine.ts'

/** What a simulation may do to a store that is open. */
export interface Damageable {
  /** As if its disk had changed bytes of it: who reads or commits from now on hears of it. */
  damage(): void
}

export function storesInRuns(disk: Disk, onOpened: (store: Damageable) => void): StoreEngine {
  const engine = runsEngine(disk, localWriter(disk, SMALL_SIZES), SMALL_SIZES)
  return {
    ...engine,
    open: async (path) => {
      const store = new DamageableStore(await engine.open(path), path)
      onOpened(store)
      return store
    },
  }
}

class DamageableStore implements Backend, Damageable {
  readonly #store: Backend
  readonly #path: string
  #isDamaged = false

  constructor(store: Backend, path: string) {
    this.#store = store
    this.#path = path
  }

  damage(): void {
    this.#isDamaged = true
  }

  get #sound(): Backend {
    if (this.#isDamaged) throw new StoreDamaged(this.#path, 'a block has another checksum')
    return this.#store
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#sound.get(table, key)
  }

  scan(
    table: Table,
    start: Uint8Array,
    end: Uint8Array | undefined,
    options?: ScanOptions,
  ): ReturnType<Backend['scan']> {
    return this.#sound.scan(table, start, end, options)
  }

  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    return this.#sound.count(table, start, end)
  }

  countSome(table: Table, start: Uint8Array, end: Uint8Array | undefined, rows: number): Counted {
    return this.#sound.countSome(table, start, end, rows)
  }

  async commit(writes: Iterable<Write>, options?: CommitOptions): Promise<void> {
    return this.#sound.commit(writes, options)
  }

  size(): ReturnType<Backend['size']> {
    return this.#store.size()
  }

  async pin(): ReturnType<Backend['pin']> {
    return this.#sound.pin()
  }

  async defragment(): Promise<void> {
    return this.#sound.defragment()
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}
