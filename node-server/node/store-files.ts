/** What can be done with the file under the store while it serves: copied for a client, and rewritten without free pages. */
import { err, ok, type Result } from '../../lib/result.ts'
import type { Store } from '../mvcc/store.ts'
import type { NodeProblem } from './ports.ts'
import type { Snapshots, StoreCopy } from './snapshots.ts'

/** Each takes as much disk as the store and lives as long as its reader wants. */
const MAX_COPIES = 4

export class StoreFiles {
  readonly #currentStore: () => Store
  readonly #snapshots: Snapshots
  readonly #onFatal: (error: unknown) => void
  readonly #onDefragmented: () => void
  #copies = 0
  #defragmenting: Promise<void> | undefined

  constructor(
    parts: { readonly snapshots: Snapshots; readonly onFatal: (error: unknown) => void },
    currentStore: () => Store,
    onDefragmented: () => void,
  ) {
    this.#snapshots = parts.snapshots
    this.#onFatal = parts.onFatal
    this.#currentStore = currentStore
    this.#onDefragmented = onDefragmented
  }

  get isDefragmenting(): boolean {
    return this.#defragmenting !== undefined
  }

  /** A file with everything that is applied now; the caller closes it. Rejects when the disk has no room for it. */
  async copy(): Promise<Result<StoreCopy, NodeProblem>> {
    if (this.#copies >= MAX_COPIES) return err('too-many-requests')
    this.#copies += 1
    try {
      const store = this.#currentStore()
      await this.#commit(store)
      const copy = await this.#snapshots.copy(store)
      const close = (): Promise<void> => copy.close().finally(() => (this.#copies -= 1))
      return ok({ ...copy, close })
    } catch (error) {
      this.#copies -= 1
      throw error
    }
  }

  /** Who asks while one is under way gets the outcome of that one. Rejects when it failed; the store is as before then. */
  defragment(): Promise<void> {
    this.#defragmenting ??= this.#defragment().finally(() => (this.#defragmenting = undefined))
    return this.#defragmenting
  }

  async #defragment(): Promise<void> {
    const store = this.#currentStore()
    await this.#commit(store)
    await this.#snapshots.defragment(store)
    this.#onDefragmented()
  }

  async #commit(store: Store): Promise<void> {
    try {
      await store.commit()
    } catch (error) {
      this.#onFatal(error)
      throw error
    }
  }
}
