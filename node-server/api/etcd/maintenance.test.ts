import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { ManualClock } from '../../../lib/testing/manual-clock.ts'
import type { CallContext, RpcStream } from '../../grpc/service.ts'
import {
  AlarmRequest,
  AlarmResponse,
  DowngradeRequest,
  DowngradeResponse,
  HashKVRequest,
  HashKVResponse,
  HashResponse,
  SnapshotResponse,
  StatusResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { ETCD_API_VERSION } from '../../version.ts'
import { BoltReader } from '../../bolt/reader.ts'
import { importEtcdFile } from '../../etcd-file/import.ts'
import { beginHash, hashSlice } from '../../mvcc/hash-kv.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { put as applyPut } from '../../mvcc/testing/requests.ts'
import { snapshotMethod } from './snapshot.ts'
import { gateOf, MemoryMember } from './testing/memory-member.ts'
import { answered, b, call, client, member, put } from './testing/api-fixture.ts'

const PATH = '/etcdserverpb.Maintenance'
const NOTHING = Buffer.alloc(0)
const ACTIVATE = 1
const DEACTIVATE = 2
const NOSPACE = 1
const CORRUPT = 2

const alarmBytes = (action: number, alarm: number, memberID = 0n): Uint8Array =>
  AlarmRequest.encode(AlarmRequest.fromPartial({ action, alarm, memberID } as AlarmRequest)).finish()

async function alarm(...request: Parameters<typeof alarmBytes>): Promise<readonly string[]> {
  const { alarms, header } = await answered(AlarmResponse, `${PATH}/Alarm`, alarmBytes(...request))
  assert.equal(header?.memberId, member.memberId)
  return alarms.map((raised) => `${raised.alarm}@${raised.memberID}`)
}

const status = (): Promise<StatusResponse> => answered(StatusResponse, `${PATH}/Status`, NOTHING)

test('alarms go through the log, asking for them too', async () => {
  assert.deepEqual(await alarm(0, 0), [])
  assert.deepEqual(await alarm(ACTIVATE, NOSPACE, 5n), ['1@5'])
  assert.deepEqual(await alarm(0, 0), ['1@5'])
  assert.equal(member.proposals, 3)
  member.problem = 'no-leader'
  assert.equal(await call(`${PATH}/Alarm`, alarmBytes(0, 0)), '14 etcdserver: no leader')
})

test('the status tells alarms in the form of etcd 3.7.3', async () => {
  await alarm(ACTIVATE, NOSPACE, 5n)
  await alarm(ACTIVATE, CORRUPT)
  assert.deepEqual((await status()).errors, ['memberID:5  alarm:NOSPACE', 'alarm:CORRUPT'])
})

test('a write is refused with the alarm’s own error until that is cleared', async () => {
  await alarm(ACTIVATE, NOSPACE, 5n)
  assert.equal(await put({ key: b('a') }), '8 etcdserver: mvcc: database space exceeded')
  await alarm(ACTIVATE, CORRUPT, 5n)
  assert.equal(await put({ key: b('a') }), '15 etcdserver: corrupt cluster')
  await alarm(DEACTIVATE, CORRUPT, 5n)
  await alarm(DEACTIVATE, NOSPACE, 5n)
  assert.ok(Buffer.isBuffer(await put({ key: b('a') })))
})

test('the status tells quota, storage version and that no downgrade is under way', async () => {
  member.quotaBytes = 0
  const byDefault = await status()
  assert.equal(byDefault.dbSizeQuota, 2n * 1024n ** 3n)
  assert.equal(byDefault.storageVersion, ETCD_API_VERSION.replace(/\.\d+$/, '.0'))
  assert.deepEqual(byDefault.downgradeInfo, { enabled: false, targetVersion: '' })
  member.quotaBytes = 123
  assert.equal((await status()).dbSizeQuota, 123n)
})

test('HashKV is answered with etcd’s number, and refused at revisions that are not there', async () => {
  const ask = (revision: bigint): Uint8Array => HashKVRequest.encode({ revision }).finish()
  const first = await answered(HashKVResponse, `${PATH}/HashKV`, ask(0n))
  assert.deepEqual([first.hash, first.compactRevision, first.hashRevision], [1084519789, -1n, 1n])
  for (const value of ['v1', 'v2', 'v3']) await put({ key: b('a'), value: b(value) })
  const then = await answered(HashKVResponse, `${PATH}/HashKV`, ask(4n))
  assert.deepEqual([then.hash, then.hashRevision, then.header?.revision], [2813101261, 4n, 4n])
  const future = '11 etcdserver: mvcc: required revision is a future revision'
  assert.equal(await call(`${PATH}/HashKV`, ask(5n)), future)
})

test('Hash changes with what is stored', async () => {
  const before = await answered(HashResponse, `${PATH}/Hash`, NOTHING)
  await put({ key: b('a') })
  const after = await answered(HashResponse, `${PATH}/Hash`, NOTHING)
  assert.notEqual(before.hash, after.hash)
})

test('a defragmentation that fails is told, one that works has nothing to say', async () => {
  assert.deepEqual(await call(`${PATH}/Defragment`, NOTHING), NOTHING)
  member.diskFailure = new Error('No space left on device')
  const refusal = '2 etcdserver: could not defragment: Error: No space left on device'
  assert.equal(await call(`${PATH}/Defragment`, NOTHING), refusal)
  assert.equal(member.defragmentations, 2)
})

test('downgrades are validated as etcd does and never enabled', async () => {
  const ask = (action: number, version: string): Promise<Buffer | string> =>
    call(`${PATH}/Downgrade`, DowngradeRequest.encode({ action, version } as DowngradeRequest).finish())
  const [major = 0, minor = 0] = ETCD_API_VERSION.split('.').map(Number)
  const below = `${major}.${minor - 1}`
  for (const version of [below, `${below}.0`, `${below}.7-rc.1`]) {
    const answer = await ask(0, version)
    assert.ok(typeof answer !== 'string', String(answer))
    assert.equal(DowngradeResponse.decode(answer).version, `${major}.${minor}`)
  }
  for (const version of ['', 'abc', '3', '3.x', '3.5.0.1']) {
    for (const action of [0, 1])
      assert.equal(await ask(action, version), '3 etcdserver: wrong downgrade target version format')
  }
  for (const version of [`${major}.${minor}`, `${major}.${minor + 1}`, `${major + 1}.0`, `${major}.${minor - 2}.9`])
    assert.equal(await ask(0, version), '3 etcdserver: invalid downgrade target version')
  assert.match(String(await ask(1, below)), /^12 /)
  assert.ok(Buffer.isBuffer(await ask(2, '')), 'etcd says yes to cancelling none')
  assert.equal(await ask(9, ''), '2 etcdserver: unknown method')
})

interface Received {
  readonly pieces: readonly SnapshotResponse[]
  /** `CODE text` when the stream ended with an error. */
  readonly error: string | undefined
}

async function receive(): Promise<Received> {
  const same = (bytes: Buffer): Buffer => bytes
  const stream = client.makeServerStreamRequest(`${PATH}/Snapshot`, same, same, NOTHING)
  const pieces: SnapshotResponse[] = []
  try {
    for await (const bytes of stream) pieces.push(SnapshotResponse.decode(bytes as Buffer))
    return { pieces, error: undefined }
  } catch (error) {
    const { code, details } = error as { code: number; details: string }
    return { pieces, error: `${code} ${details}` }
  }
}

test('a snapshot is the database of an etcd in pieces of 32 KiB, then its SHA-256; what is left is told with each', async () => {
  for (let i = 0; i < 100; i++) applyPut(member.store, `key ${i}`, 'v'.repeat(1000))
  const { pieces, error } = await receive()
  assert.equal(error, undefined)
  const blobs = pieces.slice(0, -1).map(({ blob }) => blob)
  const file = Buffer.concat(blobs)
  assert.equal(file.length % 4096, 0)
  assert.deepEqual(
    pieces.slice(0, 2).map(({ header }) => header?.revision),
    [BigInt(member.store.revision), undefined],
    'the first piece says of which state it is',
  )
  assert.deepEqual(
    blobs.slice(0, -1).map(({ length }) => length),
    Array.from({ length: Math.ceil(file.length / 32_768) - 1 }, () => 32_768),
  )
  let leftBytes = file.length
  for (const { blob, remainingBytes } of pieces.slice(0, -1))
    assert.equal(Number(remainingBytes), (leftBytes -= blob.length))
  const [digest, ...more] = pieces.slice(-1)
  assert.deepEqual([digest?.remainingBytes, more], [0n, []])
  assert.ok(digest?.blob.equals(createHash('sha256').update(file).digest()))
  assert.ok(pieces.every(({ version }) => version === ETCD_API_VERSION.replace(/\.\d+$/, '.0')))
  assert.equal(member.pinned, 0)
  const source = { sizeBytes: file.length, read: (at: number, size: number): Buffer => file.subarray(at, at + size) }
  const restored = new MemoryBackend()
  await importEtcdFile(new BoltReader(source), restored)
  assert.equal(hashKv(new Store(restored)), hashKv(member.store))
})

function hashKv(store: Store): number {
  const pass = beginHash(store, 0)
  assert.ok(pass.ok)
  for (;;) {
    const hash = hashSlice(store, pass.value)
    if (hash !== undefined) return hash.hash
  }
}

test('a member whose store is damaged refuses with the place, and Status tells of it', async () => {
  member.damage = 'store-0, block 7'
  try {
    const text =
      'etcdserver: the store of this member is damaged: it waits for another from the leader (store-0, block 7)'
    const { error } = await receive()
    assert.equal(error, `14 ${text}`)
    assert.deepEqual((await status()).errors, [text])
  } finally {
    member.damage = undefined
  }
})

test('learners serve snapshots too; too many at once are refused', async () => {
  member.isLearner = true
  assert.equal((await receive()).error, undefined)
  member.problem = 'too-many-requests'
  assert.deepEqual(await receive(), { pieces: [], error: '8 etcdserver: too many requests' })
})

test('a client that goes away in the middle leaves no file behind', async () => {
  for (let i = 0; i < 64; i++) applyPut(member.store, `large ${i}`, 'v'.repeat(1024 * 1024))
  const same = (bytes: Buffer): Buffer => bytes
  const stream = client.makeServerStreamRequest(`${PATH}/Snapshot`, same, same, NOTHING)
  await once(stream, 'data')
  assert.equal(member.pinned, 1)
  stream.on('error', () => undefined)
  stream.cancel()
  for (let i = 0; member.pinned > 0 && i < 500; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(member.pinned, 0)
})

test('a client that stops reading is let go after a minute, and leaves no file behind', async () => {
  const clock = new ManualClock()
  const asked = new MemoryMember()
  for (let i = 0; i < 100; i++) applyPut(asked.store, `key ${i}`, 'v'.repeat(1000))
  const method = snapshotMethod(gateOf(asked), clock)
  assert.ok(method.kind === 'stream')
  let taken = 0
  async function* requests(): AsyncGenerator<Uint8Array> {
    yield NOTHING
  }
  const stream: RpcStream = {
    requests: requests(),
    write: () => taken++ === 0,
    drained: () => new Promise(() => undefined),
  }
  const context: CallContext = { metadata: () => undefined, signal: new AbortController().signal, peer: '' }
  const ended = method.handle(stream, context)
  await clock.advance(59_000)
  assert.equal(asked.pinned, 1)
  await clock.advance(1000)
  assert.equal((await ended)?.code, 'DeadlineExceeded')
  assert.deepEqual([taken, asked.pinned], [2, 0])
})
