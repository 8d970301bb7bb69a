/** Times of a schedule: a cron expression in a time zone. Pure; croner knows cron and the zones. */
import { Cron } from 'croner'
import type { Result } from '../../lib/result.ts'
import { err, ok } from '../../lib/result.ts'

export interface Schedule {
  /** The last time at or before that one; undefined where there was none. */
  lastMs(nowMs: number): number | undefined
  /** The first time after that one; undefined where there is none any more. */
  nextMs(nowMs: number): number | undefined
}

/** The error is croner's own sentence about what is wrong. */
export function parseSchedule(expression: string, timeZone: string): Result<Schedule, string> {
  try {
    const cron = new Cron(expression, { timezone: timeZone, mode: '5-part', paused: true })
    // A zone that is not known shows only when it is asked for a time.
    if (cron.nextRun(new Date(0)) === null) return err(`'${expression}' matches no time`)
    return ok({
      // croner leaves the moment itself out.
      lastMs: (nowMs) => cron.previousRuns(1, new Date(nowMs + 1))[0]?.getTime(),
      nextMs: (nowMs) => cron.nextRun(new Date(nowMs))?.getTime(),
    })
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error))
  }
}
