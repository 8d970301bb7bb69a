import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lessor, minLeaseTtlSeconds, MAX_PENDING_REVOKES, REVOKE_RETRY_MS } from './lessor.ts'
import { LeaseCluster, TIMING } from '../testing/lease-cluster.ts'
import { settled } from '../testing/virtual-clock.ts'

test('the shortest TTL is one and a half elections in whole seconds (etcd: minLeaseTTL)', () => {
  assert.equal(minLeaseTtlSeconds({ heartbeatMs: 100, electionMs: 1000 }), 2)
  assert.equal(minLeaseTtlSeconds({ heartbeatMs: 50, electionMs: 500 }), 1)
  assert.equal(minLeaseTtlSeconds({ heartbeatMs: 100, electionMs: 2000 }), 3)
  assert.equal(minLeaseTtlSeconds({ heartbeatMs: 100, electionMs: 5000 }), 8)
})

test('a lease that nobody renews is gone after its TTL, with its keys, on every member, and not before', async () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.put('a', 7n)
  cluster.put('b', 7n)
  const { revision } = cluster.at(1).store
  await cluster.clock.pass(4999)
  assert.deepEqual(cluster.leases(), [7n])
  await cluster.clock.pass(1 + TIMING.heartbeatMs)
  assert.deepEqual(cluster.leases(), [])
  for (const { store } of cluster.members) {
    assert.equal(store.revision, revision + 1)
    assert.equal(store.buffer.count('current', Buffer.of(0), undefined), 0)
  }
  assert.equal(cluster.revokesProposed, 1)
  assert.deepEqual(
    cluster.members.map(({ counts }) => [counts.revoked, counts.expired]),
    [
      [1, 1],
      [1, 0],
      [1, 0],
    ],
  )
})

test('a renewal gives the whole TTL again, as often as it comes', async () => {
  const cluster = new LeaseCluster()
  const leader = cluster.elect(0)
  cluster.grant(7n, 5)
  for (let i = 0; i < 5; i++) {
    await cluster.clock.pass(4000)
    assert.deepEqual(await leader.lessor.renew(7n), { ok: true, value: 5 })
  }
  assert.equal(leader.counts.renewed, 5)
  await cluster.clock.pass(4900)
  assert.deepEqual(cluster.leases(), [7n])
  await cluster.clock.pass(300)
  assert.deepEqual(cluster.leases(), [])
})

test('a new leader begins every TTL anew, and an election on top', async () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(7n, 5)
  await cluster.clock.pass(4900)
  cluster.elect(1)
  await cluster.clock.pass(5900)
  assert.deepEqual(cluster.leases(), [7n])
  await cluster.clock.pass(200)
  assert.deepEqual(cluster.leases(), [])
  assert.deepEqual(
    cluster.members.map(({ counts }) => counts.expired),
    [0, 1, 0],
  )
})

test('without a leader nothing ends, and a leader that has lost the lead ends nothing', async () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.unseat()
  await cluster.clock.pass(60_000)
  assert.deepEqual(cluster.leases(), [7n])
  assert.equal(cluster.revokesProposed, 0)
  cluster.leader = cluster.at(1).memberId // which has not applied the first entry of its term
  await cluster.clock.pass(60_000)
  assert.equal(cluster.revokesProposed, 0)
  assert.deepEqual(await cluster.at(1).lessor.renew(7n), { ok: false, error: 'not-primary' })
})

test('a revoke that gets nowhere is proposed again after a while, and by the next leader', async () => {
  const cluster = new LeaseCluster()
  cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.isStuck = true
  await cluster.clock.pass(5100)
  assert.equal(cluster.revokesProposed, 1)
  await cluster.clock.pass(REVOKE_RETRY_MS)
  assert.equal(cluster.revokesProposed, 2)
  cluster.isStuck = false
  await cluster.clock.pass(REVOKE_RETRY_MS)
  assert.deepEqual(cluster.leases(), [])
})

test('a renewal that comes too late waits for the revoke and is told that the lease is gone', async () => {
  const cluster = new LeaseCluster()
  const leader = cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.isStuck = true
  await cluster.clock.pass(6000)
  let answer: unknown
  void leader.lessor.renew(7n).then((given) => (answer = given))
  await settled()
  assert.equal(answer, undefined)
  assert.deepEqual(leader.lessor.timeToLive(7n), { ok: true, value: { ttlSeconds: 5, remainingSeconds: -1 } })
  cluster.isStuck = false
  await cluster.clock.pass(REVOKE_RETRY_MS)
  assert.deepEqual(answer, { ok: false, error: 'lease-not-found' })
})

test('a renewal that waits when the leader loses the lead is sent to the next one', async () => {
  const cluster = new LeaseCluster()
  const leader = cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.isStuck = true
  await cluster.clock.pass(6000)
  const late = leader.lessor.renew(7n)
  cluster.elect(1)
  assert.deepEqual(await late, { ok: false, error: 'not-primary' })
})

test('many that end at once end at a bounded rate', async () => {
  const cluster = new LeaseCluster(1)
  cluster.elect(0)
  for (let id = 1n; id <= 3000n; id++) cluster.grant(id, 5)
  await cluster.clock.pass(5000)
  const before = cluster.leases().length
  await cluster.clock.pass(1000)
  const ended = before - cluster.leases().length
  assert.ok(ended >= 900 && ended <= 1100, `${ended} in a second`)
  await cluster.clock.pass(3000)
  assert.deepEqual(cluster.leases(), [])
})

test('revokes that are not applied do not pile up', async () => {
  const cluster = new LeaseCluster(1)
  cluster.elect(0)
  let proposed = 0
  const lessor = new Lessor({
    ...TIMING,
    clock: cluster.clock,
    observer: cluster.observer,
    leadingTerm: () => cluster.term,
    revoke: () => {
      proposed += 1
      return new Promise(() => undefined)
    },
  })
  lessor.promote(
    cluster.term,
    Array.from({ length: 2000 }, (_, i) => ({ id: BigInt(i + 1), ttlSeconds: 2 })),
  )
  for (let i = 0; i < 100; i++) {
    await cluster.clock.pass(100)
    lessor.tick(cluster.clock.monotonicMs())
  }
  assert.equal(proposed, MAX_PENDING_REVOKES)
})

test('an ID that is granted again after a revoke lives its own time', async () => {
  const cluster = new LeaseCluster()
  const leader = cluster.elect(0)
  cluster.grant(7n, 5)
  await cluster.clock.pass(3000)
  await cluster.at(0).lessor.renew(7n)
  cluster.apply('lease-revoke', Buffer.of(0x08, 7))
  cluster.grant(7n, 20)
  await cluster.clock.pass(19_900)
  assert.deepEqual(cluster.leases(), [7n])
  await cluster.clock.pass(300)
  assert.deepEqual(cluster.leases(), [])
  assert.equal(leader.counts.expired, 1)
  assert.equal(cluster.revokesProposed, 1)
})

test('they are listed by when they end', async () => {
  const cluster = new LeaseCluster()
  const { lessor } = cluster.elect(0)
  for (const [id, ttl] of [
    [1n, 30],
    [2n, 10],
    [3n, 20],
  ] as const)
    cluster.grant(id, ttl)
  assert.deepEqual(lessor.byDeadline(), [2n, 3n, 1n])
  await cluster.clock.pass(5000)
  await lessor.renew(2n)
  await lessor.renew(1n)
  assert.deepEqual(lessor.byDeadline(), [2n, 3n, 1n])
  await cluster.clock.pass(6000)
  await lessor.renew(2n)
  assert.deepEqual(lessor.byDeadline(), [3n, 2n, 1n])
  assert.equal(cluster.at(1).lessor.byDeadline(), undefined)
})
