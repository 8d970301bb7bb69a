import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Event, KeyValue } from '../proto/generated/etcd/kv.ts'
import { compactSlice } from './compaction.ts'
import { encodeEvent } from './event-message.ts'
import { readEvents, readPrevious, type EventPosition } from './events.ts'
import { encodePut, encodeTombstone, decodeStoredRevision, headOf } from './key-value.ts'
import { MemoryBackend } from './memory-backend.ts'
import { Store } from './store.ts'
import { compactTo, deleteRange, put } from './testing/requests.ts'

test('an event is the message that the generated codec writes', () => {
  const bytes = fc.uint8Array({ maxLength: 20_000, size: 'max' }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(fc.boolean(), bytes, fc.option(bytes, { nil: undefined }), (isDelete, kv, prevKv) => {
      const expected = Event.encode({ type: isDelete ? 1 : 0, kv, prevKv }).finish()
      assert.deepEqual(encodeEvent(isDelete, kv, prevKv), Buffer.from(expected))
    }),
    { numRuns: 50 },
  )
})

test('key and create revision are read from what the key-value codec writes', () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 400 }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(key, fc.maxSafeNat(), fc.maxSafeNat(), (key, createRevision, modRevision) => {
      const fields = { key, createRevision, modRevision, version: 1, value: Buffer.from('v'), lease: 0n }
      assert.deepEqual(headOf(decodeStoredRevision(encodePut(fields)).keyValue), { key, createRevision })
      const tombstone = decodeStoredRevision(encodeTombstone(key, modRevision)).keyValue
      assert.deepEqual(headOf(tombstone), { key, createRevision: 0 })
    }),
  )
})

const previousValue = (store: Store, revision: number, floor: number): string | undefined => {
  const [event] = readEvents(store, { revision, sub: 0 }, 1).events
  assert.ok(event !== undefined)
  const previous = readPrevious(store, event, floor)
  return previous === undefined ? undefined : KeyValue.decode(previous).value.toString()
}

test('the version before an event is found from the floor on, and not after a delete', () => {
  const store = new Store(new MemoryBackend())
  put(store, 'a', '1') // 2
  put(store, 'a', '2') // 3
  deleteRange(store, 'a') // 4
  put(store, 'a', '3') // 5
  put(store, 'ab', 'x') // 6
  put(store, 'a', '4') // 7
  const seen = [2, 3, 4, 5, 6, 7].map((revision) => previousValue(store, revision, 0))
  assert.deepEqual(seen, [undefined, '1', '2', undefined, undefined, '3'])
  assert.equal(previousValue(store, 3, 2), '1')
  assert.equal(previousValue(store, 3, 3), undefined)
})

test('pages follow one another, also in the middle of a revision', () => {
  const store = new Store(new MemoryBackend())
  for (const key of ['a', 'b', 'c']) put(store, key, 'v') // 2 to 4
  deleteRange(store, 'a', '\0') // 5
  put(store, 'd', 'v') // 6
  for (const [limitBytes, limitEvents] of [
    [1, Infinity],
    [Infinity, 1],
  ] as const) {
    const seen: string[] = []
    let next: EventPosition = { revision: 4, sub: 0 }
    while (next.revision <= store.revision) {
      const page = readEvents(store, next, limitBytes, limitEvents)
      assert.equal(page.events.length, 1)
      seen.push(...page.events.map(({ revision, key }) => `${revision} ${key}`))
      next = page.next
    }
    assert.deepEqual(seen, ['4 c', '5 a', '5 b', '5 c', '6 d'])
    assert.deepEqual(readEvents(store, next, limitBytes, limitEvents), { events: [], next: { revision: 7, sub: 0 } })
  }
})

test('physical compaction waits for events that are still to be handed out', () => {
  const store = new Store(new MemoryBackend())
  put(store, 'a', '1') // 2
  put(store, 'a', '2') // 3
  store.eventsHeldFrom = 3
  compactTo(store, 3)
  assert.deepEqual(compactSlice(store, undefined), { cursor: undefined, removedVersions: 0 })
  assert.equal(previousValue(store, 3, 2), '1')
  store.eventsHeldFrom = 4
  assert.equal(compactSlice(store, undefined).removedVersions, 1)
})
