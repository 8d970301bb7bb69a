import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, beforeEach, test } from 'node:test'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import * as fc from 'fast-check'
import type { Clock } from '../../../lib/clock.ts'
import { NOBODY } from '../../../lib/ids.ts'
import { serveGrpcJs, type GrpcServer } from '../../grpc/grpc-js.ts'
import type { RpcObserver } from '../../grpc/service.ts'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import {
  AlarmRequest,
  AlarmResponse,
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberRemoveRequest,
  MoveLeaderRequest,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  StatusResponse,
  TxnRequest,
  TxnResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { HealthCheckResponse } from '../../proto/generated/health/health.ts'
import { etcdServices } from './services.ts'
import { MemoryMember } from './testing/memory-member.ts'

// What is expected here was observed on etcd 3.7.3 with the same requests.

const failures: string[] = []
const observer: RpcObserver = {
  method: () => ({ started: () => undefined, handled: () => undefined }),
  receivedBytes: () => undefined,
  sentBytes: () => undefined,
  failed: (path, error) => failures.push(`${path}: ${String(error)}`),
}
const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

let member: MemoryMember
let server: GrpcServer
let client: Client

before(async () => {
  // The services outlive the member of one test: what they ask is passed on to that of the next.
  const current = new Proxy(new MemoryMember(), {
    get: (_target, name) => Reflect.get(member, name, member) as unknown,
  })
  server = await serveGrpcJs({
    listenURLs: ['http://127.0.0.1:0'],
    services: etcdServices(current, { maxTxnOps: 128, clock }),
    maxReceiveBytes: 2 * 1024 * 1024,
    observer,
  })
  client = new Client(server.addresses[0] ?? '', credentials.createInsecure())
})
beforeEach(() => (member = new MemoryMember()))
after(async () => {
  client.close()
  await server.stop(100)
  assert.deepEqual(failures, [])
})

/** The bytes of the answer, or `CODE text`. */
function call(path: string, request: Uint8Array, metadata = new Metadata()): Promise<Buffer | string> {
  const same = (bytes: Buffer): Buffer => bytes
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, Buffer.from(request), metadata, (error, answer) =>
      resolve(error === null ? (answer ?? Buffer.alloc(0)) : `${error.code} ${error.details}`),
    )
  })
}

interface Type<Message> {
  decode(bytes: Uint8Array): Message
}

async function answered<Message>(type: Type<Message>, path: string, request: Uint8Array): Promise<Message> {
  const answer = await call(path, request)
  assert.ok(typeof answer !== 'string', `${path}: ${String(answer)}`)
  return type.decode(answer)
}

type Loose<Type extends { fromPartial(part: never): unknown }> = Parameters<Type['fromPartial']>[0]
const b = (text: string): Buffer => Buffer.from(text)
const putBytes = (request: Loose<typeof PutRequest>): Uint8Array =>
  PutRequest.encode(PutRequest.fromPartial(request)).finish()
const rangeBytes = (request: Loose<typeof RangeRequest>): Uint8Array =>
  RangeRequest.encode(RangeRequest.fromPartial(request)).finish()
const txnBytes = (request: Loose<typeof TxnRequest>): Uint8Array =>
  TxnRequest.encode(TxnRequest.fromPartial(request)).finish()
const put = (request: Loose<typeof PutRequest>): Promise<Buffer | string> =>
  call('/etcdserverpb.KV/Put', putBytes(request))
const range = (request: Loose<typeof RangeRequest>): Promise<Buffer | string> =>
  call('/etcdserverpb.KV/Range', rangeBytes(request))
const txn = (request: Loose<typeof TxnRequest>): Promise<Buffer | string> =>
  call('/etcdserverpb.KV/Txn', txnBytes(request))
const putOp = (key: string): { readonly request: { readonly $case: 'requestPut'; readonly value: PutRequest } } => ({
  request: { $case: 'requestPut', value: PutRequest.fromPartial({ key: b(key) }) },
})

test('a put names who answered, in which term, and its revision; previous values are the stored bytes', async () => {
  const first = await answered(PutResponse, '/etcdserverpb.KV/Put', putBytes({ key: b('a'), value: b('1') }))
  assert.deepEqual(first.header, {
    clusterId: member.clusterId,
    memberId: member.memberId,
    revision: 2n,
    raftTerm: 2n,
  })
  assert.equal(first.prevKv, undefined)
  const second = await answered(PutResponse, '/etcdserverpb.KV/Put', putBytes({ key: b('a'), prevKv: true }))
  assert.deepEqual(KeyValue.decode(second.prevKv ?? b('')).value, b('1'))
})

test('what is proposed are the bytes that came, unknown fields included', async () => {
  const unknownField = Buffer.concat([putBytes({ key: b('a') }), Buffer.of(0xf8, 0x07, 1)])
  const proposed: Uint8Array[] = []
  const { propose } = member
  member.propose = (kind, request) => {
    proposed.push(request)
    return propose(kind, request)
  }
  await call('/etcdserverpb.KV/Put', unknownField)
  assert.deepEqual(
    proposed.map((bytes) => Buffer.from(bytes)),
    [unknownField],
  )
})

test('requests that cannot be right are refused with the code and text of etcd, and are not proposed', async () => {
  const many = Array.from({ length: 129 }, (_, i) => putOp(`k${i}`))
  const cases: readonly (readonly [Promise<Buffer | string>, string])[] = [
    [put({}), '3 etcdserver: key is not provided'],
    [range({}), '3 etcdserver: key is not provided'],
    [call('/etcdserverpb.KV/DeleteRange', Buffer.alloc(0)), '3 etcdserver: key is not provided'],
    [put({ key: b('a'), value: b('x'), ignoreValue: true }), '3 etcdserver: value is provided'],
    [put({ key: b('a'), lease: 4n, ignoreLease: true }), '3 etcdserver: lease is provided'],
    [txn({ success: many }), '3 etcdserver: too many operations in txn request'],
    [txn({ success: [putOp('a'), putOp('a')] }), '3 etcdserver: duplicate key given in txn request'],
    [txn({ failure: [putOp('')] }), '3 etcdserver: key is not provided'],
    [txn({ success: [{}] }), '3 etcdserver: key not found'],
    [call('/etcdserverpb.KV/Range', Buffer.of(0x0a, 1, 0x61, 0x28, 9)), '3 etcdserver: invalid sort option'],
  ]
  for (const [answer, expected] of cases) assert.equal(await answer, expected)
  assert.equal(member.proposals, 0)
})

test('a key longer than the index can hold is refused', async () => {
  assert.match(String(await put({ key: Buffer.alloc(5000, 'k') })), /^3 etcdserver: key is too long: at most \d+ bytes/)
})

test('what the state refuses keeps the code and text of etcd', async () => {
  await put({ key: b('a') })
  assert.equal(await put({ key: b('none'), ignoreValue: true }), '3 etcdserver: key not found')
  assert.equal(await put({ key: b('a'), lease: 9n }), '5 etcdserver: requested lease not found')
  const future = '11 etcdserver: mvcc: required revision is a future revision'
  assert.equal(await range({ key: b('a'), revision: 99n }), future)
  const compact = (revision: bigint): Promise<Buffer | string> =>
    call('/etcdserverpb.KV/Compact', CompactionRequest.encode({ revision, physical: false }).finish())
  assert.equal(await compact(99n), future)
  assert.ok(Buffer.isBuffer(await compact(2n)))
  const compacted = '11 etcdserver: mvcc: required revision has been compacted'
  assert.equal(await compact(2n), compacted)
  await put({ key: b('a') })
  assert.ok(Buffer.isBuffer(await range({ key: b('a'), revision: 2n })))
  assert.equal(await range({ key: b('a'), revision: 1n }), compacted)
})

test('a request over 1.5 MiB is refused, and far over it before it is read', async () => {
  const value = Buffer.alloc(1.5 * 1024 * 1024)
  assert.equal(await put({ key: b('a'), value }), '3 etcdserver: request is too large')
  assert.match(String(await put({ key: b('a'), value: Buffer.alloc(3 * 1024 * 1024) })), /^8 /)
  assert.ok(Buffer.isBuffer(await put({ key: b('a'), value: value.subarray(0, value.length - 100) })))
})

test('bytes that are not the message of the method are refused as grpc-go does', async () => {
  for (const bytes of [Buffer.of(0xff, 0xff, 0xff), Buffer.of(0x0a, 5, 0x61)]) {
    for (const method of ['KV/Put', 'KV/Range', 'KV/Txn', 'Cluster/MemberAdd']) {
      assert.equal(
        await call(`/etcdserverpb.${method}`, bytes),
        '13 grpc: error unmarshalling request: proto: cannot parse invalid wire-format data',
      )
    }
  }
})

test('a linearizable read waits for the barrier, a serializable one does not', async () => {
  await range({ key: b('a') })
  assert.equal(member.barriers, 1)
  await range({ key: b('a'), serializable: true })
  assert.equal(member.barriers, 1)
  member.problem = 'timeout'
  assert.equal(await range({ key: b('a') }), '14 etcdserver: request timed out')
  assert.ok(Buffer.isBuffer(await range({ key: b('a'), serializable: true })))
})

test('count tells of all keys, whatever the limit', async () => {
  for (const key of ['a', 'b', 'c']) await put({ key: b(key) })
  const request = rangeBytes({ key: b('a'), rangeEnd: b('z'), limit: 2n })
  const page = await answered(RangeResponse, '/etcdserverpb.KV/Range', request)
  assert.deepEqual([page.kvs.length, page.more, page.count], [2, true, 3n])
})

test('a txn without writes is a read: no entry, one barrier', async () => {
  const get = { request: { $case: 'requestRange', value: RangeRequest.fromPartial({ key: b('a') }) } } as const
  const answer = await answered(TxnResponse, '/etcdserverpb.KV/Txn', txnBytes({ success: [get] }))
  assert.deepEqual([answer.succeeded, answer.responses[0]?.response?.$case], [true, 'responseRange'])
  assert.deepEqual([member.proposals, member.barriers], [0, 1])
})

test('operations within a txn carry the revision only, an inner txn an empty header', async () => {
  const inner = { request: { $case: 'requestTxn', value: TxnRequest.fromPartial({}) } } as const
  const answer = await answered(TxnResponse, '/etcdserverpb.KV/Txn', txnBytes({ success: [putOp('a'), inner] }))
  const headers = answer.responses.map(({ response }) => response?.value.header)
  const empty = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n }
  assert.deepEqual(headers, [{ ...empty, revision: 2n }, empty])
  assert.equal(answer.header?.clusterId, member.clusterId)
})

test('a delete tells how many and what', async () => {
  await put({ key: b('a'), value: b('1') })
  const request = DeleteRangeRequest.encode({ key: b('a'), rangeEnd: b('b'), prevKv: true }).finish()
  const answer = await answered(DeleteRangeResponse, '/etcdserverpb.KV/DeleteRange', request)
  assert.equal(answer.deleted, 1n)
  assert.deepEqual(
    answer.prevKvs.map((kv) => KeyValue.decode(kv).value.toString()),
    ['1'],
  )
})

test('a physical compaction answers once the versions are gone', async () => {
  for (let i = 0; i < 3; i++) await put({ key: b('a') })
  const request = CompactionRequest.encode({ revision: 3n, physical: true }).finish()
  await answered(CompactionResponse, '/etcdserverpb.KV/Compact', request)
  assert.equal(member.store.meta.purgedRevision, 3)
})

test('the problems of the member reach the client as those of etcd', async () => {
  const expected = {
    'no-leader': '14 etcdserver: no leader',
    'leader-changed': '14 etcdserver: leader changed',
    timeout: '14 etcdserver: request timed out',
    'too-many-requests': '8 etcdserver: too many requests',
    'no-space': '8 etcdserver: mvcc: database space exceeded',
    stopped: '14 etcdserver: server stopped',
  } as const
  for (const problem of Object.keys(expected) as (keyof typeof expected)[]) {
    member.problem = problem
    assert.equal(await put({ key: b('a') }), expected[problem])
  }
  const changes = {
    'member-not-found': '5 etcdserver: member not found',
    'peer-urls-exist': '9 etcdserver: Peer URLs already exists',
    'unhealthy-cluster': '14 etcdserver: unhealthy cluster',
    'too-many-learners': '9 etcdserver: too many learner members in cluster',
    'learner-not-ready': '9 etcdserver: can only promote a learner member which is in sync with leader',
  } as const
  for (const problem of Object.keys(changes) as (keyof typeof changes)[]) {
    member.problem = problem
    const request = MemberRemoveRequest.encode({ ID: 5n }).finish()
    assert.equal(await call('/etcdserverpb.Cluster/MemberRemove', request), changes[problem])
  }
})

test('a learner serves status and serializable reads only', async () => {
  member.isLearner = true
  const refused = '14 etcdserver: rpc not supported for learner'
  assert.equal(await put({ key: b('a') }), refused)
  assert.equal(await range({ key: b('a') }), refused)
  assert.equal(await call('/etcdserverpb.Cluster/MemberList', Buffer.alloc(0)), refused)
  assert.ok(Buffer.isBuffer(await range({ key: b('a'), serializable: true })))
  const status = await answered(StatusResponse, '/etcdserverpb.Maintenance/Status', Buffer.alloc(0))
  assert.equal(status.isLearner, true)
})

test('who asks for a leader is refused while there is none, whoever does not is served', async () => {
  member.leader = NOBODY
  const metadata = new Metadata()
  metadata.set('hasleader', 'true')
  const request = rangeBytes({ key: b('a'), serializable: true })
  assert.equal(await call('/etcdserverpb.KV/Range', request, metadata), '14 etcdserver: no leader')
  assert.ok(Buffer.isBuffer(await call('/etcdserverpb.KV/Range', request)))
  const status = await answered(StatusResponse, '/etcdserverpb.Maintenance/Status', Buffer.alloc(0))
  assert.deepEqual([status.leader, status.errors], [0n, ['etcdserver: no leader']])
})

test('a member is added with URLs that are URLs, as a learner if asked', async () => {
  const path = '/etcdserverpb.Cluster/MemberAdd'
  for (const peerURLs of [[], ['nonsense'], ['http://host'], ['http://host:1/path'], ['ftp://host:1']]) {
    const bad = MemberAddRequest.encode({ peerURLs, isLearner: false }).finish()
    assert.equal(await call(path, bad), '3 etcdserver: given member URLs are invalid')
  }
  assert.equal(member.changes.length, 0)
  const good = MemberAddRequest.encode({ peerURLs: ['http://host:2380', 'https://[::1]:1'], isLearner: true }).finish()
  const added = await answered(MemberAddResponse, path, good)
  assert.deepEqual([added.member?.ID, added.member?.isLearner, added.members.length], [7n, true, 2])
  const list = await answered(
    MemberListResponse,
    '/etcdserverpb.Cluster/MemberList',
    MemberListRequest.encode({ linearizable: true }).finish(),
  )
  assert.deepEqual([list.members.length, member.barriers], [2, 1])
})

test('leadership is moved by the leader only', async () => {
  const request = MoveLeaderRequest.encode({ targetID: 5n }).finish()
  const path = '/etcdserverpb.Maintenance/MoveLeader'
  assert.equal(await call(path, request), '9 etcdserver: bad leader transferee')
  member.leader = NOBODY
  assert.equal(await call(path, request), '9 etcdserver: not leader')
})

test('a store beyond its quota is an alarm, and an error in the status', async () => {
  const list = async (): Promise<readonly bigint[]> => {
    const answer = await answered(AlarmResponse, '/etcdserverpb.Maintenance/Alarm', Buffer.alloc(0))
    return answer.alarms.map(({ memberID }) => memberID)
  }
  assert.deepEqual(await list(), [])
  member.quotaBytes = -1
  assert.deepEqual(await list(), [member.memberId])
  const status = await answered(StatusResponse, '/etcdserverpb.Maintenance/Status', Buffer.alloc(0))
  assert.deepEqual(status.errors, [`memberID:${member.memberId} alarm:NOSPACE `])
  const raise = AlarmRequest.encode(AlarmRequest.fromPartial({ action: 1, alarm: 1 })).finish()
  assert.match(String(await call('/etcdserverpb.Maintenance/Alarm', raise)), /^12 /)
})

test('arbitrary bytes get an answer from every method, and the member stays sound', async () => {
  const methods = ['KV/Put', 'KV/Range', 'KV/DeleteRange', 'KV/Txn', 'Cluster/MemberAdd', 'Maintenance/MoveLeader']
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...methods), fc.uint8Array({ maxLength: 64 }), async (method, bytes) => {
      const answer = await call(`/etcdserverpb.${method}`, bytes)
      assert.ok(Buffer.isBuffer(answer) || /^(3|5|9|11|13) /.test(answer), String(answer))
    }),
    { numRuns: 300 },
  )
  assert.ok(Buffer.isBuffer(await put({ key: b('a') })))
})

test('what is not there is Unimplemented', async () => {
  for (const path of ['/etcdserverpb.Lease/LeaseGrant', '/etcdserverpb.Maintenance/Hash', '/etcdserverpb.KV/None']) {
    assert.match(String(await call(path, Buffer.alloc(0))), /^12 /)
  }
})

test('health is told for the whole server, and not for services by name', async () => {
  const health = await answered(HealthCheckResponse, '/grpc.health.v1.Health/Check', Buffer.alloc(0))
  assert.equal(health.status, 1)
  assert.equal(await call('/grpc.health.v1.Health/Check', Buffer.of(0x0a, 1, 0x61)), '5 unknown service')
})

test('whoever watches the health gets it at once, and the stream stays open', async () => {
  const same = (bytes: Buffer): Buffer => bytes
  const stream = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', same, same, Buffer.alloc(0))
  const [status] = await once(stream, 'data')
  assert.equal(HealthCheckResponse.decode(status).status, 1)
  const end = once(stream, 'error')
  const first = await Promise.race([end, new Promise((resolve) => setTimeout(() => resolve('open'), 50))])
  assert.equal(first, 'open')
  stream.cancel()
  await end
})
