/** Corners of the model and of the search, each with a history that is right and, mostly, one beside it that is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyProblem } from './check.ts'
import { generate } from './generate.ts'
import { checkLinearizable } from './linearizability.ts'
import { EMPTY, step } from './model.ts'
import type { Answer, KeyValue, Operation, Outcome, PutRequest, RangeRequest, Request } from './operation.ts'
import type { WatchHistory } from './watches.ts'

const put = (key: string, value: string, fields: Partial<PutRequest> = {}): PutRequest => ({
  kind: 'put',
  key,
  value,
  lease: '0',
  prevKv: false,
  ...fields,
})
const get = (key: string, fields: Partial<RangeRequest> = {}): RangeRequest => ({
  kind: 'range',
  key,
  rangeEnd: '',
  revision: 0,
  serializable: false,
  ...fields,
})
const kv = (key: string, value: string, modRevision: number, fields: Partial<KeyValue> = {}): KeyValue => ({
  key,
  value,
  createRevision: modRevision,
  modRevision,
  version: 1,
  lease: '0',
  ...fields,
})
const told = (answer: Answer): Outcome => ({ kind: 'answer', answer })
const UNKNOWN: Outcome = { kind: 'unknown' }

let clock = 0
/** At an instant of its own, after all that were made before it. */
function one(request: Request, outcome: Outcome): Operation {
  clock += 2
  return { client: 1, member: 'm1', call: clock, return: clock + 1, request, outcome }
}
function at(call: number, request: Request, outcome: Outcome): Operation {
  return { ...one(request, outcome), call, return: call + 1 }
}
const verdictOf = (...operations: readonly Operation[]): string => checkLinearizable(operations).kind

test('compares of an inner txn look at the state before the whole txn (etcd)', () => {
  const inner = (succeeded: boolean): Operation =>
    one(
      {
        kind: 'txn',
        compares: [],
        success: [
          put('a', '1'),
          {
            kind: 'txn',
            compares: [{ key: 'a', target: 'version', result: '=', operand: 0 }],
            success: [get('a')],
            failure: [],
          },
        ],
        failure: [],
      },
      told({ revision: 2, succeeded: true, responses: [{}, { succeeded, ...(succeeded ? {} : { responses: [] }) }] }),
    )
  assert.equal(verdictOf(inner(true)), 'linearizable')
  assert.equal(verdictOf(inner(false)), 'violation')
})

test('a range in a txn sees its writes, and not when it names the revision before', () => {
  const txn = (second: Answer): Operation =>
    one(
      { kind: 'txn', compares: [], success: [put('a', '2'), get('a'), get('a', { revision: 2 })], failure: [] },
      told({
        revision: 3,
        succeeded: true,
        responses: [{}, { kvs: [kv('a', '2', 3, { createRevision: 2, version: 2 })] }, second],
      }),
    )
  const first = one(put('a', '1'), told({ revision: 2 }))
  assert.equal(verdictOf(first, txn({ kvs: [kv('a', '1', 2)] })), 'linearizable')
  assert.equal(verdictOf(first, txn({ kvs: [kv('a', '2', 3, { createRevision: 2, version: 2 })] })), 'violation')
})

test('a compare of a range must hold for every key in it', () => {
  const writes = [one(put('a', '1'), told({ revision: 2 })), one(put('b', '2'), told({ revision: 3 }))]
  const compares = [{ key: 'a', rangeEnd: 'z', target: 'mod', result: '<', operand: 3 }] as const
  const txn = (succeeded: boolean): Operation =>
    one({ kind: 'txn', compares, success: [], failure: [] }, told({ revision: 3, succeeded, responses: [] }))
  assert.equal(verdictOf(...writes, txn(false)), 'linearizable')
  assert.equal(verdictOf(...writes, txn(true)), 'violation')
})

test('a limit cuts the page and not the count', () => {
  const writes = [one(put('a', '1'), told({ revision: 2 })), one(put('b', '2'), told({ revision: 3 }))]
  const page = (count: number): Operation =>
    one(get('a', { rangeEnd: 'z', limit: 1 }), told({ revision: 3, kvs: [kv('a', '1', 2)], count }))
  assert.equal(verdictOf(...writes, page(2)), 'linearizable')
  assert.equal(verdictOf(...writes, page(1)), 'violation')
  const counted = one(get('a', { rangeEnd: 'z', countOnly: true }), told({ revision: 3, kvs: [], count: 2 }))
  assert.equal(verdictOf(...writes, counted), 'linearizable')
})

test('ignore_value keeps the value, ignore_lease the lease, and both need the key', () => {
  const grant = one({ kind: 'grant', id: '7', ttlSeconds: 60 }, told({ revision: 1 }))
  const first = one(put('a', '1', { lease: '7' }), told({ revision: 2 }))
  const kept = one(put('a', '', { ignoreValue: true, ignoreLease: true }), told({ revision: 3 }))
  const after = (value: string): Operation =>
    one(get('a'), told({ revision: 3, kvs: [kv('a', value, 3, { createRevision: 2, version: 2, lease: '7' })] }))
  assert.equal(verdictOf(grant, first, kept, after('1')), 'linearizable')
  assert.equal(verdictOf(grant, first, kept, after('')), 'violation')
  const refused = (): Operation =>
    one(put('b', '', { ignoreValue: true }), { kind: 'refusal', refusal: 'key-not-found' })
  assert.equal(verdictOf(refused()), 'linearizable')
  assert.equal(verdictOf(one(put('b', '1'), told({ revision: 2 })), refused()), 'violation')
})

test('what was tried is remembered with versions: equal values can have come about in other ways', () => {
  const lost = [
    one(put('a', 'x'), UNKNOWN),
    one(put('a', 'w'), UNKNOWN),
    one({ kind: 'delete', key: 'a', rangeEnd: '', prevKv: false }, UNKNOWN),
    one(put('a', 'y'), UNKNOWN),
  ]
  const read = (version: number, createRevision: number): Operation =>
    one(get('a'), told({ revision: 5, kvs: [kv('a', 'y', 5, { createRevision, version })], count: 1 }))
  assert.equal(verdictOf(...lost, read(2, 4)), 'linearizable')
  assert.equal(verdictOf(...lost, read(1, 5)), 'linearizable')
  assert.equal(verdictOf(...lost, read(3, 4)), 'violation')
})

test('a lease that ended without keys lets its ID be granted again, and that one ends by its own time', () => {
  const grant = { kind: 'grant', id: '7', ttlSeconds: 2 } as const
  const again = [at(0, grant, told({ revision: 1 })), at(3000, grant, told({ revision: 1 }))]
  assert.equal(verdictOf(...again), 'linearizable')
  const tooSoon = [at(0, grant, told({ revision: 1 })), at(1000, grant, told({ revision: 1 }))]
  assert.equal(verdictOf(...tooSoon), 'violation')
  const attached = [...again, at(3100, put('a', '1', { lease: '7' }), told({ revision: 2 }))]
  const gone = (call: number): Operation => at(call, get('a'), told({ revision: 3, kvs: [], count: 0 }))
  assert.equal(verdictOf(...attached, gone(5100)), 'linearizable')
  assert.equal(verdictOf(...attached, gone(4000)), 'violation')
})

test('what only a watch or a serializable read has seen of the end has happened', () => {
  const operations = [one(put('a', '1'), told({ revision: 2 })), one(put('a', '2'), UNKNOWN)]
  const second = kv('a', '2', 3, { createRevision: 2, version: 2 })
  const response = { at: 0, isCanceled: false, compactRevision: 0, isFragment: false }
  const watch: WatchHistory = {
    watcher: 1,
    member: 'm1',
    key: 'a',
    rangeEnd: '',
    startRevision: 3,
    prevKv: false,
    noPut: false,
    noDelete: false,
    responses: [
      { ...response, revision: 2, isCreated: true, events: [] },
      { ...response, revision: 3, isCreated: false, events: [{ kind: 'put', kv: second, prevKv: undefined }] },
    ],
  }
  assert.equal(historyProblem({ operations, watches: [watch] }), undefined)
  assert.match(historyProblem({ operations: operations.slice(0, 1), watches: [watch] }) ?? '', /not linearizable/)
  const read = one(get('a', { serializable: true }), told({ revision: 3, kvs: [second], count: 1 }))
  assert.equal(verdictOf(...operations, read), 'linearizable')
  assert.equal(verdictOf(...operations.slice(0, 1), read), 'violation')
})

test('of two leases that end by themselves, the one whose key a watch saw deleted ended at that revision', () => {
  const grant = (id: string): Request => ({ kind: 'grant', id, ttlSeconds: 1 })
  const operations = [
    at(0, grant('7'), told({ revision: 1 })),
    at(1, grant('8'), told({ revision: 1 })),
    at(2, put('a', '1', { lease: '7' }), told({ revision: 2 })),
    at(3, put('b', '1', { lease: '8' }), told({ revision: 3 })),
    at(3000, get('c'), told({ revision: 5, kvs: [], count: 0 })),
  ]
  const response = { at: 0, isCanceled: false, compactRevision: 0, isFragment: false }
  const deletionOf = (key: string, revision: number): WatchHistory => ({
    watcher: 1,
    member: 'm1',
    key,
    rangeEnd: '',
    startRevision: 4,
    prevKv: false,
    noPut: false,
    noDelete: false,
    responses: [
      { ...response, revision: 3, isCreated: true, events: [] },
      {
        ...response,
        revision,
        isCreated: false,
        events: [{ kind: 'delete', kv: kv(key, '', revision), prevKv: undefined }],
      },
    ],
  })
  for (const key of ['a', 'b'])
    for (const revision of [4, 5])
      assert.equal(historyProblem({ operations, watches: [deletionOf(key, revision)] }), undefined)
  const both = [deletionOf('a', 4), deletionOf('b', 4)]
  assert.match(historyProblem({ operations, watches: both }) ?? '', /not linearizable/)
})

test('a compaction of unknown outcome may have taken the previous value that a watch is not told', () => {
  const operations = [
    one(put('a', '1'), told({ revision: 2 })),
    one(put('a', '2'), told({ revision: 3 })),
    one({ kind: 'compact', revision: 3 }, UNKNOWN),
  ]
  const second = kv('a', '2', 3, { createRevision: 2, version: 2 })
  const response = { at: 0, isCanceled: false, compactRevision: 0, isFragment: false }
  const watch: WatchHistory = {
    watcher: 1,
    member: 'm1',
    key: 'a',
    rangeEnd: '',
    startRevision: 3,
    prevKv: true,
    noPut: false,
    noDelete: false,
    responses: [
      { ...response, revision: 3, isCreated: true, events: [] },
      { ...response, revision: 3, isCreated: false, events: [{ kind: 'put', kv: second, prevKv: undefined }] },
    ],
  }
  assert.equal(historyProblem({ operations, watches: [watch] }), undefined)
  const uncompacted = { operations: operations.slice(0, 2), watches: [watch] }
  assert.match(historyProblem(uncompacted) ?? '', /told nothing before/)
})

test('of two puts without an answer the one happened that a watch of deletions was told of as what was before', () => {
  for (const value of ['1', '2']) {
    const operations: readonly Operation[] = [
      one(put('a', '1'), UNKNOWN),
      one(put('a', '2'), UNKNOWN),
      one({ kind: 'delete', key: 'a', rangeEnd: '', prevKv: false }, told({ revision: 3, deleted: 1 })),
    ]
    const response = { at: 0, isCanceled: false, compactRevision: 0, isFragment: false }
    const deleted = { kind: 'delete', kv: kv('a', '', 3), prevKv: kv('a', value, 2) } as const
    const watch: WatchHistory = {
      watcher: 1,
      member: 'm1',
      key: 'a',
      rangeEnd: '',
      startRevision: 2,
      prevKv: true,
      noPut: true,
      noDelete: false,
      responses: [
        { ...response, revision: 1, isCreated: true, events: [] },
        { ...response, revision: 3, isCreated: false, events: [deleted] },
      ],
    }
    assert.equal(historyProblem({ operations, watches: [watch] }), undefined, value)
  }
})

test('a txn, a delete and a revoke change keys in the order that watches must tell', () => {
  const order = (...requests: readonly Request[]): readonly string[] => {
    let state = EMPTY
    for (const request of requests) {
      const result = step(state, request, () => undefined)
      assert.ok(result.kind === 'done')
      state = result.state
    }
    return state.changes.map(({ key }) => key)
  }
  const grant = { kind: 'grant', id: '7', ttlSeconds: 60 } as const
  const puts = [put('c', '1', { lease: '7' }), put('a', '1', { lease: '7' })]
  const txn = { kind: 'txn', compares: [], success: puts, failure: [] } as const
  assert.deepEqual(order(grant, txn), ['c', 'a'])
  assert.deepEqual(order(grant, txn, { kind: 'delete', key: 'a', rangeEnd: 'z', prevKv: false }), ['a', 'c'])
  assert.deepEqual(order(grant, txn, { kind: 'revoke', id: '7' }), ['a', 'c'])
})

test('leases that may have ended cost nothing where nobody asks for them', () => {
  const ids = Array.from({ length: 30 }, (_, i) => String(i + 1))
  const grants = ids.map((id, i) => at(2 * i, { kind: 'grant', id, ttlSeconds: 1 }, told({ revision: 1 })))
  const wrong = [
    at(5000, { kind: 'revoke', id: '7' }, { kind: 'refusal', refusal: 'lease-not-found' }),
    at(5000, get('a'), told({ revision: 1, kvs: [kv('a', '1', 1)], count: 1 })),
  ]
  // Each set of ended leases is a state of its own: there are a thousand million of them.
  assert.equal(checkLinearizable([...grants, ...wrong], { maxSteps: 10_000 }).kind, 'violation')
})

/** Each makes one answer wrong in a way that no order can explain; undefined where it does not apply. */
const LIES: Readonly<Record<string, (answer: Answer) => Answer | undefined>> = {
  'a revision too high': ({ revision, ...rest }) =>
    revision === undefined ? undefined : { ...rest, revision: revision + 1000 },
  'a count too high': (answer) => (answer.count === undefined ? undefined : { ...answer, count: answer.count + 1 }),
  'a delete too many': (answer) =>
    answer.deleted === undefined ? undefined : { ...answer, deleted: answer.deleted + 1 },
  'a later version': (answer) => changeFirst(answer, (first) => ({ ...first, version: first.version + 1 })),
  'another creation': (answer) =>
    changeFirst(answer, (first) => ({ ...first, createRevision: first.createRevision + 500 })),
  'a lease': (answer) => changeFirst(answer, (first) => ({ ...first, lease: '424242' })),
  'a key that is missing': (answer) =>
    (answer.kvs ?? []).length === 0 ? undefined : { ...answer, kvs: answer.kvs?.slice(1) ?? [] },
}

function changeFirst(answer: Answer, change: (first: KeyValue) => KeyValue): Answer | undefined {
  const [first, ...rest] = answer.kvs ?? []
  return first === undefined ? undefined : { ...answer, kvs: [change(first), ...rest] }
}

for (const [name, lie] of Object.entries(LIES)) {
  test(`one lie among 120 operations is found: ${name}`, () => {
    let told = 0
    for (let seed = 1; seed <= 12; seed++) {
      const made = generate({ seed, operations: 120, clients: 5, unknown: 0.03 })
      for (const [at, operation] of made.entries()) {
        if (at < 20 + seed || operation.outcome.kind !== 'answer') continue
        const answer = lie(operation.outcome.answer)
        if (answer === undefined) continue
        const wrong = made.with(at, { ...operation, outcome: { kind: 'answer', answer } })
        assert.equal(checkLinearizable(wrong).kind, 'violation', `seed ${seed}, operation ${at}`)
        told += 1
        break
      }
    }
    assert.equal(told, 12)
  })
}
