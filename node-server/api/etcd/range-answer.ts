/**
 * The answer to a long Range, encoded as it is read, and copied together a little at a time: a message is its parts one
 * after the other, and a hundred megabytes in one go would hold up everything else.
 */
import type { RangeResult } from '../../mvcc/results.ts'
import type { RangeSink } from '../../node/replica/range-reads.ts'
import type { HeaderBytes } from './header-bytes.ts'
import { encodeRange, NO_HEADER } from './range-message.ts'

/** Copied at once: about a millisecond, most of it for memory that is touched for the first time. */
const COPY_SIZE_BYTES = 1024 * 1024

export function rangeAnswer(headers: HeaderBytes): RangeSink<Uint8Array> {
  const parts: Uint8Array[] = []
  return {
    add: (kvs) => void parts.push(encodeRange(NO_HEADER, { kvs, more: false, count: 0 })),
    end: (end: RangeResult, turn) => join([headers.at(end.revision), ...parts, encodeRange(NO_HEADER, end)], turn),
  }
}

async function join(parts: readonly Uint8Array[], turn: () => Promise<void>): Promise<Uint8Array> {
  const whole = Buffer.allocUnsafeSlow(parts.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  let copiedBytes = 0
  for (const part of parts) {
    if (copiedBytes >= COPY_SIZE_BYTES) {
      copiedBytes = 0
      await turn()
    }
    whole.set(part, offset)
    offset += part.length
    copiedBytes += part.length
  }
  return whole
}
