import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AlarmRequest, AlarmType, LeaseGrantRequest } from '../proto/generated/etcd/rpc.ts'
import { costOfPut, costOfTxn, LEASE_COST_BYTES, listAlarms, refuseByAlarm } from './alarms.ts'
import { MemoryBackend } from './memory-backend.ts'
import { range } from './range.ts'
import { Store } from './store.ts'
import {
  applyNext,
  compactTo,
  deleteRange,
  opDelete,
  opPut,
  opRange,
  opTxn,
  put,
  putRequest,
  rangeRequest,
  txn,
  txnRequest,
} from './testing/requests.ts'

const { NONE, NOSPACE, CORRUPT } = AlarmType
const ACTIONS = { get: 0, activate: 1, deactivate: 2 } as const

/** What the alarm command answers: `type@member` for each alarm. */
function alarm(store: Store, action: keyof typeof ACTIONS | number, type: number, memberID = 0n): readonly string[] {
  const code = typeof action === 'number' ? action : ACTIONS[action]
  const request = { action: code, memberID, alarm: type } as AlarmRequest
  const result = applyNext(store, 'alarm', AlarmRequest.encode(request).finish())
  assert.ok(result.ok && result.value.kind === 'alarm')
  return result.value.alarms.map((raised) => `${raised.alarm}@${raised.memberID}`)
}

const newStore = (): Store => new Store(new MemoryBackend())
const why = (result: ReturnType<typeof put>): string => (result.ok ? 'taken' : result.error.kind)

test('raising twice and clearing what is not raised answer as in etcd (server/etcdserver/apply: Alarm)', () => {
  const store = newStore()
  assert.deepEqual(alarm(store, 'get', NONE), [])
  assert.deepEqual(alarm(store, 'deactivate', NOSPACE, 7n), [])
  assert.deepEqual(alarm(store, 'activate', NOSPACE, 7n), ['1@7'])
  assert.deepEqual(alarm(store, 'activate', NOSPACE, 7n), ['1@7'], 'named again')
  assert.deepEqual(alarm(store, 'activate', CORRUPT, 9n), ['2@9'])
  assert.deepEqual(alarm(store, 'get', NONE), ['1@7', '2@9'])
  assert.deepEqual(alarm(store, 'get', CORRUPT), ['2@9'])
  assert.deepEqual(alarm(store, 'deactivate', CORRUPT, 7n), [], 'another member’s alarm of that type')
  assert.deepEqual(alarm(store, 'deactivate', NOSPACE, 7n), ['1@7'])
  assert.deepEqual(alarm(store, 'get', NONE), ['2@9'])
})

test('the type NONE, types and actions of a newer version raise and clear nothing', () => {
  const store = newStore()
  for (const type of [NONE, 3, 255, 256 + NOSPACE]) assert.deepEqual(alarm(store, 'activate', type, 1n), [])
  alarm(store, 'activate', NOSPACE, 1n)
  assert.deepEqual(alarm(store, 'deactivate', NONE, 1n), [])
  assert.deepEqual(alarm(store, 3, NOSPACE, 1n), [])
  assert.deepEqual(alarm(store, 'get', NONE), ['1@1'])
})

test('an alarm changes no revision, and bytes that are no request change nothing', () => {
  const store = newStore()
  alarm(store, 'activate', NOSPACE, 1n)
  assert.equal(store.revision, 1)
  assert.equal(why(applyNext(store, 'alarm', Buffer.of(0xff))), 'malformed-request')
})

test('alarms are read again from what was committed, of IDs from 0 to the greatest', async () => {
  const backend = new MemoryBackend()
  const store = new Store(backend)
  const ids = [0n, 1n, 2n ** 63n, 2n ** 64n - 1n]
  for (const id of ids) alarm(store, 'activate', CORRUPT, id)
  alarm(store, 'deactivate', CORRUPT, 1n)
  await store.commit()
  const expected = [0n, 2n ** 63n, 2n ** 64n - 1n].map((memberID) => ({ memberID, alarm: CORRUPT }))
  assert.deepEqual(listAlarms(new Store(backend).alarms), expected)
})

test('NOSPACE refuses what needs room, and nothing else', () => {
  const store = newStore()
  put(store, 'a', '1')
  put(store, 'b', '1')
  alarm(store, 'activate', NOSPACE, 1n)
  assert.equal(why(put(store, 'a', '2')), 'no-space')
  assert.equal(why(put(store, '', '2')), 'no-space', 'before anything else is looked at, as in etcd')
  assert.equal(why(txn(store, [opRange('a'), opDelete('b')], [opPut('c')])), 'no-space', 'a put in either branch')
  assert.equal(why(txn(store, [opTxn(txnRequest([opPut('c')]))])), 'no-space')
  assert.equal(why(txn(store, [opRange('a'), opDelete('b')])), 'taken')
  assert.equal(why(deleteRange(store, 'a')), 'taken')
  assert.equal(why(compactTo(store, store.revision)), 'taken')
  assert.ok(range(store, rangeRequest('a')).ok)
  assert.equal(refuseByAlarm(store.alarms, 'lease-grant')?.kind, 'no-space')
  assert.equal(refuseByAlarm(store.alarms, 'lease-revoke'), undefined)
  alarm(store, 'deactivate', NOSPACE, 1n)
  assert.equal(why(put(store, 'a', '2')), 'taken')
})

test('one member with NOSPACE is enough; it holds until the last one is cleared', () => {
  const store = newStore()
  alarm(store, 'activate', NOSPACE, 1n)
  alarm(store, 'activate', NOSPACE, 2n)
  alarm(store, 'deactivate', NOSPACE, 1n)
  assert.equal(why(put(store, 'a')), 'no-space')
  alarm(store, 'deactivate', NOSPACE, 2n)
  assert.equal(why(put(store, 'a')), 'taken')
})

test('CORRUPT refuses every change, reads of the store go on (server/etcdserver/apply/corrupt.go)', () => {
  const store = newStore()
  put(store, 'a', '1')
  alarm(store, 'activate', CORRUPT, 1n)
  alarm(store, 'activate', NOSPACE, 1n)
  assert.equal(why(put(store, 'a', '2')), 'corrupt')
  assert.equal(why(txn(store, [opRange('a')])), 'corrupt')
  assert.equal(why(deleteRange(store, 'a')), 'corrupt')
  assert.equal(why(compactTo(store, 2)), 'corrupt')
  for (const kind of ['lease-grant', 'lease-revoke']) assert.equal(refuseByAlarm(store.alarms, kind)?.kind, 'corrupt')
  assert.ok(range(store, rangeRequest('a')).ok)
  assert.deepEqual(alarm(store, 'deactivate', CORRUPT, 1n), ['2@1'])
})

test('costs are etcd’s estimates (server/storage/quota.go)', () => {
  assert.equal(costOfPut(putRequest('key', 'value')), 256 + 3 + 5)
  assert.equal(costOfTxn(txnRequest([opPut('a', '1'), opPut('b', '')], [opPut('c', 'xx')])), 258 + 257)
  assert.equal(costOfTxn(txnRequest([opPut('a')], [opTxn(txnRequest([opPut('b', 'xx')]))])), 259)
  assert.equal(costOfTxn(txnRequest([opDelete('a'), opRange('b')])), 0)
  assert.equal(LEASE_COST_BYTES, 64)
  assert.ok(LeaseGrantRequest.encode({ TTL: 1n, ID: 1n }).finish().length < LEASE_COST_BYTES)
})
