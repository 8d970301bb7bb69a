/** Writes while there is no leader: they wait for the next one, within their time. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { eventually, leaderOf, Rig, type Cluster, type MemberProcess } from './member-process.ts'

/** 5 s and two of the election timeouts that members are started with. */
const REQUEST_TIMEOUT_MS = 6000
const CLIENTS = 50

let rig: Rig
let three: Cluster

before(async () => {
  rig = await Rig.open()
  three = await rig.cluster(['a', 'b', 'c'])
})
after(() => rig.close())

/** The others stand still, and the member that is left knows of no leader. */
async function leaveAlone(): Promise<{ alone: MemberProcess; others: readonly MemberProcess[] }> {
  const { leader, others } = await leaderOf(three.members)
  const [alone, other] = others
  assert.ok(alone !== undefined && other !== undefined)
  await leader.kill('SIGSTOP')
  await other.kill('SIGSTOP')
  await eventually('there is no leader', async () => assert.equal((await alone.status()).leader, ''))
  return { alone, others: [leader, other] }
}

async function pendingProposals(member: MemberProcess): Promise<number> {
  const metrics = await (await fetch(member.adminURL('/metrics'))).text()
  return Number(/^etcd_server_proposals_pending (\d+)$/m.exec(metrics)?.[1])
}

/** Puts whose client had gone before they were answered. */
async function abandonedPuts(member: MemberProcess): Promise<number> {
  const metrics = await (await fetch(member.adminURL('/metrics'))).text()
  const lines = metrics
    .split('\n')
    .filter((line) => /grpc_method="Put",grpc_code="(Canceled|DeadlineExceeded)"/.test(line))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const goOn = (members: readonly MemberProcess[]): Promise<unknown> =>
  Promise.all(members.map((member) => member.kill('SIGCONT')))

test('clients that put while there is no leader get their answers from the next one, and each put happens once', async () => {
  const { alone, others } = await leaveAlone()
  const before = (await alone.status()).revision
  const puts = Array.from({ length: CLIENTS }, (_, i) => alone.etcd.put(`waits ${i}`, 'for a leader'))
  await eventually('they wait', async () => assert.equal(await pendingProposals(alone), CLIENTS))
  await goOn(others)
  const revisions = await Promise.all(puts)
  assert.equal(new Set(revisions).size, CLIENTS)
  assert.equal(Math.max(...revisions.map(Number)), before + CLIENTS)
})

test('a put that finds no leader in its time fails then, with etcd’s code, and does not happen later', async () => {
  const { alone, others } = await leaveAlone()
  const startMs = performance.now()
  await assert.rejects(alone.etcd.put('late', 'never'), { code: 4, details: 'context deadline exceeded' })
  const tookMs = performance.now() - startMs
  // On a busy core it is told late; its client would have given up much later.
  assert.ok(tookMs >= REQUEST_TIMEOUT_MS && tookMs < 5 * REQUEST_TIMEOUT_MS, `${tookMs} ms`)
  await goOn(others)
  await alone.etcd.put('afterwards', 'it goes on')
  assert.equal(await alone.etcd.get('late'), undefined)
})

test('a put that its client has given up before there was a leader does not happen', async () => {
  const { alone, others } = await leaveAlone()
  const request = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from('given up') })).finish()
  const before = await abandonedPuts(alone)
  await assert.rejects(alone.etcd.callBytes('/etcdserverpb.KV/Put', request, 500), { code: 4 })
  // The leader is back at once: until the member has heard that the client has gone, the put may still happen.
  await eventually('the member knows', async () => assert.equal(await abandonedPuts(alone), before + 1))
  await goOn(others)
  await alone.etcd.put('afterwards', 'it goes on again')
  assert.equal(await alone.etcd.get('given up'), undefined)
})
