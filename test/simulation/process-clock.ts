/** The clocks of one process: they run too fast or too slow, jump, stand still while it is paused, and end with it. */
import type { Clock, Timer } from '../../lib/clock.ts'
import { StoreDamaged } from '../../node-server/mvcc/backend.ts'
import type { Schedule } from '../../node-server/raft/testing/schedule.ts'
import { settlePromises } from './microtasks.ts'

const EPOCH_MS = Date.UTC(2030, 0, 1)

export class ProcessClock implements Clock {
  readonly #schedule: Schedule
  /** Of its seconds in one of the world's. */
  readonly #rate: number
  readonly #startMs: number
  #wallOffsetMs = 0
  #isDead = false
  #pausedUntilMs = 0
  #waiting: (() => void)[] = []
  /** After everything that this process did. */
  readonly #afterStep: () => void

  constructor(schedule: Schedule, rate: number, afterStep: () => void) {
    this.#schedule = schedule
    this.#rate = rate
    this.#startMs = schedule.now
    this.#afterStep = afterStep
  }

  get isDead(): boolean {
    return this.#isDead
  }

  get isPaused(): boolean {
    return this.#schedule.now < this.#pausedUntilMs
  }

  monotonicMs(): number {
    return (this.#schedule.now - this.#startMs) * this.#rate
  }

  wallMs(): number {
    return EPOCH_MS + this.#wallOffsetMs + this.#schedule.now * this.#rate
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    let isCancelled = false
    this.after(Math.max(0, delayMs) / this.#rate, () => {
      if (!isCancelled) fire()
    })
    return { cancel: () => (isCancelled = true) }
  }

  soon(fire: () => void): void {
    this.after(0, fire)
  }

  /** What comes from outside and from timers: nothing happens in a process that is dead, and in a paused one only later. */
  after(worldMs: number, run: () => void): void {
    this.#schedule.after(worldMs, () => this.enter(run))
  }

  enter(run: () => void): void {
    if (this.#isDead) return
    if (this.isPaused) {
      this.#waiting.push(run)
      return
    }
    try {
      run()
    } catch (error) {
      if (!(error instanceof StoreDamaged)) throw error // as main does with what nobody caught
    }
    settlePromises()
    if (!this.#isDead) this.#afterStep()
  }

  /** Resolves after that time of the world; never when the process dies before. */
  sleep(worldMs: number): Promise<void> {
    return new Promise((resolve) => this.after(worldMs, resolve))
  }

  jump(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  pause(forMs: number): void {
    if (this.isPaused || this.#isDead) return
    this.#pausedUntilMs = this.#schedule.now + forMs
    this.#schedule.after(forMs, () => {
      const waiting = this.#waiting
      this.#waiting = []
      for (const run of waiting) this.enter(run)
    })
  }

  kill(): void {
    this.#isDead = true
    this.#waiting = []
  }
}
