/** A stream whose requests are handled side by side, and answered in their order. */
import { send, type RpcStatus, type RpcStream } from '../../grpc/service.ts'
import type { Answer } from './method.ts'

/**
 * At most `atOnce` requests have no answer yet: the next ones are left with the client. Resolves when the client has said
 * all that it will and has its answers, or is gone, and with the status of the first request that is refused; what is
 * behind that one gets no answer.
 */
export function answerInOrder(
  calls: RpcStream,
  atOnce: number,
  handle: (request: Uint8Array) => Promise<Answer>,
): Promise<RpcStatus | undefined> {
  return new Promise((resolve, reject) => {
    let unanswered = 0
    let onRoom = (): void => undefined
    let last = Promise.resolve(true)

    /** False: nothing is sent any more. */
    const answerAfter = async (before: Promise<boolean>, coming: Promise<Answer>): Promise<boolean> => {
      const answer = await coming
      if (!(await before)) return false
      if (!answer.ok) resolve(answer.error)
      else if (await send(calls, answer.value)) {
        unanswered -= 1
        onRoom()
        return true
      } else resolve(undefined)
      return false
    }
    const read = async (): Promise<void> => {
      for await (const request of calls.requests) {
        unanswered += 1
        last = answerAfter(last, handle(request))
        last.catch(reject)
        if (unanswered >= atOnce) await new Promise<void>((resolve) => (onRoom = resolve))
      }
      await last
      resolve(undefined)
    }
    read().catch(reject)
  })
}
