/** How often something may happen: so many times at once, and so many each second. Pure. */
export class Budget {
  readonly #burst: number
  readonly #perSecond: number
  #left: number
  #sinceMs: number

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#left = burst
    this.#sinceMs = nowMs
  }

  /** False: too often. */
  take(nowMs: number): boolean {
    if (this.#left < 1) {
      this.#left = Math.min(this.#burst, this.#left + ((nowMs - this.#sinceMs) / 1000) * this.#perSecond)
      this.#sinceMs = nowMs
      if (this.#left < 1) return false
    }
    this.#left -= 1
    return true
  }
}
