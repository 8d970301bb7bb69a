/**
 * What a compaction has removed since the last commit. Nobody may see it any more, so no read looks in here: it goes to the
 * backend with the next commit, and until then reads may still come across it, as they may across what is not removed yet.
 * A version is a number or two: of the key there is one text however many of its versions go, and rows are made as they are
 * committed.
 */
import type { Table } from './backend.ts'
import { historyText, revisionText } from './key-index.ts'
import { REMOVED, ROW_OVERHEAD_BYTES } from './layer.ts'
import { RevisionPlaces } from './revision-places.ts'
import { TableRows, type Row } from './table-rows.ts'

/** Of its place, and of a slot in an array that grows. */
const VERSION_BYTES = 32

export class RemovedVersions {
  /** Their mod revisions, ascending, by the text of the key. */
  readonly #versions = new Map<string, number[]>()
  readonly #inOrder = new TableRows<readonly number[]>()
  readonly #places = new RevisionPlaces()
  /** Removals that a commit writes, about. */
  rows = 0
  /** In memory, about. */
  sizeBytes = 0

  /** Versions of a key come oldest first; one that comes again, as it may where a pass begins anew, is removed once. */
  add(key: string, modRevision: number, sub: number): void {
    this.addPlace(modRevision, sub)
    const versions = this.#versions.get(key)
    if (versions === undefined) this.#addKey(key, modRevision)
    else if (modRevision > (versions.at(-1) ?? 0)) versions.push(modRevision)
    else return
    this.rows++
  }

  #addKey(key: string, modRevision: number): void {
    const versions = [modRevision]
    this.#versions.set(key, versions)
    this.#inOrder.set(key, versions)
    this.sizeBytes += key.length + ROW_OVERHEAD_BYTES
  }

  /** Of a row of `revisions` that no record names. */
  addPlace(revision: number, sub: number): void {
    this.#places.add(revision, sub)
    this.rows++
    this.sizeBytes += VERSION_BYTES
  }

  has(table: Table): boolean {
    return this.rows > 0 && (table === 'revisions' || table === 'history')
  }

  /** In order. */
  *rowsIn(table: Table): Iterable<Row> {
    if (table === 'revisions')
      for (const [revision, sub] of this.#places.inOrder()) yield { key: revisionText(revision, sub), value: REMOVED }
    if (table === 'history')
      for (const { key, value: versions } of this.#inOrder.inOrder('', undefined, false))
        for (const version of versions) yield { key: historyText(key, version), value: REMOVED }
  }
}
