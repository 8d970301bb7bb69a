import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY, step, type State } from './model.ts'
import type { KeyValue, Request } from './operation.ts'
import { watchProblem, type WatchEvent, type WatchHistory, type WatchResponse } from './watches.ts'

const put = (key: string, value: string): Extract<Request, { kind: 'put' }> => ({
  kind: 'put',
  key,
  value,
  lease: '0',
  prevKv: false,
})

/** 2: a=1. 3: b=1 and c=1. 4: a=2. 5: b deleted. 6: a=3. */
const REQUESTS: readonly Request[] = [
  put('a', '1'),
  { kind: 'txn', compares: [], success: [put('b', '1'), put('c', '1')], failure: [] },
  put('a', '2'),
  { kind: 'delete', key: 'b', rangeEnd: '', prevKv: false },
  put('a', '3'),
]

function statesOf(requests: readonly Request[]): ReadonlyMap<number, State> {
  let state = EMPTY
  const states = new Map([[state.revision, state]])
  for (const request of requests) {
    const result = step(state, request, () => undefined)
    assert.ok(result.kind === 'done')
    state = result.state
    states.set(state.revision, state)
  }
  return states
}

const STATES = statesOf(REQUESTS)
const keyAt = (revision: number, key: string): KeyValue | undefined => STATES.get(revision)?.keys.get(key)

function event(revision: number, key: string, fields: Partial<WatchEvent> = {}): WatchEvent {
  const kv = keyAt(revision, key)
  const gone = { key, value: '', createRevision: 0, modRevision: revision, version: 0, lease: '0' }
  return { kind: kv === undefined ? 'delete' : 'put', kv: kv ?? gone, prevKv: keyAt(revision - 1, key), ...fields }
}

const response = (revision: number, fields: Partial<WatchResponse>): WatchResponse => ({
  at: revision,
  revision,
  isCreated: false,
  isCanceled: false,
  compactRevision: 0,
  isFragment: false,
  events: [],
  ...fields,
})
const created = response(1, { isCreated: true })
const events = (revision: number, ...told: readonly WatchEvent[]): WatchResponse => response(revision, { events: told })

function problem(responses: readonly WatchResponse[], fields: Partial<WatchHistory> = {}): string | undefined {
  const watch = { watcher: 1, member: 'm1', key: 'a', rangeEnd: 'z', startRevision: 2, prevKv: true }
  return watchProblem(
    { ...watch, noPut: false, noDelete: false, ...fields, responses: [created, ...responses] },
    STATES,
  )?.split('\n')[0]
}

const ALL = [
  events(2, event(2, 'a')),
  events(4, event(3, 'b'), event(3, 'c'), event(4, 'a')),
  events(6, event(5, 'b'), event(6, 'a')),
]

test('a watch that tells everything, in order, is right', () => {
  assert.equal(problem(ALL), undefined)
  assert.equal(problem(ALL.slice(1), { startRevision: 3 }), undefined)
  assert.equal(problem([events(6, event(4, 'a'), event(6, 'a'))], { startRevision: 3, rangeEnd: '' }), undefined)
  assert.equal(problem([events(5, event(5, 'b'))], { noPut: true }), undefined)
  const half = response(3, { isFragment: true, events: [event(3, 'b')] })
  assert.equal(problem([half, events(3, event(3, 'c'))], { startRevision: 3 }), undefined)
  assert.equal(problem([response(5, {})], { key: 'x', rangeEnd: '' }), undefined)
  assert.equal(problem([response(6, { isCanceled: true, compactRevision: 5 })]), undefined)
  assert.equal(problem(ALL.slice(0, 2), { mustTellThrough: 4 }), undefined)
  assert.equal(problem([], { key: 'b', rangeEnd: '', startRevision: 4, mustTellThrough: 4 }), undefined)
  assert.equal(problem([response(6, { isCanceled: true, compactRevision: 5 })], { mustTellThrough: 6 }), undefined)
})

const WRONG: Readonly<Record<string, readonly [readonly WatchResponse[], Partial<WatchHistory>?]>> = {
  'revision 2 was skipped': [ALL.slice(1)],
  'an event of revision 2 after everything through 2': [[events(2, event(2, 'a')), events(2, event(2, 'a'))]],
  'revision 3 was skipped': [[ALL[0] ?? created, events(4, event(4, 'a'), event(3, 'b'), event(3, 'c'))]],
  'revision 3 has 2 events for this watch, it was told 1': [[events(3, event(3, 'b'))], { startRevision: 3 }],
  'revision 5, key b: a put was told, it was a delete': [
    [events(5, event(5, 'b', { kind: 'put' }))],
    { startRevision: 5 },
  ],
  'a progress notification at 4, but revision 2 was not told': [[response(4, {})]],
  'a progress notification at 4, but what the watch tells is above 5': [[response(4, {})], { startRevision: 6 }],
  'revision 5 was never told': [ALL.slice(0, 2), { mustTellThrough: 6 }],
  'revision 2 has 0 events for this watch, it was told 1': [[events(2, event(2, 'a'))], { noPut: true }],
  'an event of revision 4 under a header of 3': [[events(3, event(4, 'a'))], { startRevision: 4 }],
  'revision 3: key c was told for b': [[events(3, event(3, 'c'), event(3, 'b'))], { startRevision: 3 }],
  'a header of 1 after one of 2': [[events(2, event(2, 'a')), response(1, {})]],
  'an answer after the watch was cancelled': [[response(0, { isCanceled: true, compactRevision: 3 }), ...ALL]],
  'cancelled as compacted at 2, but it had got everything through 1': [
    [response(6, { isCanceled: true, compactRevision: 2 })],
  ],
}
for (const [expected, [responses, fields]] of Object.entries(WRONG))
  test(`a watch is wrong: ${expected}`, () => assert.equal(problem(responses, fields), expected))

test('values, versions and what was there before are compared whole', () => {
  const wrongValue = event(4, 'a')
  const kv = { ...wrongValue.kv, version: 1 }
  assert.match(problem([events(4, { ...wrongValue, kv })], { startRevision: 4 }) ?? '', /^revision 4, key a: told/)
  const wrongBefore = { ...wrongValue, prevKv: wrongValue.kv }
  assert.match(problem([events(4, wrongBefore)], { startRevision: 4 }) ?? '', /^revision 4, key a: told before/)
  const without = { ...wrongValue, prevKv: undefined }
  assert.match(problem([events(4, without)], { startRevision: 4 }) ?? '', /told nothing before/)
})
