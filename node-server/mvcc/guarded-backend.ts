/**
 * Gives nothing more of a store once a read or a commit has found it damaged, and reports it at that moment: the reader
 * may be anywhere, and what was read before may already be half of something.
 */
import {
  StoreDamaged,
  type Backend,
  type BackendSize,
  type CommitOptions,
  type Counted,
  type PinnedStore,
  type ScanOptions,
  type Table,
  type TableEntry,
  type TextWrite,
  type Write,
} from './backend.ts'

export class GuardedBackend implements Backend {
  readonly #backend: Backend
  readonly #onDamaged: (damage: StoreDamaged) => void
  #damage: StoreDamaged | undefined

  /** `onDamaged` is called once at most. */
  constructor(backend: Backend, onDamaged: (damage: StoreDamaged) => void) {
    this.#backend = backend
    this.#onDamaged = onDamaged
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#read(() => this.#backend.get(table, key))
  }

  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options?: ScanOptions): Iterable<TableEntry> {
    const rows = this.#read(() => this.#backend.scan(table, start, end, options))
    return { [Symbol.iterator]: () => this.#guarded(this.#read(() => rows[Symbol.iterator]())) }
  }

  /** By hand and not by a generator: it is in the way of every row. */
  #guarded(rows: Iterator<TableEntry>): Iterator<TableEntry> {
    return {
      next: () => {
        if (this.#damage !== undefined) throw this.#damage
        try {
          return rows.next()
        } catch (error) {
          throw this.#seen(error)
        }
      },
      return: () => rows.return?.() ?? { done: true, value: undefined },
    }
  }

  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    return this.#read(() => this.#backend.count(table, start, end))
  }

  countSome(table: Table, start: Uint8Array, end: Uint8Array | undefined, rows: number): Counted {
    return this.#read(() => this.#backend.countSome(table, start, end, rows))
  }

  commit(writes: Iterable<Write | TextWrite>, options?: CommitOptions): Promise<void> {
    return this.#wait(() => this.#backend.commit(writes, options))
  }

  /** Tells nothing of what is in it, so it is answered as before. */
  size(): BackendSize {
    return this.#backend.size()
  }

  pin(): Promise<PinnedStore> {
    return this.#wait(() => this.#backend.pin())
  }

  defragment(): Promise<void> {
    return this.#wait(() => this.#backend.defragment())
  }

  close(): Promise<void> {
    return this.#backend.close()
  }

  #read<Value>(read: () => Value): Value {
    if (this.#damage !== undefined) throw this.#damage
    try {
      return read()
    } catch (error) {
      throw this.#seen(error)
    }
  }

  async #wait<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#damage !== undefined) throw this.#damage
    try {
      return await work()
    } catch (error) {
      throw this.#seen(error)
    }
  }

  #seen(error: unknown): unknown {
    if (error instanceof StoreDamaged && this.#damage === undefined) {
      this.#damage = error
      this.#onDamaged(error)
    }
    return error
  }
}
