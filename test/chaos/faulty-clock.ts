/** A machine's clock that is wrong: its wall time jumps, its steady time drifts or leaps ahead, but never goes back. */
import type { Clock, Timer } from '../../lib/clock.ts'

export class FaultyClock implements Clock {
  readonly #clock: Clock
  #rate = 1
  #wallOffsetMs = 0
  /** Where this clock and the true one stood when the rate last changed. */
  #ownMs: number
  #trueMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#trueMs = clock.monotonicMs()
    this.#ownMs = this.#trueMs
  }

  monotonicMs(): number {
    return this.#ownMs + (this.#clock.monotonicMs() - this.#trueMs) * this.#rate
  }

  wallMs(): number {
    return this.#clock.wallMs() + this.#wallOffsetMs
  }

  /** A timer that is set already keeps the rate that it was set at. */
  setTimer(delayMs: number, fire: () => void): Timer {
    return this.#clock.setTimer(delayMs / this.#rate, fire)
  }

  soon(fire: () => void): void {
    this.#clock.soon(fire)
  }

  /** Own milliseconds per true one, more than 0. */
  setRate(rate: number): void {
    this.#settle()
    this.#rate = rate
  }

  /** Either way. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  /** As after the machine was suspended. */
  leap(aheadMs: number): void {
    this.#settle()
    this.#ownMs += aheadMs
  }

  #settle(): void {
    this.#ownMs = this.monotonicMs()
    this.#trueMs = this.#clock.monotonicMs()
  }
}
