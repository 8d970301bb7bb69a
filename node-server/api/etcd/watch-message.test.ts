import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { encodeEvent } from '../../mvcc/event-message.ts'
import { WatchResponse } from '../../proto/generated/etcd/rpc.ts'
import { encodeEvents } from './watch-message.ts'

const header = { clusterId: 1n, memberId: 2n, revision: 300n, raftTerm: 4n }
const keyValues = fc.array(
  fc.uint8Array({ maxLength: 300, size: 'max' }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 12 },
)
const response = (kvs: readonly Buffer[], fragment: boolean): Buffer => {
  const events = kvs.map((kv) => ({ type: 0 as const, kv, prevKv: undefined }))
  return Buffer.from(
    WatchResponse.encode(WatchResponse.fromPartial({ header, watchId: 5n, fragment, events })).finish(),
  )
}

test('a response is the message that the generated codec writes', () => {
  fc.assert(
    fc.property(keyValues, (kvs) => {
      const events = kvs.map((kv) => encodeEvent(false, kv, undefined))
      assert.deepEqual(encodeEvents(header, 5n, events), [response(kvs, false)])
    }),
  )
})

test('fragments are below the limit unless one event is not, as few as can be, and all but the last say so', () => {
  fc.assert(
    fc.property(keyValues, fc.integer({ min: 1, max: 800 }), (kvs, maxBytes) => {
      const events = kvs.map((kv) => encodeEvent(false, kv, undefined))
      const fragments = encodeEvents(header, 5n, events, maxBytes)
      const decoded = fragments.map((bytes) => WatchResponse.decode(bytes))
      assert.deepEqual(
        decoded.flatMap(({ events }) => events).map(({ kv }) => kv),
        kvs,
      )
      for (const [position, { fragment, events }] of decoded.entries()) {
        assert.equal(fragment, position < decoded.length - 1)
        assert.ok(events.length === 1 || decoded.length === 1 || (fragments[position]?.length ?? 0) < maxBytes)
        const following = decoded[position + 1]?.events[0]
        if (following === undefined) continue
        const joined = WatchResponse.encode(
          WatchResponse.fromPartial({ header, watchId: 5n, fragment: true, events: [...events, following] }),
        ).finish()
        assert.ok(joined.length >= maxBytes, 'the next event had no room')
      }
    }),
  )
})
