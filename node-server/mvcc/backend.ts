/**
 * What the store needs of the database under it: ordered tables of bytes, one atomic and durable commit at a time.
 *
 * A backend may lag behind the Raft log and is replayed forward from it; it is never half of a commit. The store keeps
 * what is applied and not yet committed in its write buffer, so a backend is only ever read at its last commit.
 * Implemented by `storage/runs` and by `memory-backend.ts`; both pass `testing/backend-conformance.ts`.
 *
 * How a database uses its disk is its own affair: a store is a path, with a file or a directory that only
 * `storage/` reads. Others may rename and remove it as a whole while it is not open, and nothing else.
 */
import type { Meta } from './meta.ts'
import type { LateBytes, RowValue } from './row-value.ts'

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
 * | `auth`           | kind (1) ‖ name                       | user, role or whether they count: `auth/`     |
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
  'auth',
] as const

export type Table = (typeof TABLES)[number]

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

/** A {@link Write} as the write buffer has it: its key is the text of its bytes (byte-text.ts), or becomes bytes late. */
export interface TextWrite {
  readonly table: Table
  readonly key: string | LateBytes
  readonly value: RowValue | undefined
}

export interface ScanOptions {
  /** From the end of the range to its start. */
  readonly isReverse?: boolean
  /** At most so many entries; without it, all. */
  readonly limit?: number
}

export interface CommitOptions {
  /** The next commit removes more of what is there: the space is given back in one go, once the last of it is removed. */
  readonly removalsFollow?: boolean
}

/** Of the beginning of a range. */
export interface Counted {
  readonly count: number
  /** What the rest begins with; undefined: the range is through. */
  readonly next: Uint8Array | undefined
}

export interface BackendSize {
  /** On the disk. */
  readonly totalBytes: number
  /** What it would take without the space that is free, about. */
  readonly inUseBytes: number
}

/**
 * The state of one commit, which nothing changes any more: neither commits, nor that the store is closed or removed. What it
 * holds on the disk has no name there, but is held open: it ends with the process, and is in nobody's way.
 */
export interface PinnedStore {
  readonly meta: Meta
  /** Of all that {@link read} gives: a multiple of {@link SNAPSHOT_UNIT_SIZE_BYTES}. */
  readonly sizeBytes: number
  /**
   * The store as a stream, from its beginning at each call, in pieces of at most `SNAPSHOT_PIECE_SIZE_BYTES`. A database of
   * the same kind makes a store of it again (`StoreEngine.receive`).
   */
  read(): AsyncIterable<Uint8Array>
  /**
   * The rows of a table in the order of their keys, from the beginning at each call, in pieces of at most
   * {@link PINNED_PIECE_ROWS}; others have their turn between them. May throw {@link StoreDamaged}.
   */
  rows(table: Table): AsyncIterable<readonly TableEntry[]>
  /** Releases what it holds on the disk. */
  release(): Promise<void>
}

/** Read in one go: some milliseconds where values are small. */
export const PINNED_PIECE_ROWS = 500
/** A piece ends once the values in it are larger. */
export const PINNED_PIECE_BYTES = 256 * 1024

/** What a scan yields, in pieces as {@link PinnedStore.rows} gives them; `giveWay` lets others have their turn. */
export async function* inPieces(
  rows: Iterable<TableEntry>,
  giveWay: () => Promise<void>,
): AsyncGenerator<readonly TableEntry[]> {
  let piece: TableEntry[] = []
  let sizeBytes = 0
  for (const row of rows) {
    piece.push(row)
    sizeBytes += row.value.length
    if (piece.length < PINNED_PIECE_ROWS && sizeBytes < PINNED_PIECE_BYTES) continue
    yield piece
    await giveWay()
    piece = []
    sizeBytes = 0
  }
  if (piece.length > 0) yield piece
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
 * Keys are not empty, as long as a request lets them be, and ordered byte by byte. Bytes that are returned belong to the caller; bytes that are handed in must not change until their commit has resolved. Every read and every
 * commit may throw {@link StoreDamaged}.
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
  /** As {@link count}, as far as about so many rows have to be looked at. */
  countSome(table: Table, start: Uint8Array, end: Uint8Array | undefined, rows: number): Counted
  /**
   * All of it or nothing, in one transaction; resolves once it is durable and visible. One at a time. In an array the later
   * one counts of two writes that name the same key; any other iterable is in the order of {@link TABLES} and of the keys,
   * has each once, and is read in pieces, between which others have their turn. A rejection other than {@link StoreDamaged}
   * means that the disk failed: the process must not go on.
   */
  commit(writes: Iterable<Write | TextWrite>, options?: CommitOptions): Promise<void>
  size(): BackendSize
  /**
   * Holds the last commit, or one that is under way, while later ones go on. May take as long as a copy of the store, and
   * as much disk, until it is released. Rejects when there is no room for it; nothing has changed then.
   */
  pin(): Promise<PinnedStore>
  /**
   * Gives the space back that is free. Reads go on, commits may wait. A rejection leaves everything as it was, but for
   * {@link StoreInDoubt}, after which no commit is taken either. When the store is closed meanwhile it need not be done.
   */
  defragment(): Promise<void>
  /** Once what is under way is through: a defragmentation, a pin that is being made. */
  close(): Promise<void>
}
