import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { encodeEvent } from '../../mvcc/event-message.ts'
import { WatchResponse } from '../../proto/generated/etcd/rpc.ts'
import { EventList } from '../../node/watch/event-list.ts'
import { encodeEvents } from './watch-message.ts'

const header = { clusterId: 1n, memberId: 2n, revision: 300n, raftTerm: 4n }
const head = WatchResponse.encode(WatchResponse.fromPartial({ header })).finish()
const keyValues = fc.array(
  fc.uint8Array({ maxLength: 300, size: 'max' }).map((bytes) => Buffer.from(bytes)),
  { minLength: 1, maxLength: 12 },
)
const watchIds = fc.oneof(
  fc.constantFrom(0n, 1n, 127n, 128n, -1n),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)

function listOf([first = Buffer.alloc(0), ...others]: readonly Buffer[]): EventList {
  let list = EventList.of(encodeEvent(false, first, undefined))
  for (const keyValue of others) list = list.with(encodeEvent(false, keyValue, undefined))
  return list
}

const generated = (kvs: readonly Buffer[], watchId: bigint, fragment: boolean): Buffer => {
  const events = kvs.map((kv) => ({ type: 0 as const, kv, prevKv: undefined }))
  return Buffer.from(WatchResponse.encode(WatchResponse.fromPartial({ header, watchId, fragment, events })).finish())
}

test('a response is the message that the generated codec writes, whoever shares its events', () => {
  fc.assert(
    fc.property(keyValues, fc.array(watchIds, { minLength: 1 }), (kvs, ids) => {
      const events = listOf(kvs)
      const responses = ids.map((id) => encodeEvents(head, id, events))
      for (const [position, id] of ids.entries()) {
        assert.deepEqual(
          responses[position]?.map((parts) => Buffer.concat(parts)),
          [generated(kvs, id, false)],
        )
        assert.equal(responses[position]?.[0]?.at(-1), responses[0]?.[0]?.at(-1), 'the same bytes, not equal ones')
      }
    }),
  )
})

test('fragments are below the limit unless one event is not, as few as can be, and all but the last say so', () => {
  fc.assert(
    fc.property(keyValues, fc.integer({ min: 1, max: 800 }), (kvs, maxBytes) => {
      const responses = encodeEvents(head, 5n, listOf(kvs), maxBytes)
      const fragments = responses.map((parts) => Buffer.concat(parts))
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
