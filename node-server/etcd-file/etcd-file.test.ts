import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { BoltReader, type BoltSource } from '../bolt/reader.ts'
import { boltFile, layOut, type Bucket, type Row } from '../bolt/writer.ts'
import type { Backend, Table, TableEntry } from '../mvcc/backend.ts'
import { beginHash, hashSlice, type KeyValueHash } from '../mvcc/hash-kv.ts'
import { encodeKeyValue } from '../mvcc/key-value.ts'
import { keysOfLease, listLeases } from '../mvcc/lease.ts'
import { MemoryBackend } from '../mvcc/memory-backend.ts'
import { readMeta } from '../mvcc/meta.ts'
import { range } from '../mvcc/range.ts'
import { Store } from '../mvcc/store.ts'
import { applyNext, rangeRequest } from '../mvcc/testing/requests.ts'
import { addUser, enableWith } from '../mvcc/testing/users.ts'
import { AlarmMember, AlarmRequest, AlarmType } from '../proto/generated/etcd/rpc.ts'
import { KeyValue } from '../proto/generated/etcd/kv.ts'
import { randomStore } from '../mvcc/testing/model-property.ts'
import { checkTables } from '../tools/store-tables.ts'
import { decodeLease, decodeRevision, encodeLease, encodeRevision } from './etcd-rows.ts'
import { etcdBuckets, type StoreRows } from './export.ts'
import { EtcdFileRefused, importEtcdFile } from './import.ts'
import { etcdSnapshot, HASH_KV, KEYS, STATUS } from './testing/etcd-snapshot.ts'

const DIGEST_SIZE_BYTES = 32
const source = (bytes: Buffer): BoltSource => ({
  sizeBytes: bytes.length,
  read: (position, sizeBytes) => bytes.subarray(position, position + sizeBytes),
})

const recorded = (): BoltReader => new BoltReader(source(etcdSnapshot().subarray(0, -DIGEST_SIZE_BYTES)))

function stateOf(backend: Backend): StoreRows {
  return {
    meta: readMeta(backend),
    // eslint-disable-next-line require-await -- the rows are there at once
    async *rows(table: Table): AsyncGenerator<readonly TableEntry[]> {
      for (const entry of backend.scan(table, Buffer.of(0), undefined)) yield [entry]
    },
  }
}

async function exported(backend: Backend): Promise<BoltReader> {
  const buckets = etcdBuckets(stateOf(backend), '3.7.0')
  return fileOf(buckets)
}

async function fileOf(buckets: readonly Bucket[]): Promise<BoltReader> {
  return new BoltReader(source(Buffer.concat(await Array.fromAsync(boltFile(buckets, await layOut(buckets))))))
}

async function imported(file: BoltReader): Promise<Backend> {
  const backend = new MemoryBackend()
  await importEtcdFile(file, backend)
  assert.deepEqual(checkTables(backend, readMeta(backend)).problems, [])
  return backend
}

function hashKv(backend: Backend, revision = 0): KeyValueHash {
  const store = new Store(backend)
  const pass = beginHash(store, revision)
  assert.ok(pass.ok)
  for (;;) {
    const hash = hashSlice(store, pass.value)
    if (hash !== undefined) return hash
  }
}

const rowsOf = (file: BoltReader, bucket: string): readonly string[] =>
  Array.from(file.rows(bucket), ({ key, value }) => `${key.toString('hex')}=${value.toString('hex')}`)

test('revisions and leases, byte by byte', () => {
  const revision = { revision: 0x0102, sub: 3, isTombstone: false }
  assert.equal(encodeRevision(revision).toString('hex'), '00000000000001025f0000000000000003')
  assert.equal(
    encodeRevision({ ...revision, isTombstone: true }).toString('hex'),
    '00000000000001025f000000000000000374',
  )
  for (const isTombstone of [false, true]) {
    const encoded = encodeRevision({ ...revision, isTombstone })
    assert.deepEqual(decodeRevision(encoded), { ...revision, isTombstone })
    for (const cut of [0, 8, 9, 16]) assert.throws(() => decodeRevision(encoded.subarray(0, cut)))
    assert.throws(() => decodeRevision(Buffer.concat([encoded, Buffer.of(0x75)])))
  }
  const lease = { id: -2n, ttlSeconds: 300 }
  const encoded = Buffer.from(encodeLease(lease))
  assert.equal(encoded.toString('hex'), '08feffffffffffffffff0110ac02')
  assert.deepEqual(decodeLease(Buffer.concat([encoded, Buffer.of(0x18, 7)])), lease, 'the remaining TTL goes unread')
  assert.throws(() => decodeLease(encoded.subarray(0, 5)), /a lease that cannot be read/)
})

test('a snapshot of etcd: keys, history, leases and the hash are what etcd says', async () => {
  const backend = await imported(recorded())
  const store = new Store(backend)
  assert.deepEqual([store.revision, store.compactedRevision], [STATUS.revision, HASH_KV.HashKV.compact_revision])
  const found = range(store, rangeRequest('\0', '\0'))
  assert.ok(found.ok)
  const keys = found.value.kvs.map((bytes) => KeyValue.decode(bytes))
  assert.deepEqual(
    keys.map(({ key, value, modRevision }) => [key.toString('base64'), value.toString('base64'), Number(modRevision)]),
    KEYS.map(({ key, value, mod_revision }) => [key, value, mod_revision]),
  )
  assert.equal(keys.length, STATUS.totalKey)
  const { hash, revision } = hashKv(backend)
  assert.deepEqual([hash, revision], [HASH_KV.HashKV.hash, HASH_KV.HashKV.hash_revision])
  const leases = listLeases(store).map(({ id, ttlSeconds }) => `${ttlSeconds}: ${keysOfLease(store, id).join()}`)
  assert.deepEqual(leases.toSorted(), ['1000: ', '3600: leased'])
})

test('what etcd wrote is written again: every row of keys and leases the same', async () => {
  const again = await exported(await imported(recorded()))
  for (const bucket of ['key', 'lease', 'alarm'])
    assert.deepEqual(rowsOf(again, bucket), rowsOf(recorded(), bucket), bucket)
  assert.deepEqual(again.buckets, recorded().buckets)
})

test('any store comes back from etcd’s format as it was', async () => {
  await fc.assert(
    fc.asyncProperty(randomStore, async (make) => {
      const backend = await make()
      assert.deepEqual(checkTables(backend, readMeta(backend)).problems, [])
      const back = await imported(await exported(backend))
      const [before, after] = [readMeta(backend), readMeta(back)]
      const { revision, compactedRevision } = before
      assert.deepEqual([after.revision, after.compactedRevision], [revision, compactedRevision])
      for (const table of ['revisions', 'current', 'history', 'leases', 'leaseKeys', 'alarms'] as const)
        assert.deepEqual(tableOf(back, table), tableOf(backend, table), table)
      assert.deepEqual(hashKv(back), hashKv(backend))
    }),
    { numRuns: 200 },
  )
})

test('alarms come back; types that only a newer etcd knows do not', async () => {
  const store = new Store(new MemoryBackend())
  const members = [5n, 0x1_0000_0000_0000n, 300n]
  for (const memberID of members)
    for (const alarm of [AlarmType.NOSPACE, AlarmType.CORRUPT])
      applyNext(store, 'alarm', AlarmRequest.encode({ action: 1, memberID, alarm }).finish())
  await store.commit()
  const back = await imported(await exported(store.backend))
  assert.deepEqual(tableOf(back, 'alarms'), tableOf(store.backend, 'alarms'))
  const unknown = await fileOf([
    ...FILE,
    rows('alarm', [[AlarmMember.encode({ memberID: 5n, alarm: 3 as AlarmType }).finish(), '']]),
  ])
  assert.deepEqual(tableOf(await imported(unknown), 'alarms'), [])
})

test('users, roles and that they count come back: who could not read a key before a restore cannot after it', async () => {
  const store = new Store(new MemoryBackend())
  enableWith(store, { u: [['READ', 'a'], ['READWRITE', 'b', '\0']], ü: [] }) // prettier-ignore
  addUser(store, 'certified', { options: { noPassword: true } })
  await store.commit()
  const back = await imported(await exported(store.backend))
  assert.deepEqual(tableOf(back, 'auth'), tableOf(store.backend, 'auth'))
  assert.ok(new Store(back).auth.isEnabled)
})

test('users and roles as etcd 3.7.3 wrote them', async () => {
  const user = '0a027531120e24326124303424692e6d2e6e6f741a0272312200' // u1, its hash, role r1
  const role = '0a027231120808021201611a01631203120164' // reads and writes a to c, reads d
  const file = await fileOf([
    rows('key', []),
    rows('meta', []),
    rows('auth', [['authEnabled', Buffer.of(1)], ['authRevision', Buffer.from('0000000000000011', 'hex')]]), // prettier-ignore
    rows('authRoles', [['r1', Buffer.from(role, 'hex')]]),
    rows('authUsers', [['u1', Buffer.from(user, 'hex')]]),
  ])
  const { auth } = new Store(await imported(file))
  assert.deepEqual([auth.isEnabled, auth.revision, auth.user('u1')?.roles], [true, 17, ['r1']])
  assert.equal(Buffer.from(auth.user('u1')?.passwordHash ?? []).toString(), '$2a$04$i.m.not')
  const granted = auth.role('r1')?.permissions.map(({ permType, key }) => `${permType} ${key.toString()}`)
  assert.deepEqual(granted, ['2 a', '0 d'])
})

/** An etcd's database without anything. */
const FILE: readonly Bucket[] = [rows('key', []), rows('meta', [])]

function rows(name: string, pairs: readonly (readonly [Uint8Array | string, Uint8Array | string])[]): Bucket {
  const all = pairs.map(([key, value]): Row => ({ key: Buffer.from(key), value: Buffer.from(value) }))
  return {
    name,
    // eslint-disable-next-line require-await -- the rows are there at once
    async *rows() {
      yield all
    },
  }
}

const at = (revision: number, isTombstone = false, sub = 0): Buffer => encodeRevision({ revision, sub, isTombstone })
const kv = (key: string, mod: number, lease = 0n): Uint8Array =>
  encodeKeyValue({
    key: Buffer.from(key),
    createRevision: mod,
    modRevision: mod,
    version: 1,
    value: Buffer.from('v'),
    lease,
  })

test('a compaction that was only scheduled counts, as etcd counts it at its start', async () => {
  const meta = rows('meta', [
    ['finishedCompactRev', at(3)],
    ['scheduledCompactRev', at(9)],
  ])
  const { revision, compactedRevision, purgedRevision } = readMeta(
    await imported(await fileOf([rows('key', [[at(5), kv('a', 5)]]), meta])),
  )
  assert.deepEqual(
    { revision, compactedRevision, purgedRevision },
    { revision: 9, compactedRevision: 9, purgedRevision: 3 },
  )
})

test('the row without a key that a raised revision leaves behind raises it here, too, and is no key', async () => {
  const backend = await imported(
    await fileOf([
      rows('meta', []),
      rows('key', [
        [at(5), kv('a', 5)],
        [at(1005), ''],
      ]),
    ]),
  )
  assert.equal(readMeta(backend).revision, 1005)
  assert.equal(tableOf(backend, 'current').length, 1)
})

test('a key whose lease is not in the file is kept without one, and is counted', async () => {
  const backend = new MemoryBackend()
  const key = rows('key', [
    [at(2), kv('superseded', 2, 7n)],
    [at(3), kv('lost', 3, 8n)],
    [at(4), kv('superseded', 4)],
  ])
  const { keysWithoutTheirLease } = await importEtcdFile(await fileOf([key, rows('meta', [])]), backend)
  assert.equal(keysWithoutTheirLease, 1)
  assert.deepEqual(checkTables(backend, readMeta(backend)).problems, [])
})

const REFUSED: readonly (readonly [string, readonly Bucket[], RegExp])[] = [
  ['of no etcd', [rows('pages', [])], /not a database of etcd: its buckets are pages/],
  [
    'of a newer etcd',
    [rows('key', []), rows('meta', [['storageVersion', '3.8.0']])],
    /of etcd 3\.8\.0; files up to 3\.7/,
  ],
  ['of another kind of version', [rows('key', []), rows('meta', [['storageVersion', '4.0.0']])], /of etcd 4\.0\.0/],
  [
    'a revision cut short',
    [rows('meta', []), rows('key', [[at(2).subarray(0, 12), kv('a', 2)]])],
    /bucket key, row 0{15}25f/,
  ],
  [
    'a KeyValue of another revision',
    [rows('meta', []), rows('key', [[at(3), kv('a', 2)]])],
    /its KeyValue says revision 2/,
  ],
  [
    'no KeyValue',
    [rows('meta', []), rows('key', [[at(3), Buffer.of(0x0a, 9, 1)]])],
    /not the message that belongs there/,
  ],
  ['a lease that is none', [...FILE, rows('lease', [[Buffer.alloc(8, 1), Buffer.of(8)]])], /bucket lease, row 0101/],
  ['revision 0', [rows('meta', []), rows('key', [[at(0), kv('a', 0)]])], /revision 0 after 0/],
]

for (const [what, buckets, why] of REFUSED) {
  test(`refused with the row and the reason: ${what}`, async () => {
    const file = await fileOf(buckets)
    await assert.rejects(importEtcdFile(file, new MemoryBackend()), (error) => {
      assert.ok(error instanceof EtcdFileRefused)
      assert.match(error.message, why)
      return true
    })
  })
}

function tableOf(backend: Backend, table: Table): readonly string[] {
  return Array.from(backend.scan(table, Buffer.of(0), undefined), ({ key, value }) =>
    [key, value].map((bytes) => Buffer.from(bytes).toString('hex')).join('='),
  )
}
