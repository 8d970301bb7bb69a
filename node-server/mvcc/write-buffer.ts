/**
 * What is applied and not yet committed, in front of the backend: every read of the store goes through here and sees the
 * newest. It lies in layers, newer ones over older ones. The oldest are on their way to the disk once a commit has begun,
 * and stay readable until the backend has them; the newest takes writes. A read may meet a backend that has layers already
 * which are on their way: they overlay the same values, so that makes no difference.
 *
 * A draft is what an entry that is applied in slices has written so far. Only that entry sees it, and no commit takes it,
 * until it is published as a whole.
 */
import { assert } from '../../lib/assert.ts'
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import {
  TABLES,
  type Backend,
  type CommitOptions,
  type Counted,
  type ScanOptions,
  type Table,
  type TableEntry,
  type TextWrite,
} from './backend.ts'
import { bytesOfText, textOfBytes } from './byte-text.ts'
import { DeletedKeys } from './deleted-keys.ts'
import type { LateRecord } from './key-index.ts'
import { mergeNewest, REMOVED, WrittenRows, type Layer } from './layer.ts'
import { RemovedVersions } from './removed-versions.ts'
import { bytesOfValue, type RowValue } from './row-value.ts'
import type { Row, TextRange } from './table-rows.ts'

/** A draft of no more rows is copied into the layer that takes writes, in less than a millisecond: each layer slows reads. */
const COPIED_ROWS = 500
/** With so many layers the buffer is as good as full. */
const MAX_LAYERS = 8

/** One that was removed. */
export interface Gap {
  readonly key: Uint8Array
  readonly value: undefined
}

interface Draft {
  readonly deleted: DeletedKeys
  /** Over what is deleted. */
  readonly rows: WrittenRows
}

/** No key is empty. */
const FIRST_KEY = Buffer.of(0)

const EVERYTHING: TextRange = { low: '', high: undefined }

export class WriteBuffer {
  readonly #backend: Backend
  readonly #copiedRows: number
  #committing: readonly Layer[] = []
  /** Not on its way to the disk. The last one takes writes. */
  #current: readonly Layer[]
  #newest: WrittenRows
  #draft: Draft | undefined
  #removed = new RemovedVersions()
  #committingRemovedBytes = 0
  /** Of those who read at the moment: with the draft while its entry is at work, without it otherwise. */
  #visible: readonly Layer[]
  /** Of what is written at the moment. */
  #writable: WrittenRows

  /** A draft of at most `copiedRows` becomes part of another layer. */
  constructor(backend: Backend, copiedRows = COPIED_ROWS) {
    this.#backend = backend
    this.#copiedRows = copiedRows
    this.#newest = new WrittenRows()
    this.#writable = this.#newest
    this.#current = [this.#newest]
    this.#visible = this.#current
  }

  /** That the next commit takes. */
  get pendingWrites(): number {
    let writes = this.#removed.rows
    for (const { rows } of this.#current) writes += rows
    return writes
  }

  /** Of all layers but a draft, about. */
  get sizeBytes(): number {
    let sum = this.#removed.sizeBytes + this.#committingRemovedBytes
    for (const { sizeBytes } of this.#committing) sum += sizeBytes
    for (const { sizeBytes } of this.#current) sum += sizeBytes
    return sum
  }

  get hasManyLayers(): boolean {
    return this.#committing.length + this.#current.length >= MAX_LAYERS
  }

  get hasDraft(): boolean {
    return this.#draft !== undefined
  }

  /**
   * What is written from now on goes to a draft; `revision` is that of its change. With `leasePrefix`, with which the keys of a
   * lease begin in `leaseKeys`, all keys that {@link deleteKey} deletes are of that lease.
   */
  beginDraft(revision: number, leasePrefix?: Uint8Array): void {
    assert(this.#draft === undefined, 'one draft at a time')
    this.#draft = { deleted: new DeletedKeys(revision, leasePrefix), rows: new WrittenRows() }
    this.resumeDraft()
  }

  /** Its entry is at work: reads see the draft, writes go to it. Without a draft nothing changes. */
  resumeDraft(): void {
    if (this.#draft === undefined) return
    const { deleted, rows } = this.#draft
    this.#visible = [...this.#committing, ...this.#current, deleted, rows]
    this.#writable = rows
  }

  /** Others have their turn. */
  suspendDraft(): void {
    if (this.#draft !== undefined) this.#showPublished()
  }

  /** From now on everybody sees what was a draft. */
  publishDraft(): void {
    const draft = this.#draft
    if (draft === undefined) return
    this.#draft = undefined
    const { deleted, rows } = draft
    if (deleted.rows + rows.rows <= this.#copiedRows) for (const layer of [deleted, rows]) this.#copy(layer)
    else {
      this.#current = [...this.#current, ...(deleted.rows > 0 ? [deleted] : []), rows]
      this.#newest = rows
    }
    this.#showPublished()
  }

  #showPublished(): void {
    this.#visible = [...this.#committing, ...this.#current]
    this.#writable = this.#newest
  }

  #copy(layer: Layer): void {
    for (const table of TABLES)
      for (const { key, value } of layer.rowsIn(table, EVERYTHING, false)) this.#newest.set(table, key, value)
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    const value = this.find(table, key, textOfBytes(key))
    return value === undefined ? undefined : bytesOfValue(value)
  }

  /** The same, as it lies here; `text` is that of the key. */
  find(table: Table, key: Uint8Array, text: string): RowValue | undefined {
    for (let i = this.#visible.length - 1; i >= 0; i--) {
      const buffered = this.#visible[i]?.get(table, text)
      if (buffered !== undefined) return buffered === REMOVED ? undefined : buffered
    }
    if (key.length === 0) return undefined
    return this.#backend.get(table, key)
  }

  /** The value must not change any more. */
  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    assert(key.length > 0, () => `an empty key for ${table}`)
    this.#writable.set(table, textOfBytes(key), value === REMOVED ? EMPTY_BYTES : value)
  }

  /** All that a put writes; see {@link WrittenRows.putVersion}. Nothing of it must change any more. */
  putVersion(key: string, record: LateRecord, value: Uint8Array, previous: LateRecord | undefined): void {
    assert(key.length > 0, 'a key is not empty')
    this.#writable.putVersion(key, record, value, previous)
  }

  remove(table: Table, key: Uint8Array): void {
    this.#writable.set(table, textOfBytes(key), REMOVED)
  }

  /**
   * Removes a version that a compaction has ended from `history` and `revisions`. Reads that may not see it may still come
   * across it, until a commit has taken it. Versions of a key go oldest first.
   */
  removeVersion(key: string, modRevision: number, sub: number): void {
    this.#removed.add(key, modRevision, sub)
  }

  /** The same, of a row of `revisions` that no record of `history` names. */
  removePlace(revision: number, sub: number): void {
    this.#removed.addPlace(revision, sub)
  }

  /**
   * Writes all rows that the deletion of a live key has, in less room and time than one by one. False, and nothing is done,
   * outside of a draft and for a key that does not come after those that its draft has deleted before.
   */
  deleteKey(key: Uint8Array, record: Uint8Array, sub: number): boolean {
    return this.#draft?.deleted.add(textOfBytes(key), record, sub) ?? false
  }

  /**
   * Entries with start <= key < end (`end` undefined: all from start), newest values.
   * Consume it before anything is awaited or written.
   */
  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options: ScanOptions = {}): Iterable<TableEntry> {
    const range = fitRange(start, end)
    if (range === undefined) return []
    const layers = this.#layersIn(table, range)
    if (layers.length === 0) return this.#backend.scan(table, range.start, range.end, options)
    return withoutGaps(this.#merged(table, range, layers, options.isReverse === true), options.limit)
  }

  /** As {@link scan}, and between its entries those that are removed and that the backend may still have. */
  scanWithGaps(table: Table, start: Uint8Array, end: Uint8Array | undefined): Iterable<TableEntry | Gap> {
    const range = fitRange(start, end)
    if (range === undefined) return []
    const layers = this.#layersIn(table, range)
    if (layers.length === 0) return this.#backend.scan(table, range.start, range.end)
    return this.#merged(table, range, layers, false)
  }

  *#merged(table: Table, range: Range, layers: readonly Layer[], isReverse: boolean): Iterable<TableEntry | Gap> {
    let merged = textRows(this.#backend.scan(table, range.start, range.end, { isReverse }))
    for (const layer of layers) merged = mergeNewest(layer.rowsIn(table, range, isReverse), merged, isReverse)
    for (const { key, value } of merged)
      yield { key: bytesOfText(key), value: value === REMOVED ? undefined : bytesOfValue(value) }
  }

  /** How many entries {@link scan} yields; reads the backend's keys, and its values not at all. */
  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    return this.countSome(table, start, end, Infinity).count
  }

  /** As {@link count}, as far as about so many rows have to be looked at, here and as many in the backend. */
  countSome(table: Table, start: Uint8Array, end: Uint8Array | undefined, rows: number): Counted {
    const range = fitRange(start, end)
    if (range === undefined) return { count: 0, next: undefined }
    const { first, next } = firstRows(newestOf(this.#layersIn(table, range), table, range), rows)
    const some = this.#backend.countSome(table, range.start, next === undefined ? range.end : bytesOfText(next), rows)
    const through = some.next ?? (next === undefined ? undefined : bytesOfText(next))
    const limit = through === undefined ? undefined : textOfBytes(through)
    let { count } = some
    for (const { key, value } of first) {
      if (limit !== undefined && key >= limit) break
      const wasThere = this.#backend.get(table, bytesOfText(key)) !== undefined
      if (value === REMOVED) count -= wasThere ? 1 : 0
      else count += wasThere ? 0 : 1
    }
    return { count, next: through }
  }

  /** Of keys in a range those that long changes have deleted and that the backend may still have: reads go over each of them. */
  countDeleted(start: Uint8Array, end: Uint8Array | undefined): number {
    const range = fitRange(start, end)
    if (range === undefined) return 0
    let count = 0
    for (const layer of this.#visible) if (layer instanceof DeletedKeys) count += layer.count(range)
    return count
  }

  /** Those with something in the range, oldest first. */
  #layersIn(table: Table, range: Range): readonly Layer[] {
    return this.#visible.filter((layer) => layer.has(table, range))
  }

  /** Hands what everybody sees to the backend; resolves once it is durable. One at a time. */
  async commit(options?: CommitOptions): Promise<void> {
    assert(this.#committing.length === 0, 'one commit at a time')
    const layers = this.#current
    const removed = this.#removed
    this.#committing = layers
    this.#removed = new RemovedVersions()
    this.#committingRemovedBytes = removed.sizeBytes
    this.#newest = new WrittenRows()
    this.#current = [this.#newest]
    this.#showPublished()
    await this.#backend.commit(writesOf(layers, removed), options)
    this.#committing = []
    this.#committingRemovedBytes = 0
    this.#showPublished()
  }
}

/** Of each key the newest row. */
function newestOf(layers: readonly Layer[], table: Table, range: TextRange): Iterable<Row> {
  let newest: Iterable<Row> | undefined
  for (const layer of layers) {
    const rows = layer.rowsIn(table, range, false)
    newest = newest === undefined ? rows : mergeNewest(rows, newest, false)
  }
  return newest ?? []
}

/** `next`: the key behind them. */
function firstRows(
  all: Iterable<Row>,
  count: number,
): { readonly first: readonly Row[]; readonly next: string | undefined } {
  const first: Row[] = []
  for (const row of all) {
    if (first.length >= count) return { first, next: row.key }
    first.push(row)
  }
  return { first, next: undefined }
}

/** Made as they are read: what is on its way to the disk does not change. */
function* writesOf(layers: readonly Layer[], removed: RemovedVersions): Iterable<TextWrite> {
  for (const table of TABLES) {
    const written = newestOf(layers, table, EVERYTHING)
    const rows = removed.has(table) ? mergeNewest(removed.rowsIn(table), written, false) : written
    for (const row of rows) {
      const { value } = row
      yield { table, key: row.lateKey ?? row.key, value: value === REMOVED ? undefined : value }
    }
  }
}

function* withoutGaps(entries: Iterable<TableEntry | Gap>, limit = Infinity): Iterable<TableEntry> {
  let left = limit
  if (left <= 0) return
  for (const entry of entries) {
    if (entry.value === undefined) continue
    yield entry
    if (--left <= 0) return
  }
}

interface Range extends TextRange {
  readonly start: Uint8Array
  readonly end: Uint8Array | undefined
}

/** Undefined: nothing can be in it. */
function fitRange(start: Uint8Array, end: Uint8Array | undefined): Range | undefined {
  if (end?.length === 0) return undefined
  const first = start.length === 0 ? FIRST_KEY : start
  const low = textOfBytes(first)
  const high = end === undefined ? undefined : textOfBytes(end)
  if (high !== undefined && low >= high) return undefined
  return { start: first, end, low, high }
}

function* textRows(entries: Iterable<TableEntry>): Iterable<Row> {
  for (const { key, value } of entries) yield { key: textOfBytes(key), value }
}
