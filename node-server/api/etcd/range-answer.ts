/**
 * The answer to a long Range, encoded as it is read, and copied together a little at a time: a message is its parts one
 * after the other, and a hundred megabytes in one go would hold up everything else.
 */
import type { RangeResult } from '../../mvcc/results.ts'
import type { NodePort } from '../../node/ports.ts'
import type { RangeSink } from '../../node/replica/range-reads.ts'
import { RangeResponse } from '../../proto/generated/etcd/rpc.ts'
import { header } from './responses.ts'

/** Copied at once: about a millisecond, most of it for memory that is touched for the first time. */
const COPY_SIZE_BYTES = 1024 * 1024

export function rangeAnswer(node: NodePort): RangeSink<Uint8Array> {
  const parts: Uint8Array[] = []
  return {
    add: (kvs) => void parts.push(encodePart({ kvs })),
    end: ({ revision, kvs, more, count }: RangeResult, turn) => {
      const first = encodePart({ header: header(node, revision) })
      return join([first, ...parts, encodePart({ kvs, more, count: BigInt(count) })], turn)
    },
  }
}

function encodePart(part: Partial<RangeResponse>): Uint8Array {
  return RangeResponse.encode({ header: undefined, kvs: [], more: false, count: 0n, ...part }).finish()
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
