import { setTimeout as sleep } from 'node:timers/promises'

export interface WaitOptions {
  readonly timeoutMs: number
  readonly everyMs?: number
}

/**
 * Asks again until there is an answer. `ask` returns undefined (or throws) while there is none; the error after the time
 * limit carries the last reason.
 */
export async function waitFor<Value>(
  what: string,
  options: WaitOptions,
  ask: () => Promise<Value | undefined>,
): Promise<Value> {
  const deadlineMs = performance.now() + options.timeoutMs
  let last: unknown = 'no answer yet'
  for (;;) {
    try {
      const value = await ask()
      if (value !== undefined) return value
    } catch (error) {
      last = error
    }
    if (performance.now() >= deadlineMs) {
      const reason = last instanceof Error ? last.message : String(last)
      throw new Error(`gave up after ${options.timeoutMs / 1000} s waiting for ${what} (${reason})`, { cause: last })
    }
    await sleep(options.everyMs ?? 200)
  }
}
