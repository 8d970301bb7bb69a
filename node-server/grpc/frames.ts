/**
 * Responses as a stream of HTTP/2 carries them:
 *
 *   compressed: 1 byte, 0 ‖ length of the response: 4 bytes, big-endian ‖ the response
 */
import { assert } from '../../lib/assert.ts'
import type { ResponseParts } from './service.ts'

/** Before each message. */
export const PREFIX_BYTES = 5

/** A part from this size on is written as it is, so that all who are sent it share it; a smaller one is cheaper to copy. */
const SHARED_BYTES = 4096

export function sizeOf(response: ResponseParts): number {
  let sizeBytes = 0
  for (const part of response) sizeBytes += part.length
  return sizeBytes
}

/** What to write, in as few pieces as may be. */
export function framed(responses: readonly ResponseParts[]): readonly Uint8Array[] {
  const pieces: Uint8Array[] = []
  const copied = Buffer.allocUnsafe(copiedBytes(responses))
  let from = 0
  let end = 0
  for (const response of responses) {
    copied[end] = 0
    copied.writeUInt32BE(sizeOf(response), end + 1)
    end += PREFIX_BYTES
    for (const part of response) {
      if (part.length < SHARED_BYTES) {
        copied.set(part, end)
        end += part.length
      } else {
        pieces.push(copied.subarray(from, end), part)
        from = end
      }
    }
  }
  assert(end === copied.length, 'the size was computed as the bytes are written')
  if (end > from) pieces.push(copied.subarray(from))
  return pieces
}

function copiedBytes(responses: readonly ResponseParts[]): number {
  let sizeBytes = 0
  for (const response of responses) {
    sizeBytes += PREFIX_BYTES
    for (const part of response) if (part.length < SHARED_BYTES) sizeBytes += part.length
  }
  return sizeBytes
}
