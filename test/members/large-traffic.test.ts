/** Much at once between members: a follower that was away, and large values through a follower. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually, leaderOf, Rig, type Cluster, type MemberProcess } from './member-process.ts'

const VALUE = 'v'.repeat(100_000)
const LARGE = 'V'.repeat(1_500_000)
/** More than may be under way to a peer, several times, and than one frame takes. */
const PUTS_AWAY = 800
const IN_FLIGHT = 16
/** More than may be on its way to a leader. */
const PUTS_FORWARDED = 20
/** Nobody is to stand for election while the leader stands still. */
const FLAGS = ['--election-timeout=4000']

let rig: Rig
let cluster: Cluster

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['m0', 'm1', 'm2'], FLAGS)
})
after(() => rig.close())

async function putMany(
  member: MemberProcess,
  prefix: string,
  count: number,
  value: string,
  inFlight: number,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await member.etcd.put(`${prefix}/${next++}`, value)
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
}

/** The sum over all labels that contain the text. */
async function metric(member: MemberProcess, name: string, label = ''): Promise<number> {
  const text = await (await fetch(member.adminURL('/metrics'))).text()
  const lines = text.split('\n').filter((line) => new RegExp(`^${name}[{ ]`).test(line) && line.includes(label))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

test('a follower that was away catches up with more than is ever under way, over one connection, and is sent it once', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const [away] = others
  assert.ok(away !== undefined)
  const { memberId } = await away.status()
  await away.kill('SIGTERM')
  await putMany(leader, 'away', PUTS_AWAY, VALUE, IN_FLIGHT)
  const { appliedIndex } = await leader.status()
  const sentBefore = await metric(leader, 'etcd_network_peer_sent_bytes_total', memberId)
  const seen = away.output.length
  await away.start(cluster.flags)
  await eventually('it has caught up', async () => assert.ok((await away.status()).appliedIndex >= appliedIndex))
  const sentBytes = (await metric(leader, 'etcd_network_peer_sent_bytes_total', memberId)) - sentBefore
  const missingBytes = PUTS_AWAY * VALUE.length
  assert.ok(sentBytes >= missingBytes && sentBytes < 1.5 * missingBytes, `${sentBytes} bytes for ${missingBytes}`)
  // The first of a minute would be told.
  assert.doesNotMatch(away.output.slice(seen), /ended the connection of a peer|lost the connection to a peer/)
  assert.equal(await away.etcd.get(`away/${PUTS_AWAY - 1}`), VALUE)
})

test('large puts through a follower are all answered, although its leader stands still while they come', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const [follower] = others
  assert.ok(follower !== undefined)
  await leader.kill('SIGSTOP')
  const written = putMany(follower, 'large', PUTS_FORWARDED, LARGE, PUTS_FORWARDED)
  await eventually('all of them wait', async () => {
    assert.ok((await metric(follower, 'etcd_server_proposals_pending')) >= PUTS_FORWARDED)
  })
  await leader.kill('SIGCONT')
  await written
  assert.equal(await leader.etcd.get(`large/${PUTS_FORWARDED - 1}`), LARGE)
})
