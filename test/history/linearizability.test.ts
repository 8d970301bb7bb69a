import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generate } from './generate.ts'
import { checkLinearizable } from './linearizability.ts'
import { agrees, EMPTY, step, type State } from './model.ts'
import type { Answer, KeyValue, Operation, Outcome, Request } from './operation.ts'

const kv = (key: string, value: string, modRevision: number, fields: Partial<KeyValue> = {}): KeyValue => ({
  key,
  value,
  createRevision: modRevision,
  modRevision,
  version: 1,
  lease: '0',
  ...fields,
})
const put = (key: string, value: string, lease = '0'): Request => ({ kind: 'put', key, value, lease, prevKv: false })
const get = (key: string, serializable = false): Request => ({
  kind: 'range',
  key,
  rangeEnd: '',
  revision: 0,
  serializable,
})
const remove = (key: string): Request => ({ kind: 'delete', key, rangeEnd: '', prevKv: false })
const told = (answer: Answer): Outcome => ({ kind: 'answer', answer })
const found = (revision: number, ...kvs: KeyValue[]): Outcome => told({ revision, kvs, count: kvs.length })
const UNKNOWN: Outcome = { kind: 'unknown' }

/** `[from, to, request, outcome]`, each of a client of its own. */
type Row = readonly [number, number, Request, Outcome]
const history = (rows: readonly Row[]): Operation[] =>
  rows.map(([call, end, request, outcome], client) => ({ client, member: 'm1', call, return: end, request, outcome }))

const verdictOf = (rows: readonly Row[]): string => checkLinearizable(history(rows)).kind

const GOOD: Readonly<Record<string, readonly Row[]>> = {
  'one after the other': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, get('a'), found(2, kv('a', '1', 2))],
    [4, 5, remove('a'), told({ revision: 3, deleted: 1 })],
    [6, 7, get('a'), found(3)],
  ],
  'a read beside a write sees it or does not': [
    [0, 9, put('a', '1'), told({ revision: 2 })],
    [1, 2, get('a'), found(1)],
    [3, 4, get('a'), found(2, kv('a', '1', 2))],
  ],
  'a write of unknown outcome takes effect late': [
    [0, 1, put('a', '1'), UNKNOWN],
    [2, 3, get('a'), found(1)],
    [4, 5, get('a'), found(2, kv('a', '1', 2))],
  ],
  'or never': [
    [0, 1, put('a', '1'), UNKNOWN],
    [2, 3, put('b', '2'), told({ revision: 2 })],
    [4, 5, get('a'), found(2)],
  ],
  'a serializable read tells which of two unknown outcomes took place': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, remove('a'), UNKNOWN],
    [2, 3, put('b', '2'), UNKNOWN],
    [4, 5, put('c', '3'), told({ revision: 4 })],
    [6, 7, get('a', true), found(4, kv('a', '1', 2))],
  ],
  'a lease ends by itself and takes its keys': [
    [0, 1, { kind: 'grant', id: '7', ttlSeconds: 1 }, told({ revision: 1 })],
    [2, 3, put('a', '1', '7'), told({ revision: 2 })],
    [2000, 2001, get('a'), found(3)],
  ],
  'a serializable read may be old': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, put('a', '2'), told({ revision: 3 })],
    [4, 5, get('a', true), found(2, kv('a', '1', 2))],
  ],
}

const BAD: Readonly<Record<string, readonly Row[]>> = {
  'a stale read': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, put('a', '2'), told({ revision: 3 })],
    [4, 5, get('a'), found(2, kv('a', '1', 2))],
  ],
  'an acknowledged write that is lost': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, get('a'), found(1)],
  ],
  'a write that was applied twice': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, get('a'), found(3, kv('a', '1', 3, { createRevision: 2, version: 2 }))],
  ],
  'half of a txn': [
    [
      0,
      1,
      { kind: 'txn', compares: [], success: [put('a', '1'), put('b', '1')] as never, failure: [] },
      told({ revision: 2, succeeded: true, responses: [{}, {}] }),
    ],
    [2, 3, get('a'), found(2, kv('a', '1', 2))],
    [4, 5, get('b'), found(2)],
  ],
  'two writes of one revision': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [0, 1, put('b', '1'), told({ revision: 2 })],
  ],
  'a key that survives its lease': [
    [0, 1, { kind: 'grant', id: '7', ttlSeconds: 60 }, told({ revision: 1 })],
    [2, 3, put('a', '1', '7'), told({ revision: 2 })],
    [4, 5, { kind: 'revoke', id: '7' }, told({ revision: 3 })],
    [6, 7, get('a'), found(3, kv('a', '1', 2, { lease: '7' }))],
  ],
  'a lease that ends before its time': [
    [0, 1, { kind: 'grant', id: '7', ttlSeconds: 60 }, told({ revision: 1 })],
    [2, 3, put('a', '1', '7'), told({ revision: 2 })],
    [2000, 2001, get('a'), found(3)],
  ],
  'a lease that was renewed and ends by its first time': [
    [0, 1, { kind: 'grant', id: '7', ttlSeconds: 2 }, told({ revision: 1 })],
    [2, 3, put('a', '1', '7'), told({ revision: 2 })],
    [1500, 1501, { kind: 'renew', id: '7', ttlSeconds: 2 }, told({})],
    [2500, 2501, get('a'), found(3)],
  ],
  'a deleted key that comes back': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, remove('a'), told({ revision: 3, deleted: 1 })],
    [4, 5, get('a'), found(3, kv('a', '1', 2))],
  ],
  'a comparison that was not true': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [
      2,
      3,
      {
        kind: 'txn',
        compares: [{ key: 'a', target: 'version', result: '=', operand: 2 }],
        success: [],
        failure: [],
      },
      told({ revision: 2, succeeded: true, responses: [] }),
    ],
  ],
  'a write of unknown outcome that takes effect twice': [
    [0, 1, put('a', '1'), UNKNOWN],
    [2, 3, put('b', '1'), told({ revision: 3 })],
    [4, 5, get('a'), found(4, kv('a', '1', 4, { createRevision: 2, version: 2 }))],
  ],
  'a read below the compacted revision': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, put('a', '2'), told({ revision: 3 })],
    [4, 5, { kind: 'compact', revision: 3 }, told({ revision: 3 })],
    [6, 7, { ...get('a'), revision: 2 } as Request, told({ revision: 3, kvs: [kv('a', '1', 2)], count: 1 })],
  ],
  'a refusal without a reason': [
    [0, 1, { kind: 'grant', id: '7', ttlSeconds: 60 }, told({ revision: 1 })],
    [2, 3, put('a', '1', '7'), { kind: 'refusal', refusal: 'lease-not-found' }],
  ],
  'a serializable read of what never was': [
    [0, 1, put('a', '1'), told({ revision: 2 })],
    [2, 3, get('a', true), found(2)],
  ],
}

for (const [name, rows] of Object.entries(GOOD))
  test(`has an order: ${name}`, () => assert.equal(verdictOf(rows), 'linearizable'))
for (const [name, rows] of Object.entries(BAD))
  test(`has none: ${name}`, () => assert.equal(verdictOf(rows), 'violation'))

test('histories made on the model have an order, and one wrong answer takes it away', () => {
  let mutated = 0
  for (let seed = 1; seed <= 60; seed++) {
    const made = generate({ seed, operations: 200, clients: 6, unknown: 0.05 })
    assert.equal(checkLinearizable(made).kind, 'linearizable', `seed ${seed}`)
    const at = made.findIndex(({ outcome }, i) => i > seed && outcome.kind === 'answer' && outcome.answer.kvs?.[0])
    const operation = made[at]
    if (operation?.outcome.kind !== 'answer') continue
    const [first, ...rest] = operation.outcome.answer.kvs ?? []
    if (first === undefined) continue
    const answer = { ...operation.outcome.answer, kvs: [{ ...first, value: 'never written' }, ...rest] }
    const wrong = made.with(at, { ...operation, outcome: { kind: 'answer', answer } })
    assert.equal(checkLinearizable(wrong).kind, 'violation', `seed ${seed}, answer ${at}`)
    mutated += 1
  }
  assert.ok(mutated > 50, `${mutated} were changed`)
})

/** Every order of a handful of operations, without any cleverness. */
function bruteForce(operations: readonly Operation[]): boolean {
  const go = (state: State, left: readonly Operation[], past: ReadonlyMap<number, State>): boolean => {
    const needed = left.filter(({ outcome }) => outcome.kind !== 'unknown')
    if (needed.length === 0) return true
    const firstReturn = Math.min(...needed.map((operation) => operation.return))
    return left.some((operation) => {
      if (operation.call > firstReturn) return false
      const rest = left.filter((other) => other !== operation)
      const known = new Map(past).set(state.revision, state)
      const result = step(state, operation.request, (revision) => known.get(revision))
      const { outcome } = operation
      if (outcome.kind === 'unknown') return result.kind === 'done' && go(result.state, rest, known)
      if (result.kind === 'refused')
        return outcome.kind === 'refusal' && outcome.refusal === result.refusal && go(state, rest, known)
      return outcome.kind === 'answer' && agrees(outcome.answer, result.answer) && go(result.state, rest, known)
    })
  }
  return go(EMPTY, operations, new Map())
}

test('on small histories the verdict is that of trying every order', () => {
  const verdicts = { linearizable: 0, violation: 0 }
  for (let seed = 1; seed <= 400; seed++) {
    const made = generate({ seed, operations: 7, clients: 4, unknown: 0.3 })
    // Answers that belong to others: mostly wrong, now and then right.
    const answered = made.filter(({ outcome }) => outcome.kind === 'answer')
    const [first, second] = [answered[seed % 3], answered[(seed % 3) + 1]]
    const swapped =
      seed % 2 === 0 || first === undefined || second === undefined
        ? made
        : made.map((operation) => (operation === first ? { ...operation, outcome: second.outcome } : operation))
    const { kind } = checkLinearizable(swapped)
    assert.ok(kind !== 'gave-up')
    assert.equal(kind === 'linearizable', bruteForce(swapped), `seed ${seed}: ${JSON.stringify(swapped, null, 1)}`)
    verdicts[kind] += 1
  }
  assert.ok(verdicts.linearizable > 100 && verdicts.violation > 50, JSON.stringify(verdicts))
})

test('the search is bounded', () => {
  const made = generate({ seed: 1, operations: 500, clients: 6, unknown: 0.05 })
  assert.equal(checkLinearizable(made, { maxSteps: 10 }).kind, 'gave-up')
})
