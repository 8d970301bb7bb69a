/**
 * The physical part of compactions, in short turns, with a pause of the same length after each for everything else. It
 * removes several times as much as a member can write in the same time, and requests hardly notice it. Removals
 * wait in the store's write buffer like applied changes; while the buffer is full, nothing is removed.
 *
 * Invariant: a pass over a store ends with that store. The store itself records how far a compaction has come.
 */
import type { Clock, Timer } from '../../../lib/clock.ts'
import { COMMIT_WRITES } from '../../mvcc/committer.ts'
import { compactSlice, purgeTarget, type CompactionCursor } from '../../mvcc/compaction.ts'
import type { Store } from '../../mvcc/store.ts'
import type { Hasher } from './hasher.ts'

const TURN_MS = 2
/** The bound for a clock that does not advance during a turn, as in a simulation. */
export const TURN_SLICES = 16
export const PAUSE_MS = 2

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
  #pass: { readonly store: Store; readonly cursor: CompactionCursor } | undefined
  #isStopped = false

  constructor(parts: PurgeParts) {
    this.#parts = parts
  }

  /** There may be something to do. Call it after entries were applied, and from time to time: nothing signals the end of a hold. */
  wake(): void {
    if (this.#isStopped) return
    const { clock, hasher, currentStore } = this.#parts
    hasher.observeCompaction() // before anything is removed
    const store = currentStore()
    if (store.meta.purgedRevision >= purgeTarget(store, hasher.purgeLimit)) return
    this.#next ??= clock.setTimer(PAUSE_MS, () => {
      this.#next = undefined
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
      const endMs = clock.monotonicMs() + TURN_MS
      for (let slices = 0; slices < TURN_SLICES && hasRoom(store) && clock.monotonicMs() < endMs; slices++) {
        cursor = compactSlice(store, cursor, hasher.purgeLimit).cursor
        if (cursor === undefined) break
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

/** No more than the next commit takes anyway: a commit is put together in one go, and memory is bounded. */
function hasRoom(store: Store): boolean {
  return store.buffer.pendingWrites < COMMIT_WRITES && !store.isSaturated
}
