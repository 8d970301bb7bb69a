/** etcd's WatchResponse as bytes. Events in it are bytes already, and are spliced in. */
import { assert } from '../../../lib/assert.ts'
import { fieldSize, writeBytesField } from '../../mvcc/event-message.ts'
import { WatchResponse, type ResponseHeader } from '../../proto/generated/etcd/rpc.ts'

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
 * `maxBytes` unless a single event is not.
 */
export function encodeEvents(
  header: ResponseHeader,
  watchId: bigint,
  events: readonly Buffer[],
  maxBytes = Infinity,
): readonly Uint8Array[] {
  const whole = encodeHead(header, watchId, false)
  if (whole.length + fieldsSize(events) < maxBytes || events.length < 2) return [join(whole, events)]
  const fragmentHead = encodeHead(header, watchId, true)
  const responses: Uint8Array[] = []
  let from = 0
  let sizeBytes = fragmentHead.length
  for (const [position, event] of events.entries()) {
    if (position > from && sizeBytes + fieldSize(event) >= maxBytes) {
      responses.push(join(fragmentHead, events.slice(from, position)))
      from = position
      sizeBytes = fragmentHead.length
    }
    sizeBytes += fieldSize(event)
  }
  return [...responses, join(whole, events.slice(from))]
}

function encodeHead(header: ResponseHeader, watchId: bigint, fragment: boolean): Uint8Array {
  return WatchResponse.encode(WatchResponse.fromPartial({ header, watchId, fragment })).finish()
}

function fieldsSize(events: readonly Buffer[]): number {
  let sizeBytes = 0
  for (const event of events) sizeBytes += fieldSize(event)
  return sizeBytes
}

/** Events have the highest field number: they come last. */
function join(head: Uint8Array, events: readonly Buffer[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(head.length + fieldsSize(events))
  bytes.set(head)
  let offset = head.length
  for (const event of events) offset = writeBytesField(bytes, offset, WIRE_EVENTS, event)
  assert(offset === bytes.length, 'the size was computed as the bytes are written')
  return bytes
}
