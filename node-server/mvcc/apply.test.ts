import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyValue } from '../proto/generated/etcd/kv.ts'
import type { Compare } from '../proto/generated/etcd/rpc.ts'
import type { StoreError } from './errors.ts'
import { MemoryBackend } from './memory-backend.ts'
import { range } from './range.ts'
import type { ApplyResult } from './results.ts'
import { Store } from './store.ts'
import {
  applyNext,
  compactTo,
  deleteRange,
  nextPosition,
  opDelete,
  opPut,
  opRange,
  opTxn,
  put,
  rangeRequest,
  txn,
  txnRequest,
} from './testing/requests.ts'
import { advanceApplied } from './store.ts'
import { isReadOnlyTxn } from './txn.ts'

const newStore = (): Store => new Store(new MemoryBackend())

function value(result: ApplyResult): Extract<ApplyResult, { ok: true }>['value'] {
  assert.ok(result.ok, JSON.stringify(result))
  return result.value
}

function refusal(result: { ok: true } | { ok: false; error: StoreError }): StoreError['kind'] | 'none' {
  return result.ok ? 'none' : result.error.kind
}

function keysIn(store: Store, revision = 0): string {
  const result = range(store, rangeRequest('\0', '\0', { revision: BigInt(revision) }))
  assert.ok(result.ok)
  return result.value.kvs
    .map((kv) => `${KeyValue.decode(kv).key.toString()}=${KeyValue.decode(kv).value.toString()}`)
    .join(' ')
}

test('the store starts at revision 1; a put always makes one, what changes nothing does not', () => {
  const store = newStore()
  assert.equal(store.revision, 1)
  put(store, 'a', 'x')
  put(store, 'a', 'x')
  assert.equal(store.revision, 3)
  deleteRange(store, 'missing')
  txn(store, [opRange('a'), opDelete('missing')])
  compactTo(store, 2)
  put(store, 'b', '', { lease: 5n })
  assert.equal(store.revision, 3)
  assert.equal(store.appliedIndex, 6)
})

test('one revision per txn; the order of operations is the sub-revision', () => {
  const store = newStore()
  put(store, 'c', 'old')
  const result = value(txn(store, [opPut('b', '1'), opDelete('c'), opPut('a', '2')]))
  assert.equal(store.revision, 3)
  assert.ok(result.kind === 'txn')
  assert.deepEqual(
    result.responses.map(({ revision }) => revision),
    [3, 3, 3],
  )
  const changes = Array.from(store.buffer.scan('revisions', Buffer.of(0), undefined), ({ key }) =>
    Buffer.from(key).toString('hex'),
  )
  assert.deepEqual(changes.slice(1), [
    '000000000000000300000000',
    '000000000000000300000001',
    '000000000000000300000002',
  ])
})

test('ranges in a txn see its earlier writes, and only a change moves the revision that they name', () => {
  const store = newStore()
  const result = value(txn(store, [opRange('a'), opPut('a', '1'), opRange('a'), opTxn(txnRequest([opRange('a')]))]))
  assert.ok(result.kind === 'txn')
  const [before, , after, inner] = result.responses
  assert.ok(before?.kind === 'range' && after?.kind === 'range' && inner?.kind === 'txn')
  assert.deepEqual([before.count, before.revision, after.count, after.revision], [0, 1, 1, 2])
  assert.deepEqual([inner.revision, inner.responses[0]?.revision], [undefined, 2])
})

test('compares of inner txns look at the state before the outer one', () => {
  const store = newStore()
  const isMissing: Compare = {
    result: 0,
    target: 1,
    key: Buffer.from('a'),
    rangeEnd: Buffer.alloc(0),
    targetUnion: { $case: 'createRevision', value: 0n },
  }
  const inner = txnRequest([opPut('b', 'was missing')], [opPut('b', 'was there')], [isMissing])
  txn(store, [opPut('a', '1'), opTxn(inner)])
  assert.equal(keysIn(store), 'a=1 b=was missing')
})

test('a missing key: a value compare is false, the others compare with zero; no condition at all holds', () => {
  const store = newStore()
  const compare = (target: 0 | 1 | 2 | 3 | 4, targetUnion: Compare['targetUnion']): Compare => ({
    result: 0,
    target,
    key: Buffer.from('missing'),
    rangeEnd: Buffer.alloc(0),
    targetUnion,
  })
  const succeeded = (compares: Compare[]): boolean => {
    const result = value(txn(store, [], [], compares))
    return result.kind === 'txn' && result.succeeded
  }
  assert.equal(succeeded([compare(3, { $case: 'value', value: Buffer.alloc(0) })]), false)
  assert.equal(succeeded([{ ...compare(3, { $case: 'value', value: Buffer.from('x') }), result: 3 }]), false)
  assert.equal(succeeded([compare(0, { $case: 'version', value: 0n })]), true)
  assert.equal(succeeded([compare(2, { $case: 'modRevision', value: 0n })]), true)
  assert.equal(succeeded([compare(4, { $case: 'lease', value: 0n })]), true)
  assert.equal(succeeded([compare(2, undefined)]), true)
  assert.equal(succeeded([]), true)
})

test('a refused operation anywhere refuses the whole txn, and nothing of it is done', () => {
  const store = newStore()
  put(store, 'a', '1')
  const bad = [
    [opRange('a', '', { revision: 9n }), 'future-revision'],
    [opPut('missing', '', { ignoreValue: true }), 'key-not-found'],
    [opPut('b', '', { lease: 1n }), 'lease-not-found'],
    [opTxn(txnRequest([opRange('a', '', { revision: 3n })])), 'future-revision'],
    [opPut('x'), 'duplicate-key'],
    [{ request: undefined }, 'key-not-found'],
  ] as const
  for (const [operation, expected] of bad) {
    assert.equal(refusal(txn(store, [opPut('x', '1'), operation])), expected)
    assert.equal(keysIn(store), 'a=1')
    assert.equal(store.revision, 2)
  }
})

test('a put is refused alike on every member, whatever the API let through', () => {
  const store = newStore()
  assert.equal(refusal(put(store, '')), 'empty-key')
  assert.equal(refusal(put(store, 'a', 'v', { ignoreValue: true })), 'value-provided')
  assert.equal(refusal(put(store, 'a', '', { ignoreLease: true, lease: 1n })), 'lease-provided')
  assert.equal(refusal(put(store, 'a', '', { ignoreValue: true })), 'key-not-found')
  assert.equal(refusal(put(store, 'a', '', { lease: -1n })), 'lease-not-found')
  assert.equal(refusal(deleteRange(store, '')), 'empty-key')
  for (const kind of ['put', 'delete-range', 'txn', 'compact'] as const) {
    assert.equal(refusal(applyNext(store, kind, Buffer.from('0aff', 'hex'))), 'malformed-request')
  }
})

test('a key that no table can hold is simply not found', () => {
  const store = newStore()
  put(store, 'a', '1')
  const long = 'a'.repeat(5000)
  for (const request of [
    rangeRequest(long),
    rangeRequest(long, '', { revision: 1n }),
    rangeRequest(long, `${long}b`),
  ]) {
    const result = range(store, request)
    assert.ok(result.ok)
    assert.equal(result.value.count, 0)
  }
  assert.equal(value(deleteRange(store, long)).kind, 'delete-range')
})

test('ignore_value keeps the value; a key that was deleted begins again', () => {
  const store = newStore()
  put(store, 'a', 'kept')
  put(store, 'a', '', { ignoreValue: true })
  assert.equal(keysIn(store), 'a=kept')
  deleteRange(store, 'a')
  put(store, 'a', 'new')
  const result = range(store, rangeRequest('a'))
  assert.ok(result.ok)
  const { version, createRevision, modRevision } = KeyValue.decode(result.value.kvs[0] ?? Buffer.alloc(0))
  assert.deepEqual([version, createRevision, modRevision], [1n, 5n, 5n])
})

test('compaction: at or below the last one is compacted, above the current one is the future', () => {
  const store = newStore()
  for (const text of ['1', '2', '3']) put(store, 'a', text)
  assert.equal(refusal(compactTo(store, 5)), 'future-revision')
  assert.equal(refusal(compactTo(store, 3)), 'none')
  assert.equal(refusal(compactTo(store, 3)), 'compacted')
  assert.equal(refusal(range(store, rangeRequest('a', '', { revision: 2n }))), 'compacted')
  assert.equal(keysIn(store, 3), 'a=2')
  assert.equal(refusal(range(store, rangeRequest('a', '', { revision: 5n }))), 'future-revision')
})

test('entries are applied in order, each once', () => {
  const store = newStore()
  advanceApplied(store, nextPosition(store))
  const again = { ...nextPosition(store), index: store.appliedIndex }
  assert.throws(() => advanceApplied(store, again), /entry 1 after 1/)
})

test('a txn is read-only when no branch, inner ones included, could write', () => {
  assert.equal(isReadOnlyTxn(txnRequest([opRange('a')], [opTxn(txnRequest([opRange('b')]))])), true)
  assert.equal(isReadOnlyTxn(txnRequest([opRange('a')], [opPut('a')])), false)
  assert.equal(isReadOnlyTxn(txnRequest([opTxn(txnRequest([], [opDelete('a')]))])), false)
})
