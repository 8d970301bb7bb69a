/** Whether the disk is so quick that a sync may be waited for where it is called, all else standing still. Pure. */
import { QUICK_SYNC, type QuickSync } from '../limits.ts'

export class SyncPace {
  readonly #limits: QuickSync
  /** In a row, until now. */
  #quick = 0

  constructor(limits = QUICK_SYNC) {
    this.#limits = limits
  }

  get isQuick(): boolean {
    return this.#quick >= this.#limits.times
  }

  /** Of each sync. */
  took(ms: number): void {
    this.#quick = ms < this.#limits.ms ? this.#quick + 1 : 0
  }
}
