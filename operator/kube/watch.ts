/** The lines of a watch: one JSON event each. */
import { errorOfStatus, ApiError } from './api-error.ts'
import type { Kind, StoredObject } from './object.ts'
import { decodeObject, isRecord } from './object.ts'
import type { Call } from './transport.ts'
import { describe, toApiError } from './transport.ts'

/** The API server stores no object as large as this. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024
const NEWLINE = 0x0a

export type WatchEvent =
  | { readonly kind: 'stored'; readonly object: StoredObject }
  | { readonly kind: 'deleted'; readonly object: StoredObject }
  /** Nothing changed up to this version. */
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }

/** An ERROR event, a broken stream and a stream that ends inside an event all fail with a ApiError. */
export async function* decodeWatch(
  kind: Kind,
  body: AsyncIterable<Uint8Array>,
  call: Call,
): AsyncGenerator<WatchEvent, void, undefined> {
  let rest: Buffer = Buffer.alloc(0)
  try {
    for await (const chunk of body) {
      rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
      let start = 0
      for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE, start)) {
        yield decodeEvent(kind, rest.toString('utf8', start, end), call)
        start = end + 1
      }
      rest = rest.subarray(start)
      if (rest.length > MAX_EVENT_BYTES) throw new ApiError('BadAnswer', `an event exceeds ${MAX_EVENT_BYTES} bytes`)
    }
  } catch (error) {
    throw toApiError(error, call)
  }
  if (rest.length > 0) throw new ApiError('BadAnswer', `${describe(call)}: the watch ended inside an event`)
}

function decodeEvent(kind: Kind, line: string, call: Call): WatchEvent {
  const event = parseLine(line, call)
  const body = event['object']
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
      return { kind: 'stored', object: objectOf(kind, body, call) }
    case 'DELETED':
      return { kind: 'deleted', object: objectOf(kind, body, call) }
    case 'BOOKMARK':
      return { kind: 'bookmark', resourceVersion: versionOf(body, call) }
    case 'ERROR': {
      const code = isRecord(body) && typeof body['code'] === 'number' ? body['code'] : 500
      throw errorOfStatus(code, body, `${describe(call)} (in the stream)`)
    }
    default:
      throw new ApiError('BadAnswer', `${describe(call)}: unknown event type ${JSON.stringify(event['type'])}`)
  }
}

function parseLine(line: string, call: Call): Readonly<Record<string, unknown>> {
  try {
    const event: unknown = JSON.parse(line)
    if (isRecord(event)) return event
  } catch {
    // reported below, as any other line that is no event
  }
  throw new ApiError('BadAnswer', `${describe(call)}: an event is not JSON`)
}

function objectOf(kind: Kind, body: unknown, call: Call): StoredObject {
  const object = decodeObject(body, kind)
  if (object === undefined) throw new ApiError('BadAnswer', `${describe(call)}: an event carries no ${kind}`)
  return object
}

function versionOf(body: unknown, call: Call): string {
  const metadata = isRecord(body) ? body['metadata'] : undefined
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined
  if (typeof version !== 'string') throw new ApiError('BadAnswer', `${describe(call)}: a bookmark without version`)
  return version
}
