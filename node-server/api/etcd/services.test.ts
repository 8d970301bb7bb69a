import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Metadata } from '@grpc/grpc-js'
import * as fc from 'fast-check'
import { NOBODY } from '../../../lib/ids.ts'
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberRemoveRequest,
  MoveLeaderRequest,
  StatusResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { HealthCheckResponse } from '../../proto/generated/health/health.ts'
import { answered, b, call, client, member, put, range, rangeBytes } from './testing/api-fixture.ts'

// What is expected here was observed on etcd 3.7.3 with the same requests.

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

test('the problems of the member reach the client as those of etcd', async () => {
  const expected = {
    'no-leader': '14 etcdserver: no leader',
    'leader-changed': '14 etcdserver: leader changed',
    'not-proposed': '4 context deadline exceeded',
    timeout: '14 etcdserver: request timed out',
    'leader-failed': '14 etcdserver: request timed out, possibly due to previous leader failure',
    'connection-lost': '14 etcdserver: request timed out, possibly due to connection lost',
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
  const refused = '9 etcdserver: rpc not supported for learner'
  assert.equal(await put({ key: b('a') }), refused)
  assert.equal(await range({ key: b('a') }), refused)
  assert.equal(await call('/etcdserverpb.Cluster/MemberList', Buffer.alloc(0)), refused)
  assert.ok(Buffer.isBuffer(await range({ key: b('a'), serializable: true })))
  const status = await answered(StatusResponse, '/etcdserverpb.Maintenance/Status', Buffer.alloc(0))
  assert.equal(status.isLearner, true)
})

test('a member that the cluster has removed answers nothing of what it has', async () => {
  member.isStopped = true
  const refused = '14 etcdserver: server stopped'
  assert.equal(await range({ key: b('a'), serializable: true }), refused)
  for (const method of ['KV/Put', 'Maintenance/Status', 'Maintenance/Hash', 'Cluster/MemberList', 'Lease/LeaseLeases'])
    assert.equal(await call(`/etcdserverpb.${method}`, Buffer.alloc(0)), refused, method)
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
  for (const peerURLs of [[], ['nonsense'], ['http://host'], ['http://host:1/path'], ['ftp://host:1'], ['unix:']]) {
    const bad = MemberAddRequest.encode({ peerURLs, isLearner: false }).finish()
    assert.equal(await call(path, bad), '3 etcdserver: given member URLs are invalid')
  }
  assert.equal(member.changes.length, 0)
  const good = MemberAddRequest.encode({
    peerURLs: ['http://host:2380', 'https://[::1]:1', 'unix:///run/peer.sock'],
    isLearner: true,
  }).finish()
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

test('arbitrary bytes get an answer from every method, and the member stays sound', async () => {
  const methods = ['KV/Put', 'KV/Range', 'KV/DeleteRange', 'KV/Txn', 'Cluster/MemberAdd', 'Maintenance/MoveLeader']
  methods.push('Lease/LeaseGrant', 'Lease/LeaseRevoke', 'Lease/LeaseTimeToLive', 'Lease/LeaseLeases')
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
  for (const path of ['/etcdserverpb.Lease/None', '/etcdserverpb.KV/None', '/none.None/None']) {
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
