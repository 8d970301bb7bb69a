/** Much at once between members: a follower that was away, and large values through a follower. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { FLOW, MAX_FRAME_SIZE_BYTES } from '../../node-server/limits.ts'
import { eventually, leaderOf, Rig, type Cluster, type MemberProcess } from './member-process.ts'

const VALUE = 'v'.repeat(100_000)
const LARGE = 'V'.repeat(1_500_000)
/** More than may be under way to a peer, several times, and than one frame takes. */
const PUTS_AWAY = 700
const IN_FLIGHT = 16
const PUTS_FORWARDED = 45
const CATCH_UP_TIMEOUT_MS = 25_000

let rig: Rig
let cluster: Cluster

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['m0', 'm1', 'm2'])
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

test('a follower that was away catches up with more than is ever under way, over one connection', async () => {
  assert.ok(PUTS_AWAY * VALUE.length > 2 * Math.max(FLOW.inFlightSizeBytes, MAX_FRAME_SIZE_BYTES))
  const { leader, others } = await leaderOf(cluster.members)
  const [away] = others
  assert.ok(away !== undefined)
  await away.kill('SIGTERM')
  await putMany(leader, 'away', PUTS_AWAY, VALUE, IN_FLIGHT)
  const { appliedIndex } = await leader.status()
  const seen = away.output.length
  await away.start(cluster.flags)
  await eventually(
    'it has caught up',
    async () => assert.ok((await away.status()).appliedIndex >= appliedIndex),
    CATCH_UP_TIMEOUT_MS,
  )
  // The first of a minute would be told, by whoever ends it and by whom it was ended to.
  assert.doesNotMatch(away.output.slice(seen), /ended the connection of a peer|lost the connection to a peer/)
  assert.equal(await away.etcd.get(`away/${PUTS_AWAY - 1}`), VALUE)
})

test('large puts through a follower, all at once, are all answered', async () => {
  assert.ok(PUTS_FORWARDED * LARGE.length > 4 * FLOW.proposedSizeBytes)
  const { leader, others } = await leaderOf(cluster.members)
  const [follower] = others
  assert.ok(follower !== undefined)
  await putMany(follower, 'large', PUTS_FORWARDED, LARGE, PUTS_FORWARDED)
  assert.equal(await leader.etcd.get(`large/${PUTS_FORWARDED - 1}`), LARGE)
})
