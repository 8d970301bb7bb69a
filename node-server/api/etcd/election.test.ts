import assert from 'node:assert/strict'
import { on } from 'node:events'
import { test } from 'node:test'
import { Metadata } from '@grpc/grpc-js'
import {
  CampaignRequest,
  CampaignResponse,
  LeaderRequest,
  LeaderResponse,
  ProclaimRequest,
  ProclaimResponse,
  ResignRequest,
  ResignResponse,
  type LeaderKey,
} from '../../proto/generated/etcd/election.ts'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import { CompactionRequest, LeaseGrantRequest, LeaseRevokeRequest } from '../../proto/generated/etcd/rpc.ts'
import { answered, b, call, client, member } from './testing/api-fixture.ts'

// Keys, revisions, codes and texts were observed on etcd 3.7.3 with the same requests.

const ELECTION = '/v3electionpb.Election'
const grant = (ID: bigint): Promise<Buffer | string> =>
  call('/etcdserverpb.Lease/LeaseGrant', LeaseGrantRequest.encode({ ID, TTL: 60n }).finish())
const revoke = (ID: bigint): Promise<Buffer | string> =>
  call('/etcdserverpb.Lease/LeaseRevoke', LeaseRevokeRequest.encode({ ID }).finish())
const campaignBytes = (lease: bigint, value: string): Uint8Array =>
  CampaignRequest.encode({ name: b('e'), lease, value: b(value) }).finish()
const campaign = (lease: bigint, value: string): Promise<CampaignResponse> =>
  answered(CampaignResponse, `${ELECTION}/Campaign`, campaignBytes(lease, value))
const proclaimBytes = (leader: LeaderKey | undefined, value: string): Uint8Array =>
  ProclaimRequest.encode({ leader, value: b(value) }).finish()
const proclaim = (leader: LeaderKey | undefined, value: string): Promise<Buffer | string> =>
  call(`${ELECTION}/Proclaim`, proclaimBytes(leader, value))
const resignBytes = (leader: LeaderKey | undefined): Uint8Array => ResignRequest.encode({ leader }).finish()
const leaderBytes = LeaderRequest.encode({ name: b('e') }).finish()

function shown(bytes: Buffer): string {
  const { header, kv } = LeaderResponse.decode(bytes)
  const { key, value } = KeyValue.decode(kv ?? b(''))
  return `${key.toString()}=${value.toString()} at ${header?.revision}`
}

async function leader(): Promise<string> {
  const answer = await call(`${ELECTION}/Leader`, leaderBytes)
  return typeof answer === 'string' ? answer : shown(answer)
}

function entered(): Promise<void> {
  return new Promise((resolve) => {
    const end = member.onApplied(() => {
      end()
      resolve()
    })
  })
}

test('the first candidate leads; campaigning again keeps its place and tells a new value', async () => {
  assert.equal(await leader(), '2 election: no leader')
  await grant(400n)
  const won = await campaign(400n, 'one')
  assert.deepEqual(won.leader, { name: b('e'), key: b('e/190'), rev: 2n, lease: 400n })
  assert.equal(won.header?.revision, 2n)
  assert.equal((await campaign(400n, 'one')).header?.revision, 2n)
  assert.equal(await leader(), 'e/190=one at 2')
  assert.equal((await campaign(400n, 'uno')).leader?.rev, 2n)
  assert.equal(await leader(), 'e/190=uno at 3')
})

test('the next one leads when the leader resigns, which only that leader can', async () => {
  for (const id of [1n, 2n]) await grant(id)
  const first = (await campaign(1n, 'one')).leader
  assert.ok(first !== undefined)
  const stands = entered()
  const second = campaign(2n, 'two')
  await stands
  const stale = await answered(ResignResponse, `${ELECTION}/Resign`, resignBytes({ ...first, rev: 1n }))
  assert.equal(stale.header?.revision, 3n)
  assert.equal(await leader(), 'e/1=one at 3')
  const resigned = await answered(ResignResponse, `${ELECTION}/Resign`, resignBytes(first))
  assert.equal(resigned.header?.revision, 4n)
  const won = await second
  assert.deepEqual([won.leader?.rev, won.header?.revision], [3n, 3n])
  assert.equal(await leader(), 'e/2=two at 4')
})

test('only who holds the key may proclaim', async () => {
  await grant(1n)
  const { leader: own } = await campaign(1n, 'one')
  assert.ok(own !== undefined)
  const told = await answered(ProclaimResponse, `${ELECTION}/Proclaim`, proclaimBytes(own, 'more'))
  assert.equal(told.header?.revision, 3n)
  assert.equal(await proclaim({ ...own, rev: 1n }, 'wrong'), '2 election: not leader')
  assert.equal(await proclaim({ ...own, lease: 99n }, 'wrong'), '2 etcdserver: requested lease not found')
  assert.equal(await proclaim(undefined, 'wrong'), '2 "leader" field must be provided')
  assert.equal(await call(`${ELECTION}/Resign`, resignBytes(undefined)), '2 "leader" field must be provided')
  assert.equal(await call(`${ELECTION}/Campaign`, campaignBytes(99n, 'x')), '2 etcdserver: requested lease not found')
  assert.equal(await leader(), 'e/1=more at 3')
})

test('a candidate that goes while it waits withdraws', async () => {
  for (const id of [1n, 2n]) await grant(id)
  await campaign(1n, 'one')
  const same = (bytes: Buffer): Buffer => bytes
  const stands = entered()
  const path = `${ELECTION}/Campaign`
  const ended = new Promise<void>((resolve) => {
    const request = Buffer.from(campaignBytes(2n, 'two'))
    const waiting = client.makeUnaryRequest(path, same, same, request, new Metadata(), () => resolve())
    void stands.then(() => waiting.cancel())
  })
  await stands
  const withdrawn = entered()
  await ended
  await withdrawn
  assert.equal(member.store.buffer.get('current', b('e/2')), undefined)
})

test('an observer gets the leader there is, what it proclaims, and the leaders after it', async () => {
  for (const id of [1n, 2n]) await grant(id)
  const same = (bytes: Buffer): Buffer => bytes
  const stream = client.makeServerStreamRequest(`${ELECTION}/Observe`, same, same, Buffer.from(leaderBytes))
  const cancelled = new Promise((resolve) => stream.once('error', resolve))
  const answers = on(stream, 'data', { close: ['end'] })
  const next = async (): Promise<string> => shown(((await answers.next()).value as [Buffer])[0])
  const { leader: first } = await campaign(1n, 'one')
  assert.equal(await next(), 'e/1=one at 2')
  const stands = entered()
  const second = campaign(2n, 'two')
  await stands
  await proclaim(first, 'more')
  assert.equal(await next(), 'e/1=more at 4')
  await revoke(1n)
  assert.equal(await next(), 'e/2=two at 5')
  const { leader: after } = await second
  await proclaim(after, 'x')
  const compaction = CompactionRequest.encode({ revision: 6n, physical: true }).finish()
  assert.ok(Buffer.isBuffer(await call('/etcdserverpb.KV/Compact', compaction)))
  assert.equal(await next(), 'e/2=x at 6')
  await call(`${ELECTION}/Resign`, resignBytes(after))
  await grant(3n)
  await campaign(3n, 'three')
  assert.equal(await next(), 'e/3=three at 8')
  stream.cancel()
  await cancelled
})

test('what is proclaimed is read once, however many observe', async (t) => {
  await grant(1n)
  const { leader: first } = await campaign(1n, 'one')
  const same = (bytes: Buffer): Buffer => bytes
  const streams = Array.from({ length: 20 }, () =>
    client.makeServerStreamRequest(`${ELECTION}/Observe`, same, same, Buffer.from(leaderBytes)),
  )
  const answers = streams.map((stream) =>
    on(
      stream.on('error', () => undefined),
      'data',
    ),
  )
  const next = (): Promise<readonly string[]> =>
    Promise.all(answers.map(async (each) => shown(((await each.next()).value as [Buffer])[0])))
  assert.deepEqual(new Set(await next()), new Set(['e/1=one at 2']))
  const scan = t.mock.method(member.store.buffer, 'scan')
  await proclaim(first, 'more')
  assert.deepEqual(new Set(await next()), new Set(['e/1=more at 3']))
  const reads = scan.mock.calls.filter(({ arguments: [table] }) => table === 'history').length
  assert.ok(reads <= 4, `${reads} reads`)
  for (const stream of streams) stream.cancel()
})
