import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { leaderOf, eventually, Rig, type Cluster, type MemberProcess } from './member-process.ts'

/** More than a busy core keeps a renewal waiting. */
const RENEWED_SECONDS = 5

let rig: Rig
let cluster: Cluster

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['a', 'b', 'c'])
})
after(() => rig.close())

/** As each member has it by itself. */
async function isGoneEverywhere(key: string, members: readonly MemberProcess[]): Promise<void> {
  for (const member of members) assert.equal((await member.etcd.all('serializable')).has(key), false, member.name)
}

test('a lease renewed through a follower outlives its TTL; left alone it ends, and its keys with it, on every member', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const [follower] = others
  assert.ok(follower !== undefined)
  const grantedMs = performance.now()
  assert.equal(await follower.etcd.grantLease(7n, RENEWED_SECONDS), RENEWED_SECONDS)
  assert.equal(await leader.etcd.grantLease(8n, 3), 3)
  await follower.etcd.put('renewed', 'x', 7n)
  await follower.etcd.put('left alone', 'x', 8n)
  await eventually('the other lease ends, and this one would have', async () => {
    assert.equal(await follower.etcd.renewLease(7n), RENEWED_SECONDS)
    assert.equal(await follower.etcd.leaseSecondsLeft(8n), -1)
    assert.ok(performance.now() - grantedMs > RENEWED_SECONDS * 1000)
  })
  assert.equal(await leader.etcd.get('renewed'), 'x')
  assert.equal(await leader.etcd.get('left alone'), undefined)
  await eventually('the renewed lease ends', async () => assert.equal(await follower.etcd.leaseSecondsLeft(7n), -1))
  assert.equal(await follower.etcd.renewLease(7n), 0)
  await eventually('its key is gone everywhere', () => isGoneEverywhere('renewed', cluster.members))
})

test('a killed leader: its successor lets leases live their whole TTL again, and then ends them; all have the same revision', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const [asked] = others
  assert.ok(asked !== undefined)
  await asked.etcd.grantLease(9n, 4)
  await asked.etcd.put('kept', 'x', 9n)
  await eventually('most of its time is over', async () => assert.ok((await asked.etcd.leaseSecondsLeft(9n)) < 1))
  await leader.kill('SIGKILL')
  // With the rest of the old deadline it would have less than a second.
  const left = await eventually('the new leader tells', () => asked.etcd.leaseSecondsLeft(9n))
  assert.ok(left >= 1, `${left} s left`)
  assert.equal(await asked.etcd.get('kept'), 'x')
  await eventually('it ends', async () => assert.equal(await asked.etcd.leaseSecondsLeft(9n), -1))
  await leader.start(cluster.flags)
  await leader.isReady()
  await eventually('its key is gone everywhere', () => isGoneEverywhere('kept', cluster.members))
  const revisions = await Promise.all(cluster.members.map(async (member) => (await member.status()).revision))
  assert.equal(new Set(revisions).size, 1, revisions.join())
})
