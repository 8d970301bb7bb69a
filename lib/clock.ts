/**
 * Time as an argument, so that a test or a simulation can hold the clock. Pure code gets `nowMs` as a number instead.
 */
export interface Clock {
  /** Milliseconds on a clock that never goes back; meaningful only as a difference. */
  monotonicMs(): number
  /** Milliseconds since the Unix epoch, as the machine believes. */
  wallMs(): number
  /** Calls `fire` once, `delayMs` from now, unless cancelled; does not keep the process alive. */
  setTimer(delayMs: number, fire: () => void): Timer
  /** Calls `fire` once, after what is under way now and what has already come in. */
  soon(fire: () => void): void
}

export interface Timer {
  cancel(): void
}

/** Resolves after `delayMs`, or at once when `signal` aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const done = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.setTimer(delayMs, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
