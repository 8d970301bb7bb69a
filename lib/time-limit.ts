import type { Clock } from './clock.ts'

/**
 * Runs `call` with a signal that aborts after `timeoutMs`, with an error named TimeoutError, or when `outer` does. Unlike
 * AbortSignal.timeout and AbortSignal.any it leaves nothing behind once the call has ended: theirs live, with all that
 * hangs on them, until their time is over.
 */
export async function withTimeLimit<T>(
  clock: Clock,
  timeoutMs: number,
  outer: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  const timer = clock.setTimer(timeoutMs, () => {
    const error = new Error(`no answer within ${timeoutMs} ms`)
    error.name = 'TimeoutError'
    limit.abort(error)
  })
  const follow = (): void => limit.abort(outer?.reason)
  if (outer?.aborted === true) follow()
  outer?.addEventListener('abort', follow, { once: true })
  try {
    return await call(limit.signal)
  } finally {
    timer.cancel()
    outer?.removeEventListener('abort', follow)
  }
}
