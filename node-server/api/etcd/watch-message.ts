/**
 * etcd's WatchResponse in two parts, which follow one another on the wire: what is about one watch, and its events, which
 * are encoded once for all watches that are told the same.
 *
 *   header (0a size …) ‖ watch_id (10 varint, unless it is 0) ‖ fragment (38 01, if it is one)  |  events (5a size …)*
 */
import { assert } from '../../../lib/assert.ts'
import type { ResponseParts } from '../../grpc/service.ts'
import { fieldSize, MAX_VARINT_BYTES, writeBytesField } from '../../mvcc/wire.ts'
import type { EventList } from '../../node/watch/event-list.ts'
import { WatchResponse, type ResponseHeader } from '../../proto/generated/etcd/rpc.ts'

const WIRE_WATCH_ID = 0x10
const WIRE_FRAGMENT = 0x38
const WIRE_EVENTS = 0x5a

interface ControlFields {
  readonly header: ResponseHeader
  readonly watchId: bigint
  readonly created?: boolean
  readonly canceled?: boolean
  readonly compactRevision?: bigint
  readonly cancelReason?: string
}

/** A response without events. */
export function encodeControl(fields: ControlFields): Uint8Array {
  return WatchResponse.encode(WatchResponse.fromPartial(fields)).finish()
}

/**
 * One response, or several when it would reach `maxBytes`: then all but the last are marked as fragments, and each is below
 * `maxBytes` unless a single event is not. `header` as `HeaderBytes` gives it.
 */
export function encodeEvents(
  header: Uint8Array,
  watchId: bigint,
  events: EventList,
  maxBytes = Infinity,
): readonly ResponseParts[] {
  const head = encodeHead(header, watchId, false)
  const whole = events.encodedBy(encodeFields)
  if (head.length + whole.length < maxBytes || events.length < 2) return [[head, whole]]
  const fragmentHead = encodeHead(header, watchId, true)
  const responses: ResponseParts[] = []
  let first = 0
  let end = 0
  for (const event of events.all()) {
    const sizeBytes = fieldSize(event)
    if (end > first && fragmentHead.length + end - first + sizeBytes >= maxBytes) {
      responses.push([fragmentHead, whole.subarray(first, end)])
      first = end
    }
    end += sizeBytes
  }
  return [...responses, [head, whole.subarray(first)]]
}

function encodeHead(header: Uint8Array, watchId: bigint, isFragment: boolean): Uint8Array {
  const bytes = Buffer.allocUnsafe(header.length + 1 + MAX_VARINT_BYTES + 2)
  bytes.set(header)
  let offset = header.length
  if (watchId !== 0n) {
    bytes[offset++] = WIRE_WATCH_ID
    offset = writeVarint(bytes, offset, watchId)
  }
  if (isFragment) {
    bytes[offset++] = WIRE_FRAGMENT
    bytes[offset++] = 1
  }
  return bytes.subarray(0, offset)
}

/** Returns the offset after it. */
function writeVarint(bytes: Buffer, from: number, value: bigint): number {
  let offset = from
  let rest = BigInt.asUintN(64, value)
  for (; rest > 0x7fn; rest >>= 7n) bytes[offset++] = Number(rest & 0x7fn) | 0x80
  bytes[offset++] = Number(rest)
  return offset
}

function encodeFields(events: readonly Buffer[]): Uint8Array {
  let sizeBytes = 0
  for (const event of events) sizeBytes += fieldSize(event)
  const bytes = Buffer.allocUnsafe(sizeBytes)
  let offset = 0
  for (const event of events) offset = writeBytesField(bytes, offset, WIRE_EVENTS, event)
  assert(offset === sizeBytes, 'the size was computed as the bytes are written')
  return bytes
}
