/**
 * What the store needs from the database under it: ordered tables of bytes, one atomic and durable commit at a time.
 *
 * A backend may lag behind the Raft log and is replayed forward from it; it is never half of a commit. The store keeps
 * what is applied and not yet committed in its write buffer, so a backend is only ever read at its last commit.
 * Implemented by `storage/backend.ts` (LMDB) and by `memory-backend.ts`; both pass `testing/backend-conformance.ts`.
 */

import type { Meta } from './meta.ts'

/**
 * | table            | key                                   | value                                         |
 * |------------------|---------------------------------------|-----------------------------------------------|
 * | `revisions`      | revision (8) ‖ sub-revision (4)       | tag (1) ‖ mvccpb.KeyValue                     |
 * | `current`        | user key                              | index record of the live version              |
 * | `history`        | escaped user key ‖ mod revision (8)   | index record of a superseded one or tombstone |
 * | `meta`           | name                                  | see `meta.ts`                                 |
 * | `members`        | member ID (8)                         | attributes, or that it was removed            |
 * | `operations`     | operation ID                          | index (8) ‖ first result                      |
 * | `operationOrder` | index (8) ‖ operation ID              | nothing                                       |
 * | `configHistory`  | index (8)                             | row, opaque to the store                      |
 * | `alarms`         | member ID (8) ‖ alarm type (1)        | nothing                                       |
 * | `leases`         | lease ID (8)                          | granted TTL in seconds (8)                    |
 * | `leaseKeys`      | lease ID (8) ‖ user key               | nothing                                       |
 */
export const TABLES = [
  'revisions',
  'current',
  'history',
  'meta',
  'members',
  'operations',
  'operationOrder',
  'configHistory',
  'alarms',
  'leases',
  'leaseKeys',
] as const

export type Table = (typeof TABLES)[number]

/** The longest key of any table: what LMDB takes with 4 KiB pages. */
export const MAX_TABLE_KEY_SIZE_BYTES = 1978

export interface TableEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** `value` undefined removes the key; removing what is not there changes nothing. */
export interface Write {
  readonly table: Table
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
}

export interface ScanOptions {
  /** From the end of the range to its start. */
  readonly isReverse?: boolean
  /** At most so many entries; without it, all. */
  readonly limit?: number
}

export interface BackendSize {
  /** Of the file. */
  readonly totalBytes: number
  /** What a compacted copy of it would take, about. */
  readonly inUseBytes: number
}

/** The state of one commit, which nothing changes any more: neither commits, nor that the store is closed or removed. */
export interface PinnedStore {
  readonly meta: Meta
  /** Of all that {@link read} gives: a multiple of {@link SNAPSHOT_UNIT_SIZE_BYTES}. */
  readonly sizeBytes: number
  /**
   * The store as a stream, from its beginning at each call, in pieces of at most `SNAPSHOT_PIECE_SIZE_BYTES`. A database of
   * the same kind makes a store of it again (`Volume.receive`).
   */
  read(): AsyncIterable<Uint8Array>
  /** Gives back what it holds on the disk. What the process does not release, its end does. */
  release(): Promise<void>
}

/** By the rest of a saved snapshot's size etcd's clients tell whether a digest follows it. */
export const SNAPSHOT_UNIT_SIZE_BYTES = 512

/**
 * What was read is not what was written, as far as the database can tell: nothing may be used of it. `where` is the place
 * on the disk, for a person.
 */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged'
  readonly where: string

  constructor(where: string, what: string) {
    super(`${where}: ${what}`)
    this.where = where
  }
}

/** Which state a start would find is not known any more: the process must not go on. */
export class StoreInDoubt extends Error {
  override readonly name = 'StoreInDoubt'
}

/**
 * Keys are not empty and at most {@link MAX_TABLE_KEY_SIZE_BYTES} long, ordered byte by byte. Bytes that are returned
 * belong to the caller; bytes that are handed in must not change until their commit has resolved.
 */
export interface Backend {
  get(table: Table, key: Uint8Array): Uint8Array | undefined
  /**
   * Entries with start <= key < end in key order; `end` undefined means "to the end of the table". Consume it before
   * anything is awaited: it is one moment's view only until then.
   */
  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options?: ScanOptions): Iterable<TableEntry>
  /** How many entries {@link scan} would yield, without reading their values. */
  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number
  /**
   * All of it or nothing, in one transaction; resolves once it is durable and visible. One at a time. Where two writes
   * name the same key the later one counts. A rejection means that the disk failed: the process must not go on.
   */
  commit(writes: readonly Write[]): Promise<void>
  size(): BackendSize
  /**
   * Writes a copy of one commit to a new file, and resolves once that is durable. Commits may go on meanwhile: which of
   * them the copy has is told by the meta table in it, read by `readSnapshotMeta` of the same module.
   */
  writeSnapshot(path: string): Promise<void>
  /**
   * Gives free pages back: goes on in a compacted copy of the last commit. Commits wait meanwhile, reads do not. The copy
   * grows at `temporaryPath`, where nothing may be; once it is durable and has been read it goes to the path that `takePath`
   * then gives, or stays unused when that gives none. The file before is the caller's to remove: a process that starts opens
   * the new one. A rejection leaves everything as it was, but maybe something at `temporaryPath`; when a path was taken, it
   * is not known which file a start would open, and the process must not go on.
   */
  defragment(temporaryPath: string, takePath: () => string | undefined): Promise<void>
  /** Once what is under way is through: a defragmentation, copies. */
  close(): Promise<void>
}
