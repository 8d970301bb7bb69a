/** Warnings that somebody else can cause as often as they like: each kind is told once a minute, with how many were not. */
import type { Clock } from '../../lib/clock.ts'
import type { TransportLog } from './listener.ts'

const INTERVAL_MS = 60_000

export class LogLimiter {
  readonly #log: TransportLog
  readonly #clock: Clock
  readonly #told = new Map<string, { readonly atMs: number; untold: number }>()

  constructor(log: TransportLog, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** `kind`: one of a few, for it is remembered. */
  warn(kind: string, fields: object, message: string): void {
    const nowMs = this.#clock.monotonicMs()
    const told = this.#told.get(kind)
    if (told !== undefined && nowMs - told.atMs < INTERVAL_MS) {
      told.untold += 1
      return
    }
    this.#told.set(kind, { atMs: nowMs, untold: 0 })
    this.#log.warn(told === undefined || told.untold === 0 ? fields : { ...fields, untold: told.untold }, message)
  }
}
