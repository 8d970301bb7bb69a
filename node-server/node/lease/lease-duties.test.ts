import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_RENEWALS_AT_ONCE, MAX_WAITING_RENEWALS } from '../../limits.ts'
import { Store } from '../../mvcc/store.ts'
import { LeaseCluster } from '../testing/lease-cluster.ts'
import { REVOKE_RETRY_MS } from './lessor.ts'

/** What a call gives after virtual time has gone by. */
async function within<Value>(cluster: LeaseCluster, passMs: number, call: Promise<Value>): Promise<Value | 'waiting'> {
  let given: Value | 'waiting' = 'waiting'
  void call.then((value) => (given = value))
  await cluster.clock.pass(passMs)
  return given
}

test('a follower carries a renewal to the leader, where it counts', async () => {
  const cluster = new LeaseCluster()
  const leader = cluster.elect(0)
  cluster.grant(7n, 5)
  await cluster.clock.pass(4000)
  assert.deepEqual(await within(cluster, 0, cluster.at(2).duties.renew(7n)), { ok: true, value: 5 })
  assert.deepEqual(await within(cluster, 0, cluster.at(2).duties.renew(8n)), { ok: true, value: undefined })
  assert.equal(leader.counts.renewed, 1)
  await cluster.clock.pass(4500)
  assert.deepEqual(cluster.leases(), [7n])
})

test('renewals that come together go to the leader in one question, and each gets its own answer', async () => {
  const cluster = new LeaseCluster()
  const leader = cluster.elect(0)
  for (const id of [1n, 2n, 3n]) cluster.grant(id, 10 * Number(id))
  const { duties } = cluster.at(2)
  const asked = [3n, 4n, 1n, 3n, 2n]
  const answers = await within(cluster, 10, Promise.all(asked.map((id) => duties.renew(id))))
  assert.ok(answers !== 'waiting')
  assert.deepEqual(
    answers.map((answer) => answer.ok && answer.value),
    [30, undefined, 10, 30, 20],
  )
  assert.deepEqual([cluster.questions, leader.counts.renewed], [1, 4])
})

test('more renewals than fit a question are more questions', async () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(7n, 5)
  const { duties } = cluster.at(1)
  const all = Array.from({ length: MAX_RENEWALS_AT_ONCE + 1 }, () => duties.renew(7n))
  const answers = await Promise.all(all)
  assert.ok(answers.every((answer) => answer.ok && answer.value === 5))
  assert.equal(cluster.questions, 2)
})

test('more renewals than may wait are refused at once, and those that wait get their answers', async () => {
  const cluster = new LeaseCluster()
  const { duties } = cluster.at(1)
  const waiting = Array.from({ length: MAX_WAITING_RENEWALS }, () => duties.renew(7n))
  assert.deepEqual(await duties.renew(7n), { ok: false, error: 'too-many-requests' })
  cluster.elect(0)
  cluster.grant(7n, 5)
  await cluster.clock.pass(1000)
  assert.ok((await Promise.all(waiting)).every((answer) => answer.ok && answer.value === 5))
})

test('a renewal that comes too late is answered once the lease is gone, and holds up nobody', async () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.grant(8n, 60)
  cluster.isStuck = true
  await cluster.clock.pass(6000)
  const { duties } = cluster.at(1)
  const [late, other] = [duties.renew(7n), duties.renew(8n)]
  assert.deepEqual(await within(cluster, 10, other), { ok: true, value: 60 })
  assert.equal(await within(cluster, 500, late), 'waiting')
  assert.deepEqual(await within(cluster, 10, duties.renew(8n)), { ok: true, value: 60 })
  cluster.isStuck = false
  assert.deepEqual(await within(cluster, REVOKE_RETRY_MS, late), { ok: true, value: undefined })
})

test('the time to live is the same asked of any member, and the keys come in their order', async () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(-7n, 60)
  for (const key of ['b', 'a', 'c']) cluster.put(key, -7n)
  await cluster.clock.pass(1500)
  for (const { duties } of cluster.members) {
    const lease = await within(cluster, 0, duties.timeToLive(-7n, true))
    assert.ok(lease !== 'waiting' && lease.ok)
    const { ttlSeconds, remainingSeconds, keys } = lease.value ?? assert.fail('there is one')
    assert.deepEqual([ttlSeconds, remainingSeconds], [60, 58])
    assert.equal(keys.map((key) => Buffer.from(key).toString()).join(), 'a,b,c')
    const without = await within(cluster, 0, duties.timeToLive(-7n, false))
    assert.ok(without !== 'waiting' && without.ok)
    assert.deepEqual(without.value?.keys, [])
    assert.deepEqual(await within(cluster, 0, duties.timeToLive(8n, true)), { ok: true, value: undefined })
  }
})

test('during a change of leader a renewal waits, and is answered by the new one', async () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.unseat()
  const renewal = cluster.at(2).duties.renew(7n)
  assert.equal(await within(cluster, 500, renewal), 'waiting')
  cluster.leader = cluster.at(1).memberId
  assert.equal(await within(cluster, 500, renewal), 'waiting', 'its term has not begun')
  cluster.promote(cluster.at(1))
  assert.deepEqual(await within(cluster, 100, renewal), { ok: true, value: 5 })
  assert.equal(cluster.at(1).counts.renewed, 1)
})

test('no leader for too long is an error, and so is one that nobody reaches', async () => {
  const cluster = new LeaseCluster()
  assert.deepEqual(await within(cluster, 7100, cluster.at(0).duties.renew(7n)), { ok: false, error: 'no-leader' })
  const leader = cluster.elect(0)
  cluster.grant(7n, 60)
  leader.isReachable = false
  assert.deepEqual(await within(cluster, 7100, cluster.at(1).duties.renew(7n)), { ok: false, error: 'timeout' })
  assert.deepEqual(await within(cluster, 7100, leader.duties.renew(7n)), { ok: false, error: 'timeout' })
  assert.equal(leader.counts.renewed, 0, 'who cannot confirm that it leads renews nothing')
})

test('at a member that ends, or is removed, nobody waits for an answer', async () => {
  const cluster = new LeaseCluster()
  const member = cluster.at(1)
  const renewal = member.duties.renew(7n)
  assert.equal(await within(cluster, 100, renewal), 'waiting')
  member.isStopped = true
  assert.deepEqual(await within(cluster, 100, renewal), { ok: false, error: 'stopped' })
})

test('a restarted member has its leases, and as leader lets each live its whole TTL', async () => {
  const cluster = new LeaseCluster(1)
  const member = cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.put('a', 7n)
  await cluster.clock.pass(4500)
  cluster.unseat()
  await member.store.commit()
  member.store = new Store(member.store.backend)
  await cluster.clock.pass(30_000)
  cluster.elect(0)
  const lease = await within(cluster, 0, member.duties.timeToLive(7n, true))
  assert.ok(lease !== 'waiting' && lease.ok)
  assert.deepEqual([lease.value?.ttlSeconds, lease.value?.remainingSeconds, lease.value?.keys.length], [5, 6, 1])
  await cluster.clock.pass(6200)
  assert.deepEqual(cluster.leases(), [])
  assert.equal(member.store.buffer.count('leaseKeys', Buffer.of(0), undefined), 0)
})

test('a follower lists what it has by ID, the leader by when it ends', () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(1n, 60)
  cluster.grant(2n, 30)
  assert.deepEqual(cluster.at(0).duties.ids(), [2n, 1n])
  assert.deepEqual(cluster.at(1).duties.ids(), [1n, 2n])
})
