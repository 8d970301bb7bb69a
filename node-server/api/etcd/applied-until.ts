/** Waiting for the store to be in some state: looked at after each batch of applied entries, never on a timer. */
import type { NodePort } from '../../node/ports.ts'

/** What `look` finds, as soon as it is not undefined; undefined once `signal` aborts. What `look` throws is the rejection. */
export function appliedUntil<Found>(
  node: NodePort,
  signal: AbortSignal,
  look: () => Found | undefined,
): Promise<Found | undefined> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      stop()
      signal.removeEventListener('abort', abort)
    }
    const abort = (): void => {
      end()
      resolve(undefined)
    }
    const check = (): void => {
      try {
        const found = look()
        if (found === undefined) return
        end()
        resolve(found)
      } catch (error) {
        end()
        reject(error)
      }
    }
    const stop = node.onApplied(check)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    check()
  })
}
