import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { History, Operation, Request, Response, Version, Watch, WatchEvent, WatchResponse } from './record.ts'
import { checkRevisions } from './revision-order.ts'

const NO_LEASE = '0'
const version = (key: string, value: string, created: number, modified: number, lease = NO_LEASE): Version => {
  // Every key here is put once in each revision of its life.
  return { key, value, createRevision: created, modRevision: modified, version: modified - created + 1, lease }
}
const putEvent = (kv: Version, previous?: Version): WatchEvent => ({ kind: 'put', kv, previous })
const deleteEvent = (previous: Version, revision: number): WatchEvent => {
  const kv = { key: previous.key, value: '', createRevision: 0, modRevision: revision, version: 0, lease: NO_LEASE }
  return { kind: 'delete', kv, previous }
}
const put = (key: string, value: string, lease = NO_LEASE): Request => ({ kind: 'put', key, value, lease })
const range = (key: string, isSerializable = false): Request => ({ kind: 'range', key, rangeEnd: '', isSerializable })
const remove = (key: string): Request => ({ kind: 'delete', key, rangeEnd: '' })
const putAnswer = (revision: number, previous?: Version): Response => ({ kind: 'put', revision, previous })
const rangeAnswer = (revision: number, ...kvs: Version[]): Response => ({ kind: 'range', revision, kvs })

/** `at`: call and return. */
const operation = (at: readonly [number, number?], request: Request, response?: Response): Operation => {
  return { client: 'c', member: 'm0', callMs: at[0], returnMs: at[1], request, response }
}
const CREATED = { atMs: 0, revision: 1, isCreated: true, isCanceled: false, compactRevision: 0, events: [] }
const told = (revision: number, ...events: WatchEvent[]): WatchResponse => {
  return { ...CREATED, revision, isCreated: false, events }
}
const watch = (...responses: WatchResponse[]): Watch => {
  return { member: 'm0', openedMs: 0, startRevision: 1, responses: [CREATED, ...responses] }
}

const A2 = version('a', 'x', 2, 2)
const A3 = version('a', 'y', 2, 3)
/** a=x at 2, a=y at 3, a deleted at 4. */
const WRITES = [
  operation([0, 1], put('a', 'x'), putAnswer(2)),
  operation([2, 3], put('a', 'y'), putAnswer(3, A2)),
  operation([6, 7], remove('a'), { kind: 'delete', revision: 4, previous: [A3] }),
]
const EVENTS = [putEvent(A2), putEvent(A3, A2), deleteEvent(A3, 4)]
const WATCH = watch(told(2, EVENTS[0] as WatchEvent), told(4, ...EVENTS.slice(1)))
const good = (...more: Operation[]): History => ({ operations: [...WRITES, ...more], watches: [WATCH] })

function holds(history: History): void {
  assert.deepEqual(checkRevisions(history), [])
}
function fails(history: History, problem: RegExp): void {
  assert.match(checkRevisions(history).join('\n'), problem)
}

test('a history whose answers fit its changes holds', () => {
  holds(good(operation([4, 5], range('a'), rangeAnswer(3, A3)), operation([8, 9], range('a'), rangeAnswer(4))))
})

test('a read at the same time as a write may see it or not', () => {
  holds(good(operation([2.1, 2.9], range('a'), rangeAnswer(2, A2))))
  holds(good(operation([2.1, 2.9], range('a'), rangeAnswer(3, A3))))
})

test('a stale read: it began after a write had ended', () => {
  fails(good(operation([4, 5], range('a'), rangeAnswer(2, A2))), /and stands before it/)
  holds(good(operation([4, 5], range('a', true), rangeAnswer(2, A2)))) // serializable: it may
})

test('a read of what never was at its revision', () => {
  fails(good(operation([4, 5], range('a'), rangeAnswer(3, A2))), /the state at revision 3/)
  fails(good(operation([4, 5], range('a', true), rangeAnswer(3, A2))), /the state at revision 3/)
})

test('a lost write: acknowledged, and in no watch', () => {
  fails(good(operation([8, 9], put('b', 'z'), putAnswer(5))), /names revision 5, no watch was told/)
})

test('one revision for two writes', () => {
  fails(good(operation([2.1, 2.9], put('b', 'z'), putAnswer(3))), /revision 3 was given to two writes/)
})

test('a write without outcome took effect once, or never, but not twice', () => {
  const unknown = operation([8], put('a', 'z'))
  holds(good(unknown))
  const A5 = version('a', 'z', 5, 5)
  const A6 = version('a', 'z', 5, 6)
  const once = [WATCH.responses[1] as WatchResponse, told(5, ...EVENTS.slice(1), putEvent(A5))]
  holds({ operations: [...WRITES, unknown], watches: [watch(...once)] })
  const twice = [...once, told(6, putEvent(A6, A5))]
  fails({ operations: [...WRITES, unknown], watches: [watch(...twice)] }, /nobody has made revision 6/)
})

test('a change that nobody asked for, and one that is missing from every watch', () => {
  fails({ operations: WRITES.slice(0, 2), watches: [WATCH] }, /nobody has made revision 4/)
  fails({ operations: WRITES, watches: [watch(told(4, ...EVENTS.slice(1)))] }, /no watch was told of revision 2/)
})

test('the keys of a lease go together, as one change of its own', () => {
  const [kv, other] = [version('k', 'v', 2, 2, '9'), version('l', 'v', 3, 3, '9')]
  const operations = [
    operation([0, 1], put('k', 'v', '9'), putAnswer(2)),
    operation([2, 3], put('l', 'v', '9'), putAnswer(3)),
  ]
  const puts = [told(3, putEvent(kv), putEvent(other))]
  holds({ operations, watches: [watch(...puts, told(4, deleteEvent(kv, 4), deleteEvent(other, 4)))] })
  fails({ operations, watches: [watch(...puts, told(4, deleteEvent(kv, 4)))] }, /nobody has made revision 4/)
})

test('a put with a lease that had been revoked', () => {
  const revoke = operation([0, 1], { kind: 'lease-revoke', lease: '9' }, { kind: 'lease-revoke', revision: 1 })
  const late = operation([2, 3], put('k', 'v', '9'), putAnswer(2))
  fails({ operations: [revoke, late], watches: [watch(told(2, putEvent(version('k', 'v', 2, 2, '9'))))] }, /revoked/)
})

test('a txn whose branch does not fit its compares', () => {
  const request: Request = {
    kind: 'txn',
    compares: [{ key: 'a', modRevision: 2 }],
    success: [{ kind: 'put', key: 'b', value: 'z', lease: NO_LEASE }],
    failure: [{ kind: 'range', key: 'a', rangeEnd: '', isSerializable: false }],
  }
  const answer = (succeeded: boolean, ...responses: Response[]): Response => {
    return { kind: 'txn', revision: 3, succeeded, responses }
  }
  holds(good(operation([4, 5], request, answer(false, rangeAnswer(3, A3)))))
  fails(good(operation([4, 5], request, answer(true))), /should be .*"succeeded":false/)
})

const watchFailures: readonly (readonly [string, Watch, RegExp])[] = [
  ['a gap', watch(told(2, ...EVENTS.slice(0, 1)), told(4, ...EVENTS.slice(2))), /but not of 3/],
  ['a repeat', watch(told(3, ...EVENTS.slice(0, 2)), told(4, ...EVENTS.slice(1))), /revision 3 after 3/],
  ['events out of order', watch(told(4, ...EVENTS.slice(1), ...EVENTS.slice(0, 1))), /revision 2 after 4/],
  ['progress beyond what was told', watch(told(3, ...EVENTS.slice(0, 2)), told(4)), /but not of 4/],
  ['a header that goes back', watch(told(4, ...EVENTS), told(3)), /goes back from header revision 4 to 3/],
  ['an event from its own future', watch(told(3, ...EVENTS)), /revision 4 under the header 3/],
  ['what comes before its start', { ...WATCH, startRevision: 3 }, /revision 2 from before its start/],
  ['an end without a reason', watch({ ...told(4, ...EVENTS), isCanceled: true }), /ended at revision 5/],
  [
    'a wrong previous version',
    watch(told(4, EVENTS[0] as WatchEvent, putEvent(A3), EVENTS[2] as WatchEvent)),
    /is told .* one on/,
  ],
]
for (const [name, broken, problem] of watchFailures)
  test(`a watch with ${name}, beside one that is right`, () => {
    fails({ operations: WRITES, watches: [WATCH, broken] }, problem)
  })

test('a previous version that no state had, told by every watch', () => {
  const wrong = watch(told(4, EVENTS[0] as WatchEvent, putEvent(A3), EVENTS[2] as WatchEvent))
  fails({ operations: WRITES, watches: [wrong] }, /should be/)
})
