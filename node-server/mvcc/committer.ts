/**
 * When the write buffer goes to the disk: some time after the first change, or sooner when there are many (etcd's backend
 * has the same two limits, the first at a tenth) or large ones; at once with the last that a long compaction removes, which
 * gives the space back. One commit at a time; what is applied meanwhile is in the next one. Each commit makes files, which
 * are synced and merged later, and the log has it all anyway: hence rarely.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import { MAX_BUFFER_SIZE_BYTES, type Store } from './store.ts'

export const COMMIT_DELAY_MS = 1000
/** Of 256 bytes some 15 MB, of which as much again may be on its way to the disk. */
export const COMMIT_WRITES = 40_000
/** So that what comes during the commit has the other half of the buffer. */
export const COMMIT_SIZE_BYTES = MAX_BUFFER_SIZE_BYTES / 2

export class Committer {
  readonly #store: Store
  readonly #clock: Clock
  readonly #onFailure: (cause: unknown) => void
  readonly #onCommit: (seconds: number) => void
  #timer: Timer | undefined
  #isStopped = false

  /** `onFailure`: the disk failed, the process must exit; it is called at most once. */
  constructor(
    store: Store,
    clock: Clock,
    onFailure: (cause: unknown) => void,
    onCommit: (seconds: number) => void = () => {},
  ) {
    this.#store = store
    this.#clock = clock
    this.#onFailure = onFailure
    this.#onCommit = onCommit
  }

  /** Call it after entries were applied, or the store was changed beside them. */
  noteApplied(): void {
    if (this.#isStopped || this.#store.isCommitting) return
    const { buffer, isRemovalComplete } = this.#store
    const isLarge = buffer.pendingWrites >= COMMIT_WRITES || buffer.sizeBytes >= COMMIT_SIZE_BYTES
    if (isLarge || isRemovalComplete) this.#commit()
    else this.#timer ??= this.#clock.setTimer(COMMIT_DELAY_MS, () => this.#commit())
  }

  #commit(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const started = this.#clock.monotonicMs()
    this.#store.commit().then(
      () => {
        this.#onCommit((this.#clock.monotonicMs() - started) / 1000)
        if (this.#store.isDirty) this.noteApplied()
      },
      (cause: unknown) => this.#fail(cause),
    )
  }

  #fail(cause: unknown): void {
    if (this.#isStopped) return
    this.stop()
    this.#onFailure(cause)
  }

  /** Starts no more commits; one under way ends by itself. */
  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
