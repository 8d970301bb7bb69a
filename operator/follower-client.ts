/** Asks a pod that keeps changes what is kept. It is another process, perhaps of another version: bounded in time and size. */
import { request } from 'undici'
import { decodeFollowStatus, type FollowStatus } from '../lib/follow-status.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { systemClock } from '../lib/system-clock.ts'
import { withTimeLimit } from '../lib/time-limit.ts'

const TIMEOUT_MS = 2000
const MAX_ANSWER_BYTES = 16 * 1024

/** The error is a sentence that says why not. */
export async function askFollower(url: string, outer?: AbortSignal): Promise<Result<FollowStatus, string>> {
  try {
    return await withTimeLimit(systemClock, TIMEOUT_MS, outer, async (signal) => {
      const { statusCode, body } = await request(url, { signal, reset: true })
      const pieces: Buffer[] = []
      let sizeBytes = 0
      for await (const piece of body as AsyncIterable<Buffer>) {
        sizeBytes += piece.length
        if (sizeBytes > MAX_ANSWER_BYTES) return err(`GET ${url}: an answer of more than ${MAX_ANSWER_BYTES} bytes`)
        pieces.push(piece)
      }
      const status = statusCode === 200 ? decodeFollowStatus(Buffer.concat(pieces).toString('utf8')) : undefined
      return status === undefined ? err(`GET ${url}: HTTP ${statusCode} with an answer that is no status`) : ok(status)
    })
  } catch (error) {
    return err(`GET ${url}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
