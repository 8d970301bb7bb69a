export interface BackoffOptions {
  readonly firstMs: number
  readonly factor: number
  readonly maxMs: number
  /** Share of the delay that is random, 0 to 1: keeps a crowd from returning at the same instant. */
  readonly jitter: number
}

/** Delay before retry number `attempt` (0 for the first retry). `random` is in [0, 1). */
export function backoffMs(options: BackoffOptions, attempt: number, random: number): number {
  const full = Math.min(options.maxMs, options.firstMs * options.factor ** Math.min(attempt, 64))
  return full * (1 - options.jitter * random)
}
