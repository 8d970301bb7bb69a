import type { Clock } from '../../../lib/clock.ts'

/** For tests against real sockets. */
export const REAL_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (fire) => void setImmediate(fire),
}
