import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { History } from '../history/json-lines.ts'
import type { Answer, KeyValue, Operation, Outcome, Request } from '../history/operation.ts'
import type { WatchEvent, WatchHistory, WatchResponse } from '../history/watches.ts'
import { checkRevisions } from './revision-order.ts'

const NO_LEASE = '0'
const version = (key: string, value: string, created: number, modified: number, lease = NO_LEASE): KeyValue => {
  // Every key here is put once in each revision of its life.
  return { key, value, createRevision: created, modRevision: modified, version: modified - created + 1, lease }
}
const putEvent = (kv: KeyValue, prevKv?: KeyValue): WatchEvent => ({ kind: 'put', kv, prevKv })
const deleteEvent = (prevKv: KeyValue, revision: number): WatchEvent => {
  const kv = { key: prevKv.key, value: '', createRevision: 0, modRevision: revision, version: 0, lease: NO_LEASE }
  return { kind: 'delete', kv, prevKv }
}
const put = (key: string, value: string, lease = NO_LEASE): Request => ({
  kind: 'put',
  key,
  value,
  lease,
  prevKv: true,
})
const range = (key: string, serializable = false): Request => {
  return { kind: 'range', key, rangeEnd: '', revision: 0, serializable }
}
const remove = (key: string): Request => ({ kind: 'delete', key, rangeEnd: '', prevKv: true })
const putAnswer = (revision: number, ...prevKvs: KeyValue[]): Answer => {
  return prevKvs.length === 0 ? { revision } : { revision, prevKvs }
}
const rangeAnswer = (revision: number, ...kvs: KeyValue[]): Answer => ({ revision, kvs, count: kvs.length })

/** `at`: call and return. Without an answer its outcome is not known. */
const operation = (at: readonly [number, number], request: Request, answer?: Answer): Operation => {
  const outcome: Outcome = answer === undefined ? { kind: 'unknown' } : { kind: 'answer', answer }
  return { client: 0, member: 'm0', call: at[0], return: at[1], request, outcome }
}
const CREATED: WatchResponse = {
  at: 0,
  revision: 1,
  isCreated: true,
  isCanceled: false,
  compactRevision: 0,
  isFragment: false,
  events: [],
}
const told = (revision: number, ...events: WatchEvent[]): WatchResponse => {
  return { ...CREATED, revision, isCreated: false, events }
}
const watch = (...responses: WatchResponse[]): WatchHistory => ({
  watcher: 0,
  member: 'm0',
  key: '\0',
  rangeEnd: '\0',
  startRevision: 1,
  prevKv: true,
  noPut: false,
  noDelete: false,
  responses: [CREATED, ...responses],
})

const A2 = version('a', 'x', 2, 2)
const A3 = version('a', 'y', 2, 3)
/** a=x at 2, a=y at 3, a deleted at 4. */
const WRITES = [
  operation([0, 1], put('a', 'x'), putAnswer(2)),
  operation([2, 3], put('a', 'y'), putAnswer(3, A2)),
  operation([6, 7], remove('a'), { revision: 4, deleted: 1, prevKvs: [A3] }),
]
const EVENTS = [putEvent(A2), putEvent(A3, A2), deleteEvent(A3, 4)] as const
const FIRST = told(2, EVENTS[0])
const WATCH = watch(FIRST, told(4, EVENTS[1], EVENTS[2]))
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
  fails(good(operation([4, 5], range('a'), rangeAnswer(3, A2))), /at revision 3 it should be/)
  fails(good(operation([4, 5], range('a', true), rangeAnswer(3, A2))), /at revision 3 it should be/)
})

test('a lost write: acknowledged, and in no watch', () => {
  fails(good(operation([8, 9], put('b', 'z'), putAnswer(5))), /no watch was told of revision 5/)
})

test('one revision for two writes', () => {
  fails(good(operation([2.1, 2.9], put('b', 'z'), putAnswer(3))), /revision 3 was given to two writes/)
})

test('a write without outcome took effect once, or never, but not twice', () => {
  const unknown = operation([8, 9], put('a', 'z'))
  holds(good(unknown))
  const A5 = version('a', 'z', 5, 5)
  const A6 = version('a', 'z', 5, 6)
  const once = [FIRST, told(5, EVENTS[1], EVENTS[2], putEvent(A5))]
  holds({ operations: [...WRITES, unknown], watches: [watch(...once)] })
  const twice = [...once, told(6, putEvent(A6, A5))]
  fails({ operations: [...WRITES, unknown], watches: [watch(...twice)] }, /nobody has made revision 6/)
  const later = operation([10, 11], range('a'), rangeAnswer(5, A5))
  const called = operation([12, 13], put('a', 'z'))
  fails({ operations: [...WRITES, later, called], watches: [watch(...once)] }, /nobody has made revision 5/)
})

test('of calls without outcome each makes one revision at most, whoever may have made which', () => {
  const [B5, B7] = [version('b', 'v', 5, 5), version('b', 'w', 7, 7)]
  const puts = [operation([8, 9], put('b', 'v'), putAnswer(5)), operation([10, 11], put('b', 'w'), putAnswer(7))]
  const [one, other] = [operation([8, 20], remove('b')), operation([8, 20], remove('b'))]
  const responses = [
    ...WATCH.responses.slice(1),
    told(8, putEvent(B5), deleteEvent(B5, 6), putEvent(B7), deleteEvent(B7, 8)),
  ]
  holds({ operations: [...WRITES, ...puts, one, other], watches: [watch(...responses)] })
  fails({ operations: [...WRITES, ...puts, one], watches: [watch(...responses)] }, /nobody has made revision 8/)
})

test('a change that nobody asked for, and one that is missing from every watch', () => {
  fails({ operations: WRITES.slice(0, 2), watches: [WATCH] }, /nobody has made revision 4/)
  fails({ operations: WRITES, watches: [watch(told(4, ...EVENTS.slice(1)))] }, /no watch was told of revision 2/)
})

const GRANT = operation([-1, 0], { kind: 'grant', id: '9', ttlSeconds: 5 }, { revision: 1 })

test('the keys of a lease go together, as one change of its own', () => {
  const [kv, other] = [version('k', 'v', 2, 2, '9'), version('l', 'v', 3, 3, '9')]
  const operations = [
    GRANT,
    operation([0, 1], put('k', 'v', '9'), putAnswer(2)),
    operation([2, 3], put('l', 'v', '9'), putAnswer(3)),
  ]
  const puts = [told(3, putEvent(kv), putEvent(other))]
  holds({ operations, watches: [watch(...puts, told(4, deleteEvent(kv, 4), deleteEvent(other, 4)))] })
  fails({ operations, watches: [watch(...puts, told(4, deleteEvent(kv, 4)))] }, /nobody has made revision 4/)
})

test('a put with a lease that had been revoked', () => {
  const revoke = operation([0, 1], { kind: 'revoke', id: '9' }, { revision: 1 })
  const late = operation([2, 3], put('k', 'v', '9'), putAnswer(2))
  fails(
    { operations: [GRANT, revoke, late], watches: [watch(told(2, putEvent(version('k', 'v', 2, 2, '9'))))] },
    /revoked/,
  )
})

test('a txn whose branch does not fit its compares', () => {
  const request: Request = {
    kind: 'txn',
    compares: [{ key: 'a', target: 'mod', result: '=', operand: 2 }],
    success: [{ kind: 'put', key: 'b', value: 'z', lease: NO_LEASE, prevKv: false }],
    failure: [{ kind: 'range', key: 'a', rangeEnd: '', revision: 0, serializable: false }],
  }
  const answer = (succeeded: boolean, ...responses: Answer[]): Answer => ({ revision: 3, succeeded, responses })
  holds(good(operation([4, 5], request, answer(false, { kvs: [A3], count: 1 }))))
  fails(good(operation([4, 5], request, answer(true))), /revision 3 was given to two writes/)
})

const watchFailures: readonly (readonly [string, WatchHistory, RegExp])[] = [
  ['a gap', watch(FIRST, told(4, EVENTS[2])), /revision 3 was skipped/],
  ['a repeat', watch(told(3, EVENTS[0], EVENTS[1]), told(4, EVENTS[1], EVENTS[2])), /an event of revision 3 after/],
  ['events out of order', watch(told(4, EVENTS[1], EVENTS[0], EVENTS[2])), /revision 2 was skipped/],
  ['progress beyond what was told', watch(told(3, EVENTS[0], EVENTS[1]), told(4)), /but revision 4 was not told/],
  ['a header that goes back', watch(told(4, ...EVENTS), told(3)), /goes back from header revision 4 to 3/],
  ['an event from its own future', watch(told(3, ...EVENTS)), /revision 4 under a header of 3/],
  ['what comes before its start', { ...WATCH, startRevision: 3 }, /an event of revision 2 after everything through 2/],
  [
    'an end without a reason',
    watch({ ...told(4), isCanceled: true, compactRevision: 1 }),
    /cancelled as compacted at 1/,
  ],
  [
    'a wrong previous version',
    watch(told(4, EVENTS[0], putEvent(A3, A3), EVENTS[2])),
    /revision 3, key a: told before/,
  ],
]
for (const [name, broken, problem] of watchFailures)
  test(`a watch with ${name}, beside one that is right`, () => {
    fails({ operations: WRITES, watches: [WATCH, broken] }, problem)
  })

test('a previous version that no state had, told by every watch', () => {
  const wrong = watch(told(4, EVENTS[0], putEvent(A3, A3), EVENTS[2]))
  fails({ operations: WRITES, watches: [wrong] }, /told before/)
})
