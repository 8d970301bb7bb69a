/** A watch as an HTTP answer that goes on: one event a line. */
import type { ServerResponse } from 'node:http'
import { groupVersion } from './resources/resource-type.ts'
import type { JsonObject } from './object.ts'
import { inVersion, render, type Rendering } from './render.ts'
import type { Call } from './rest/call.ts'
import { forbiddenMatch, parseRevision, predicateOf, rangeOf } from './rest/read.ts'
import type { WatchHub, WatchType } from './watch.ts'

/** What a client may leave unread before it is let go: it then starts again from where it was. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024
const DEFAULT_TIMEOUT_SECONDS = 1800
/** Before the end, so that the client goes on from there and not from its last event. */
const LAST_BOOKMARK_MS = 2000

export function serveWatch(call: Call, hub: WatchHub, rendering: Rendering, response: ServerResponse): void {
  const { type, namespace, query } = call
  const wanted = parseRevision(query.get('resourceVersion') ?? '', 'resourceVersion')
  const sendsInitialEvents = query.get('sendInitialEvents') === 'true'
  const hasBookmarks = query.get('allowWatchBookmarks') === 'true' || query.get('allowWatchBookmarks') === '1'
  if (sendsInitialEvents && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw forbiddenMatch('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  }
  const range = rangeOf(type, namespace)
  const matches = predicateOf(call)
  response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' })
  response.flushHeaders()
  let isFirst = true
  const send = (event: WatchType, object: JsonObject): boolean => {
    // A slow client has not taken all of it yet when its watch has ended.
    if (response.writableEnded) return false
    const shown =
      event === 'ERROR'
        ? object
        : event === 'BOOKMARK'
          ? bookmark(call, rendering, object)
          : shownObject(rendering, object, isFirst)
    if (event !== 'BOOKMARK' && event !== 'ERROR') isFirst = false
    response.write(`${JSON.stringify({ type: event, object: shown })}\n`)
    return response.writableLength < MAX_UNREAD_BYTES
  }
  const end = hub.watch({
    ...range,
    matches,
    fromRevision: wanted === 0 ? undefined : wanted,
    hasBookmarks,
    sendsInitialEvents,
    send,
    onEnd: () => response.end(),
  })
  const timeoutMs = timeoutSeconds(query) * 1000
  const lastBookmark = setTimeout(
    () => hasBookmarks && hub.bookmark(send),
    Math.max(timeoutMs - LAST_BOOKMARK_MS, timeoutMs / 2),
  )
  const timeout = setTimeout(() => {
    end()
    response.end()
  }, timeoutMs)
  response.on('close', () => {
    clearTimeout(lastBookmark)
    clearTimeout(timeout)
    end()
  })
}

function timeoutSeconds(query: URLSearchParams): number {
  const asked = Number(query.get('timeoutSeconds') ?? '')
  return Number.isFinite(asked) && asked > 0 ? Math.min(asked, 24 * 3600) : DEFAULT_TIMEOUT_SECONDS
}

function shownObject(rendering: Rendering, object: JsonObject, isFirst: boolean): JsonObject {
  return render(inVersion(object, rendering.type), { ...rendering, hasColumns: isFirst })
}

function bookmark(call: Call, rendering: Rendering, object: JsonObject): JsonObject {
  if (rendering.form === 'table') {
    return {
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: object['metadata'] ?? {},
      columnDefinitions: null,
      rows: [],
    }
  }
  if (rendering.form === 'metadata') return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', ...object }
  return { kind: call.type.kind, apiVersion: groupVersion(call.type), ...object }
}
