import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Table, Write } from '../mvcc/backend.ts'
import { encodeRecord, historyKey, revisionKey } from '../mvcc/key-index.ts'
import { encodePut, encodeTombstone } from '../mvcc/key-value.ts'
import { leaseKey } from '../mvcc/lease.ts'
import { MemoryBackend } from '../mvcc/memory-backend.ts'
import { compactSlice } from '../mvcc/compaction.ts'
import { Store } from '../mvcc/store.ts'
import {
  applyNext,
  compactTo,
  deleteRange,
  opDelete,
  opPut,
  opTxn,
  put,
  txn,
  txnRequest,
} from '../mvcc/testing/requests.ts'
import { LeaseGrantRequest } from '../proto/generated/etcd/rpc.ts'
import { checkTables } from './store-tables.ts'

const k = (text: string): Buffer => Buffer.from(text)

async function soundStore(): Promise<Store> {
  const store = new Store(new MemoryBackend())
  put(store, 'a', '1') // 2
  put(store, 'b', '2') // 3
  put(store, 'a', '3') // 4
  deleteRange(store, 'b') // 5
  txn(store, [opPut('c', 'x'), opDelete('a'), opPut('d')]) // 6
  put(store, 'b', 'again') // 7
  await store.commit()
  return store
}

test('a store that was written and compacted has no problems, and its keys are counted', async () => {
  const store = await soundStore()
  assert.deepEqual(checkTables(store.backend, store.meta), {
    counts: { keys: 3, history: 5, revisions: 8 },
    problems: [],
  })
  compactTo(store, 6)
  compactSlice(store, undefined)
  await store.commit()
  assert.deepEqual(checkTables(store.backend, store.meta), {
    counts: { keys: 3, history: 1, revisions: 4 },
    problems: [],
  })
})

test('a key that one txn puts and deletes is no problem, before and after a compaction', async () => {
  const store = await soundStore()
  txn(store, [opTxn(txnRequest([opPut('e')])), opTxn(txnRequest([opDelete('e')]))]) // 8
  await store.commit()
  assert.deepEqual(checkTables(store.backend, store.meta).problems, [])
  put(store, 'f') // 9
  compactTo(store, 9)
  compactSlice(store, undefined)
  await store.commit()
  assert.deepEqual(checkTables(store.backend, store.meta), {
    counts: { keys: 4, history: 0, revisions: 4 },
    problems: [],
  })
})

const live = { modRevision: 7, sub: 0, createRevision: 7, version: 1, lease: 0n }
const damages: readonly [string, Table, Buffer, Buffer | undefined, RegExp][] = [
  [
    'a revision is gone',
    'revisions',
    revisionKey(7, 0),
    undefined,
    /not there: "b": revision 7\/0.*numbers do not agree/s,
  ],
  ['a revision nobody names', 'revisions', revisionKey(3, 9), encodeTombstone(k('x'), 3), /9 revisions are stored/],
  [
    'a revision of another key',
    'revisions',
    revisionKey(7, 0),
    encodePut({ ...live, key: k('z'), value: k('') }),
    /of another key: "b": revision 7\/0 is of "z"/,
  ],
  [
    'a live key whose revision deletes',
    'revisions',
    revisionKey(7, 0),
    encodeTombstone(k('b'), 7),
    /disagree on a deletion/,
  ],
  [
    'a lease that differs',
    'revisions',
    revisionKey(7, 0),
    encodePut({ ...live, key: k('b'), value: k(''), lease: 4n }),
    /index and revision disagree/,
  ],
  ['a revision with an unknown tag', 'revisions', revisionKey(7, 0), Buffer.from([9, 9]), /a revision with tag 9/],
  ['a revision that is no message', 'revisions', revisionKey(7, 0), Buffer.from([0, 10, 90]), /cannot be read: "b"/],
  ['an index record cut off', 'current', k('b'), encodeRecord(live).subarray(0, 20), /an index record of 20 bytes/],
  [
    'a deleted key that is live',
    'current',
    k('b'),
    encodeRecord({ ...live, version: 0 }),
    /a deleted key is listed as live: "b"/,
  ],
  [
    'a key of the future',
    'current',
    k('b'),
    encodeRecord({ ...live, modRevision: 99 }),
    /names a revision of the future: "b": 99 of 7/,
  ],
  ['a history key that is none', 'history', k('no'), encodeRecord(live), /not a history key/],
  [
    'a history record under another revision',
    'history',
    historyKey(k('a'), 2),
    encodeRecord({ ...live, modRevision: 4 }),
    /"a" at revision 2 says 4/,
  ],
  ['a revision key cut off', 'revisions', Buffer.from([1, 2]), k('x'), /a revision key of 2 bytes/],
  [
    'a revision beyond the store',
    'revisions',
    revisionKey(8, 0),
    encodeTombstone(k('x'), 8),
    /lies in the future: 8\/0, the store is at 7/,
  ],
]
for (const [title, table, key, value, problem] of damages) {
  test(`found: ${title}`, async () => {
    const store = await soundStore()
    await store.backend.commit([{ table, key, value }])
    assert.match(checkTables(store.backend, store.meta).problems.join('\n'), problem)
  })
}

const LEASE = -7n
const leaseDamages: readonly [string, readonly Write[], RegExp | undefined][] = [
  ['nothing', [], undefined],
  [
    'the lease is gone',
    [{ table: 'leases', key: leaseKey(LEASE), value: undefined }],
    /a lease that is not there: "l" under lease fffffffffffffff9/,
  ],
  [
    'the lease does not list it',
    [{ table: 'leaseKeys', key: leaseKey(LEASE, k('l')), value: undefined }],
    /a lease does not know of its key: "l"/,
  ],
  ['one key too many', [{ table: 'leaseKeys', key: leaseKey(LEASE, k('b')), value: k('') }], /not its own: "b"/],
  [
    'one of no lease at all',
    [{ table: 'leaseKeys', key: k('x'), value: k('') }],
    /a key of a lease cannot be read: "x"/,
  ],
]
for (const [title, writes, problem] of leaseDamages) {
  test(`leases and their keys, found: ${title}`, async () => {
    const store = await soundStore()
    applyNext(store, 'lease-grant', LeaseGrantRequest.encode({ ID: LEASE, TTL: 60n }).finish())
    put(store, 'l', '', { lease: LEASE })
    await store.commit()
    await store.backend.commit(writes)
    const { problems } = checkTables(store.backend, store.meta)
    if (problem === undefined) assert.deepEqual(problems, [])
    else assert.match(problems.join('\n'), problem)
  })
}

test('a state record that contradicts itself is found', async () => {
  const store = await soundStore()
  const check = (meta: object): string => checkTables(store.backend, { ...store.meta, ...meta }).problems.join('\n')
  assert.match(check({ compactedRevision: 8 }), /compacted to 8, but the revision is 7/)
  assert.match(check({ purgedRevision: 3 }), /purged to 3, compacted to -1/)
  assert.match(check({ configIndex: 99 }), /configuration of entry 99, applied is 6/)
})

test('of many problems of a kind five are printed and all are counted', async () => {
  const store = new Store(new MemoryBackend())
  for (let i = 0; i < 20; i++) put(store, `key ${i}`, '')
  await store.commit()
  await store.backend.commit(
    Array.from({ length: 20 }, (_, i) => ({ table: 'revisions', key: revisionKey(i + 2, 0), value: undefined })),
  )
  const [first] = checkTables(store.backend, store.meta).problems
  assert.match(first ?? '', /("key \d+": revision \d+\/0; ){5}and 15 more/)
})
