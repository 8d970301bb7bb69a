/**
 * What makes, reads and moves stores of one kind of database: beside `Backend`, which is one that is open. Streams are what
 * `PinnedStore.read` gives; those of the version before are taken as well.
 */
import type { Backend } from '../mvcc/backend.ts'
import type { Meta } from '../mvcc/meta.ts'

export interface StoreEngine {
  /** `Backend.pin` takes as much of the disk as a copy. */
  readonly copiesToPin: boolean
  /** The store at that path, an empty one when there is none. Rejects when what is there is no store. */
  open(path: string): Promise<Backend>
  /**
   * Lets `use` look into a store that nobody has open, synchronously, and writes nothing at or beside its path. `path` may
   * also be that of a file that begins with a stream. Rejects when it is no store.
   */
  read<Value>(path: string, use: (store: Backend) => Value): Promise<Value>
  /**
   * A stream becomes a store at that path, where nothing may be: whole, looked at and durable when this resolves, with which
   * state it holds. When it rejects, or `pieces` does, there is nothing.
   */
  receive(path: string, pieces: AsyncIterable<Uint8Array>): Promise<Meta>
  /** The stream of a store that nobody has open. Writes nothing at or beside its path. */
  stream(path: string): AsyncIterable<Uint8Array>
  /** The names in that directory of stores of the version before. */
  former(directory: string): Promise<readonly string[]>
  /**
   * Makes stores of the version before, in that directory, stores of this one; a crash leaves each as the one or the other.
   * `beforeRemoval` is awaited before anything goes without which the version before could not go on.
   */
  takeOver(directory: string, beforeRemoval?: () => Promise<void>): Promise<void>
}
