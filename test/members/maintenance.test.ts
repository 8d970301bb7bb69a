/** A cluster that fills up, is brought back as etcd's documentation tells, and is saved. Each test goes on from the one before. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  AlarmRequest,
  AlarmResponse,
  CompactionRequest,
  DeleteRangeRequest,
  HashKVResponse,
  LeaseGrantRequest,
  PutRequest,
  SnapshotResponse,
  StatusResponse,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { BoltReader } from '../../node-server/bolt/reader.ts'
import { importEtcdFile } from '../../node-server/etcd-file/import.ts'
import { MemoryBackend } from '../../node-server/mvcc/memory-backend.ts'
import { eventually, Rig, type Cluster, type MemberProcess } from './member-process.ts'

const QUOTA_BYTES = 8 * 1024 * 1024
const VALUE_BYTES = 256 * 1024
const NOTHING = Buffer.alloc(0)
const DEACTIVATE = 2
const NO_SPACE = /RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded/

let rig: Rig
let cluster: Cluster

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['m0', 'm1', 'm2'], [`--quota-backend-bytes=${QUOTA_BYTES}`])
})
after(() => rig.close())

const maintenance = (member: MemberProcess, method: string, request: Uint8Array = NOTHING): Promise<Buffer> =>
  member.etcd.callBytes(`/etcdserverpb.Maintenance/${method}`, request)

async function status(member: MemberProcess): Promise<StatusResponse> {
  return StatusResponse.decode(await maintenance(member, 'Status'))
}

async function alarms(member: MemberProcess): Promise<AlarmResponse['alarms']> {
  return AlarmResponse.decode(await maintenance(member, 'Alarm')).alarms
}

function put(member: MemberProcess, key: string, value: Buffer): Promise<Buffer> {
  const request = PutRequest.fromPartial({ key: Buffer.from(key), value })
  return member.etcd.callBytes('/etcdserverpb.KV/Put', PutRequest.encode(request).finish())
}

/** Overwrites a few keys until the cluster refuses. */
async function fill(): Promise<number> {
  for (let i = 0; i < 1000; i++) {
    const member = cluster.members[i % cluster.members.length]
    assert.ok(member !== undefined)
    try {
      await put(member, `k${i % 5}`, randomBytes(VALUE_BYTES))
    } catch (error) {
      assert.match(String(error), NO_SPACE)
      return i
    }
  }
  throw new Error('1000 values of 256 KiB fit 8 MiB')
}

test('a cluster that is full raises the alarm, and refuses what needs room on every member', async () => {
  const written = await fill()
  assert.ok(written * VALUE_BYTES > QUOTA_BYTES / 3, `${written} values`)
  for (const member of cluster.members) {
    await eventually('the alarm is there', async () => assert.ok((await alarms(member)).length > 0))
    assert.ok((await alarms(member)).every(({ alarm }) => alarm === 1))
    await assert.rejects(put(member, 'small', Buffer.from('v')), NO_SPACE)
    const grant = LeaseGrantRequest.encode({ ID: 0n, TTL: 60n }).finish()
    await assert.rejects(member.etcd.callBytes('/etcdserverpb.Lease/LeaseGrant', grant), NO_SPACE)
    const { errors, dbSizeQuota } = await status(member)
    assert.match(errors.join(), /^memberID:\d+ {2}alarm:NOSPACE/)
    assert.equal(dbSizeQuota, BigInt(QUOTA_BYTES))
    assert.equal((await member.etcd.get('k0'))?.length !== undefined, true, 'reads go on')
  }
})

test('deletes, compaction and defragmentation make room; the writes come back once the alarm is cleared', async () => {
  const [first] = cluster.members
  assert.ok(first !== undefined)
  const remove = DeleteRangeRequest.fromPartial({ key: Buffer.from('k4') })
  await first.etcd.callBytes('/etcdserverpb.KV/DeleteRange', DeleteRangeRequest.encode(remove).finish())
  const { header } = await status(first)
  const compaction = { revision: header?.revision ?? 0n, physical: true }
  await first.etcd.callBytes('/etcdserverpb.KV/Compact', CompactionRequest.encode(compaction).finish())
  for (const member of cluster.members) {
    // The physical half goes on at each member by itself, and what it removed is on the disk a commit later.
    await eventually('the old versions are gone', async () => {
      const { dbSizeInUse } = await status(member)
      assert.ok(dbSizeInUse < QUOTA_BYTES / 4, `${dbSizeInUse}`)
    })
    await maintenance(member, 'Defragment')
    const { dbSize } = await status(member)
    assert.ok(dbSize < QUOTA_BYTES / 4, `${member.name}: ${dbSize}`)
  }
  await assert.rejects(put(first, 'small', Buffer.from('v')), NO_SPACE, 'the alarm is still there')
  for (const alarm of await alarms(first))
    await maintenance(first, 'Alarm', AlarmRequest.encode({ ...alarm, action: DEACTIVATE }).finish())
  for (const member of cluster.members) {
    await put(member, `again/${member.name}`, Buffer.from('v'))
    assert.deepEqual(await alarms(member), [])
  }
})

test('members have one hash, and a killed one finds its defragmented store again', async () => {
  const [first, second] = cluster.members
  assert.ok(first !== undefined && second !== undefined)
  await second.kill('SIGKILL')
  assert.deepEqual(await readdir(join(second.dataDirectory, 'member', 'db')), ['store-0'])
  await second.start(cluster.flags)
  await second.isReady()
  await put(second, 'after', Buffer.from('v'))
  await eventually('all have applied it', async () => {
    const hashes = await Promise.all(cluster.members.map((member) => maintenance(member, 'HashKV')))
    const told = hashes.map((bytes) => HashKVResponse.decode(bytes)).map((hash) => `${hash.hash} ${hash.hashRevision}`)
    assert.equal(new Set(told).size, 1, told.join(', '))
  })
  const [a, b] = await Promise.all([first.etcd.all(), second.etcd.all()])
  assert.deepEqual(a, b)
  assert.ok(a.has('k0') && !a.has('k4'))
})

test('a snapshot has what was applied when it was asked for; saved, it is the database of an etcd', async () => {
  const [first] = cluster.members
  assert.ok(first !== undefined)
  await put(first, 'last', Buffer.from('before the snapshot'))
  const pieces = (await first.etcd.stream('/etcdserverpb.Maintenance/Snapshot', NOTHING)).map((bytes) =>
    SnapshotResponse.decode(bytes),
  )
  const blobs = pieces.map(({ blob }) => blob)
  const file = Buffer.concat(blobs.slice(0, -1))
  assert.equal(file.length % 512, 0, 'so that etcdctl tells the digest by the size')
  assert.equal(Number(pieces[0]?.remainingBytes) + (blobs[0]?.length ?? 0), file.length)
  assert.deepEqual(blobs.at(-1), createHash('sha256').update(file).digest())
  const source = { sizeBytes: file.length, read: (at: number, size: number): Buffer => file.subarray(at, at + size) }
  const store = new MemoryBackend()
  await importEtcdFile(new BoltReader(source), store)
  assert.ok(store.get('current', Buffer.from('last')) !== undefined)
  const left = await readdir(join(first.dataDirectory, 'member', 'snap'))
  assert.deepEqual(left, [])
})
