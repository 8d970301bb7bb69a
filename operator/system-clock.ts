import { performance } from 'node:perf_hooks'
import type { Clock } from '../lib/clock.ts'

export const SYSTEM_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs).unref()
    return { cancel: () => clearTimeout(timer) }
  },
}
