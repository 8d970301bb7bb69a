/** Time that passes only when a test says so. */
import type { Clock, Timer } from '../../../lib/clock.ts'

interface Waiting {
  readonly atMs: number
  readonly fire: () => void
}

export class VirtualClock implements Clock {
  #nowMs = 0
  readonly #waiting = new Set<Waiting>()

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const waiting = { atMs: this.#nowMs + delayMs, fire }
    this.#waiting.add(waiting)
    return { cancel: () => void this.#waiting.delete(waiting) }
  }

  soon(fire: () => void): void {
    setImmediate(fire)
  }

  /** Fires what is due on the way, in its order, and lets each finish before the next. */
  async pass(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    await settled()
    for (;;) {
      const [next] = [...this.#waiting].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#waiting.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.fire()
      await settled()
    }
    this.#nowMs = endMs
  }
}

/** Until what is under way, and what follows from it without a timer, is done. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
