/**
 * The physical half of compactions, at a pace of its own: a short turn, then a pause for everything else, several times as
 * long. When a pause lasts longer than it was to, something else wants the thread or a processor: the next one is longer by
 * as much, up to a bound. Each turn gets on, whatever comes meanwhile, with more than a member can write in the same time.
 * What is removed waits in the store's write buffer as what is applied does; while there is no room in it, nothing is removed.
 *
 * Invariant: what was under way in a store ends with that store. How far a compaction has come stands in the store itself.
 */
import type { Clock, Timer } from '../../../lib/clock.ts'
import { PURGE } from '../../limits.ts'
import { COMMIT_WRITES } from '../../mvcc/committer.ts'
import { compactSlice, purgeTarget, type CompactionCursor } from '../../mvcc/compaction.ts'
import type { Store } from '../../mvcc/store.ts'
import type { Hasher } from './hasher.ts'

export interface PurgeParts {
  readonly clock: Clock
  readonly hasher: Pick<Hasher, 'observeCompaction' | 'purgeLimit'>
  readonly currentStore: () => Store
  /** The store was changed: a commit is due. */
  readonly onRemoved: () => void
  readonly onFatal: (error: unknown) => void
}

export class Purge {
  readonly #parts: PurgeParts
  #next: Timer | undefined
  #pauseMs: number = PURGE.pauseMs
  #pass: { readonly store: Store; readonly cursor: CompactionCursor } | undefined
  #isStopped = false

  constructor(parts: PurgeParts) {
    this.#parts = parts
  }

  /** There may be something to do. Call it after entries were applied, and now and then: what holds it back tells nobody. */
  wake(): void {
    if (this.#isStopped) return
    const { clock, hasher, currentStore } = this.#parts
    hasher.observeCompaction() // before anything is removed
    const store = currentStore()
    if (this.#next !== undefined || store.meta.purgedRevision >= purgeTarget(store, hasher.purgeLimit)) return
    const dueMs = clock.monotonicMs() + this.#pauseMs
    this.#next = clock.setTimer(this.#pauseMs, () => {
      this.#next = undefined
      const lateMs = Math.max(0, clock.monotonicMs() - dueMs)
      this.#pauseMs = Math.min(PURGE.pauseMs + lateMs, PURGE.longestPauseMs)
      this.#turn()
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#next?.cancel()
  }

  #turn(): void {
    try {
      const { clock, hasher, currentStore, onRemoved } = this.#parts
      hasher.observeCompaction()
      const store = currentStore()
      let cursor = this.#pass?.store === store ? this.#pass.cursor : undefined
      const endMs = clock.monotonicMs() + PURGE.turnMs
      for (let slices = 0; slices < PURGE.turnSlices && hasRoom(store); slices++) {
        cursor = compactSlice(store, cursor, hasher.purgeLimit).cursor
        if (cursor === undefined || clock.monotonicMs() >= endMs) break
      }
      this.#pass = cursor === undefined ? undefined : { store, cursor }
      this.wake()
      store.removalsFollow = this.#next !== undefined
      onRemoved()
    } catch (error) {
      this.#parts.onFatal(error)
    }
  }
}

/** Not more than the next commit takes anyway: it is put together in one go, and memory is bounded. */
function hasRoom(store: Store): boolean {
  return store.buffer.pendingWrites < COMMIT_WRITES && !store.isSaturated
}
