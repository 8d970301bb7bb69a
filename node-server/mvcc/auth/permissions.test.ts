// Source of the rules: etcd's server/auth/store.go and etcdserver/apply/auth.go, 3.7.3.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
  CompactionRequest,
} from '../../proto/generated/etcd/rpc.ts'
import { MemoryBackend } from '../memory-backend.ts'
import { Store } from '../store.ts'
import { deleteRequest, opDelete, opPut, opRange, opTxn, putRequest, txnRequest } from '../testing/requests.ts'
import { addUser, applyAs, as, enableWith, grantPermission, said } from '../testing/users.ts'
import type { AuthInfo } from './state.ts'
import { refuseAccess, refuseLeaseKeys } from './permissions.ts'

const b = (text: string): Buffer => Buffer.from(text)
const LEASE = 7n

/** u reads a to c and writes b to d; v may do both everywhere below m. */
function twoUsers(): Store {
  const store = new Store(new MemoryBackend())
  enableWith(store, { u: [['READ', 'a', 'c'], ['WRITE', 'b', 'd']], v: [['READWRITE', '\0', 'm']] }) // prettier-ignore
  return store
}

type Ask = (who: string | AuthInfo | undefined) => string
const asking =
  (store: Store, kind: Parameters<typeof applyAs>[2], request: Uint8Array): Ask =>
  (who) =>
    said(applyAs(store, typeof who === 'string' ? as(store, who) : who, kind, request))
const put = (store: Store, ...args: Parameters<typeof putRequest>): Ask =>
  asking(store, 'put', PutRequest.encode(putRequest(...args)).finish())
const remove = (store: Store, ...args: Parameters<typeof deleteRequest>): Ask =>
  asking(store, 'delete-range', DeleteRangeRequest.encode(deleteRequest(...args)).finish())
const txn = (store: Store, ...args: Parameters<typeof txnRequest>): Ask =>
  asking(store, 'txn', TxnRequest.encode(txnRequest(...args)).finish())

test('a key is written by who may write it, and by root', () => {
  const store = twoUsers()
  assert.equal(put(store, 'b')('u'), 'ok')
  assert.equal(put(store, 'a')('u'), 'permission-denied')
  assert.equal(put(store, 'z')('root'), 'ok')
  assert.equal(put(store, 'b')('nobody'), 'permission-denied')
  assert.equal(put(store, 'b')(undefined), 'user-empty')
  assert.equal(store.revision, 3)
})

test('who was identified before users or roles changed is refused, root too; it counts when the entry is applied', () => {
  const store = twoUsers()
  const before = [as(store, 'u'), as(store, 'root')]
  assert.equal(addUser(store, 'w'), 'ok')
  for (const info of before) assert.equal(put(store, 'b')(info), 'auth-old-revision')
  assert.equal(put(store, 'b')({ username: 'u', revision: 0 }), 'user-empty')
  // A member that lags has seen less: the token of another is not old there.
  assert.equal(put(store, 'b')({ username: 'u', revision: store.auth.revision + 1 }), 'ok')
})

test('to see what was there before is to read it', () => {
  const store = twoUsers()
  assert.equal(put(store, 'c', '', { prevKv: true })('u'), 'permission-denied')
  assert.equal(put(store, 'b', '', { prevKv: true })('u'), 'ok')
  assert.equal(remove(store, 'c', '', true)('u'), 'permission-denied')
  assert.equal(remove(store, 'b', 'd', true)('u'), 'permission-denied')
  assert.equal(remove(store, 'b', 'd')('u'), 'ok')
  assert.equal(txn(store, [opPut('c', '', { prevKv: true })])('u'), 'permission-denied')
})

test('every operation of a txn counts, in the branch that does not run and however deep (etcd: GHSA-rfx7-8w68-q57q)', () => {
  const store = twoUsers()
  assert.equal(txn(store, [opPut('b')], [opPut('z')])('u'), 'permission-denied')
  assert.equal(
    txn(store, [opTxn(txnRequest([opTxn(txnRequest([opRange('a')], [opDelete('z')]))]))])('u'),
    'permission-denied',
  )
  assert.equal(txn(store, [opTxn(txnRequest([opTxn(txnRequest([opRange('a')], [opDelete('c')]))]))])('u'), 'ok')
  assert.equal(txn(store, [opDelete('c', '', true)])('u'), 'permission-denied')
  assert.equal(txn(store, [opRange('a', 'z')])('u'), 'permission-denied')
})

test('a put inside of a txn shows what was there, and attaches to a lease, for who may (etcd: GHSA-x35m-3gp4-4fh5)', () => {
  const store = twoUsers()
  applyAs(store, as(store, 'root'), 'lease-grant', LeaseGrantRequest.encode({ ID: LEASE, TTL: 60n }).finish())
  assert.equal(put(store, 'z', '', { lease: LEASE })('root'), 'ok')
  // u writes c, and does not read it; the lease has a key of root's.
  for (const fields of [{ prevKv: true }, { lease: LEASE }]) {
    const operation = opPut('c', '', fields)
    assert.equal(txn(store, [operation])('u'), 'permission-denied')
    assert.equal(txn(store, [], [operation])('u'), 'permission-denied')
    assert.equal(txn(store, [opTxn(txnRequest([operation]))])('u'), 'permission-denied')
  }
  assert.equal(txn(store, [opTxn(txnRequest([opPut('c')]))])('u'), 'ok')
})

test('what is compared is read', () => {
  const store = twoUsers()
  const compare = (key: string, rangeEnd = ''): Parameters<typeof txnRequest>[2] => [
    { result: 0, target: 0, key: b(key), rangeEnd: b(rangeEnd), targetUnion: { $case: 'version', value: 0n } },
  ]
  assert.equal(txn(store, [], [], compare('a'))('u'), 'ok')
  assert.equal(txn(store, [], [], compare('z'))('u'), 'permission-denied')
  assert.equal(txn(store, [], [], compare('a', '\0'))('u'), 'permission-denied')
  assert.equal(txn(store, [opTxn(txnRequest([], [], compare('z')))])('u'), 'permission-denied')
})

test('a lease is revoked, and gets keys, by who may write all keys that it has', () => {
  const store = twoUsers()
  const grant = LeaseGrantRequest.encode({ ID: LEASE, TTL: 60n }).finish()
  assert.equal(asking(store, 'lease-grant', grant)('u'), 'ok')
  const revoke = asking(store, 'lease-revoke', LeaseRevokeRequest.encode({ ID: LEASE }).finish())
  assert.equal(put(store, 'f', '', { lease: LEASE })('v'), 'ok')
  assert.equal(put(store, 'c', '', { lease: LEASE })('u'), 'permission-denied')
  assert.equal(txn(store, [opPut('c', '', { lease: LEASE })])('u'), 'permission-denied')
  assert.equal(revoke('u'), 'permission-denied')
  assert.equal(revoke(undefined), 'user-empty')
  assert.equal(put(store, 'b', '', { lease: LEASE })('v'), 'ok')
  assert.equal(revoke('v'), 'ok')
})

test('of a lease with very many keys few are looked at', () => {
  const store = twoUsers()
  asking(store, 'lease-grant', LeaseGrantRequest.encode({ ID: LEASE, TTL: 60n }).finish())('root')
  for (let i = 0; i < 2000; i++) put(store, `b${i}`, '', { lease: LEASE })('root')
  const { buffer } = store
  const scan = buffer.scan.bind(buffer)
  let scans = 0
  buffer.scan = (...args) => {
    scans += 1
    return scan(...args)
  }
  assert.equal(refuseLeaseKeys(store, as(store, 'u'), 'write', LEASE), undefined)
  assert.ok(scans < 5, `${scans} scans`)
})

test('a compaction that somebody asked for is for admins, when it is applied too', () => {
  const store = twoUsers()
  put(store, 'z')('root')
  const compact = asking(store, 'compact', CompactionRequest.encode({ revision: 1n, physical: false }).finish())
  assert.equal(compact('u'), 'permission-denied')
  assert.equal(compact(undefined), 'ok') // the member itself
})

test('an end of a zero byte asks for every key from the first one on, and is granted only so', () => {
  const store = twoUsers()
  const read = (key: string, rangeEnd: string): string =>
    refuseAccess(store.auth, as(store, 'u'), 'read', b(key), b(rangeEnd)) ?? 'ok'
  assert.equal(read('a', '\0'), 'permission-denied')
  assert.equal(read('a', 'c'), 'ok')
  assert.equal(grantPermission(store, 'us', 'READ', 'c', '\0'), 'ok')
  assert.equal(read('a', '\0'), 'ok')
  assert.equal(read('A', '\0'), 'permission-denied')
})

test('without authentication nothing is asked', () => {
  const store = new Store(new MemoryBackend())
  assert.equal(put(store, 'b', '', { prevKv: true })(undefined), 'ok')
  assert.equal(put(store, 'b')({ username: 'nobody', revision: 0 }), 'ok')
})
