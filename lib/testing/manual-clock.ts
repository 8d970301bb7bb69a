import type { Clock, Timer } from '../clock.ts'

/** A clock that a test moves. Timers fire in order of time, and promises settle between them. */
export class ManualClock implements Clock {
  #nowMs = 0
  readonly #timers = new Map<number, { readonly dueMs: number; readonly fire: () => void }>()
  #nextTimer = 0

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return Date.UTC(2030, 0, 1) + this.#nowMs
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const id = this.#nextTimer++
    this.#timers.set(id, { dueMs: this.#nowMs + delayMs, fire })
    return { cancel: () => void this.#timers.delete(id) }
  }

  soon(fire: () => void): void {
    setImmediate(fire)
  }

  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs
    await settle()
    for (;;) {
      const next = [...this.#timers]
        .filter(([, t]) => t.dueMs <= untilMs)
        .toSorted(([, a], [, b]) => a.dueMs - b.dueMs)[0]
      if (next === undefined) break
      const [id, timer] = next
      this.#timers.delete(id)
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs)
      timer.fire()
      await settle()
    }
    this.#nowMs = untilMs
    await settle()
  }
}

/** Lets everything that is ready to run, run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}
