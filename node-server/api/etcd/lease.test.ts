import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Metadata, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js'
import { NOBODY } from '../../../lib/ids.ts'
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  RangeResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { answered, b, call, client, member, put, rangeBytes } from './testing/api-fixture.ts'

// Codes, texts and orders were observed on etcd 3.7.3 with the same requests.

const LEASE = '/etcdserverpb.Lease'
const grantBytes = (ID: bigint, TTL: bigint): Uint8Array => LeaseGrantRequest.encode({ ID, TTL }).finish()
const grant = (ID: bigint, TTL: bigint): Promise<Buffer | string> => call(`${LEASE}/LeaseGrant`, grantBytes(ID, TTL))
const revoke = (ID: bigint): Promise<Buffer | string> =>
  call(`${LEASE}/LeaseRevoke`, LeaseRevokeRequest.encode({ ID }).finish())
const timeToLive = (ID: bigint, keys: boolean): Promise<LeaseTimeToLiveResponse> =>
  answered(LeaseTimeToLiveResponse, `${LEASE}/LeaseTimeToLive`, LeaseTimeToLiveRequest.encode({ ID, keys }).finish())

test('a grant answers with the TTL that counts, chooses an ID where there is none, and makes no revision', async () => {
  const short = await answered(LeaseGrantResponse, `${LEASE}/LeaseGrant`, grantBytes(7n, -3n))
  assert.deepEqual([short.ID, short.TTL, short.header?.revision, short.error], [7n, 2n, 1n, ''])
  const chosen = await answered(LeaseGrantResponse, `${LEASE}/LeaseGrant`, grantBytes(0n, 60n))
  assert.ok(chosen.ID > 0n)
  assert.equal(chosen.TTL, 60n)
  const { leases } = await answered(LeaseLeasesResponse, `${LEASE}/LeaseLeases`, Buffer.alloc(0))
  assert.deepEqual(
    leases.map(({ ID }) => ID),
    [7n, chosen.ID],
  )
})

test('grants and revokes that cannot be are refused with the code and text of etcd', async () => {
  assert.ok(Buffer.isBuffer(await grant(7n, 9_000_000_000n)))
  assert.equal(await grant(7n, 5n), '9 etcdserver: lease already exists')
  assert.equal(await grant(7n, 9_000_000_001n), '11 etcdserver: too large lease TTL')
  const absent = '5 etcdserver: requested lease not found'
  assert.equal(await revoke(8n), absent)
  assert.equal(await revoke(0n), absent)
  assert.ok(Buffer.isBuffer(await revoke(7n)))
  assert.equal(await revoke(7n), absent)
  member.problem = 'no-space'
  assert.equal(await grant(9n, 5n), '8 etcdserver: mvcc: database space exceeded')
})

test('a revoke takes the keys of the lease, all of them at one revision', async () => {
  await grant(7n, 60n)
  await put({ key: b('a'), lease: 7n })
  await put({ key: b('b'), lease: 7n })
  await put({ key: b('c') })
  const request = LeaseRevokeRequest.encode({ ID: 7n }).finish()
  const { header } = await answered(LeaseRevokeResponse, `${LEASE}/LeaseRevoke`, request)
  assert.equal(header?.revision, 5n)
  const all = rangeBytes({ key: b('a'), rangeEnd: b('z') })
  assert.equal((await answered(RangeResponse, '/etcdserverpb.KV/Range', all)).count, 1n)
})

test('time to live: what was granted, what is left, the keys when asked for; -1 for a lease that is not there', async () => {
  await grant(7n, 60n)
  for (const key of ['b', 'a']) await put({ key: b(key), lease: 7n })
  const lease = await timeToLive(7n, true)
  assert.deepEqual([lease.ID, lease.TTL, lease.grantedTTL, lease.header?.revision], [7n, 59n, 60n, 3n])
  assert.deepEqual(lease.keys.map(String), ['a', 'b'])
  assert.deepEqual((await timeToLive(7n, false)).keys, [])
  const absent = await timeToLive(8n, true)
  assert.deepEqual([absent.ID, absent.TTL, absent.grantedTTL, absent.keys], [8n, -1n, 0n, []])
})

type Stream = ClientDuplexStream<Buffer, Buffer>

function open(metadata = new Metadata()): Stream {
  const same = (bytes: Buffer): Buffer => bytes
  return client.makeBidiStreamRequest(`${LEASE}/LeaseKeepAlive`, same, same, metadata)
}

async function keepAlive(stream: Stream, ID: bigint): Promise<LeaseKeepAliveResponse> {
  const answer = once(stream, 'data')
  stream.write(Buffer.from(LeaseKeepAliveRequest.encode({ ID }).finish()))
  return LeaseKeepAliveResponse.decode((await answer)[0])
}

async function errorOf(stream: Stream): Promise<string> {
  const [error] = (await once(stream, 'error')) as [ServiceError]
  return `${error.code} ${error.details}`
}

test('keep alive: an answer for each request on one stream, with TTL 0 for a lease that is not there', async () => {
  await grant(7n, 60n)
  const stream = open()
  const first = await keepAlive(stream, 7n)
  assert.deepEqual([first.ID, first.TTL, first.header?.revision, first.header?.raftTerm], [7n, 60n, 1n, 2n])
  assert.equal((await keepAlive(stream, 8n)).TTL, 0n)
  assert.equal((await keepAlive(stream, 7n)).TTL, 60n)
  assert.equal(member.renewals.get(7n), 2)
  const ended = once(stream, 'end')
  stream.end()
  stream.resume()
  await ended
})

test('keep alive ends with the reason when a renewal has no answer, or a message is none', async () => {
  const late = open()
  member.problem = 'timeout'
  late.write(Buffer.from(LeaseKeepAliveRequest.encode({ ID: 7n }).finish()))
  assert.equal(await errorOf(late), '14 etcdserver: request timed out')
  const malformed = open()
  malformed.write(Buffer.of(0xff, 0xff))
  assert.match(await errorOf(malformed), /^13 grpc: failed to unmarshal the received message/)
})

test('a learner answers nothing about leases; who asks for a leader is refused when there is none', async () => {
  member.isLearner = true
  const refused = '9 etcdserver: rpc not supported for learner'
  assert.equal(await grant(7n, 60n), refused)
  assert.equal(await call(`${LEASE}/LeaseLeases`, Buffer.alloc(0)), refused)
  assert.equal(await errorOf(open()), refused)
  member.isLearner = false
  member.leader = NOBODY
  const metadata = new Metadata()
  metadata.set('hasleader', 'true')
  assert.equal(await errorOf(open(metadata)), '14 etcdserver: no leader')
})
