/** Bodies of requests to the admin API, of which none is large: what is larger is not read to its end. */
import type { IncomingMessage } from 'node:http'
import { err, ok, type Result } from '../../../lib/result.ts'

export const MAX_BODY_SIZE_BYTES = 64 * 1024

/** Whatever its type is said to be. */
export async function readJson(request: IncomingMessage): Promise<Result<unknown, string>> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  // The connection stays, for the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const bytes = chunk as Buffer
    sizeBytes += bytes.length
    if (sizeBytes > MAX_BODY_SIZE_BYTES) return err(`it is too large: at most ${MAX_BODY_SIZE_BYTES} bytes`)
    chunks.push(bytes)
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString())
    return typeof value === 'object' ? ok(value) : err('it is no object')
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error))
  }
}
