import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep, type Clock } from '../../../lib/clock.ts'
import { Revision } from '../../../lib/ids.ts'
import { LEASES } from '../../limits.ts'
import { Lessor, minLeaseTtlSeconds, REVOKE_RETRY_MS, type StoredLeases } from './lessor.ts'
import { LeaseCluster, TIMING } from '../testing/lease-cluster.ts'
import { wrongWithLessor } from '../testing/lessor-property.ts'
import { settled } from '../testing/virtual-clock.ts'

test('the shortest TTL is one and a half elections in whole seconds (etcd: minLeaseTTL)', () => {
  assert.equal(minLeaseTtlSeconds({ heartbeatMs: 100, electionMs: 1000 }), 2)
  assert.equal(minLeaseTtlSeconds({ heartbeatMs: 50, electionMs: 500 }), 1)
  assert.equal(minLeaseTtlSeconds({ heartbeatMs: 100, electionMs: 2000 }), 3)
  assert.equal(minLeaseTtlSeconds({ heartbeatMs: 100, electionMs: 5000 }), 8)
})

test('leases live and end as in a model that reads all of them at once, whoever leads since when', () => {
  assert.equal(wrongWithLessor(500, 1), undefined)
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
    assert.deepEqual(leader.lessor.renew(7n), { ok: true, value: 5 })
  }
  assert.equal(leader.counts.renewed, 5)
  await cluster.clock.pass(4900)
  assert.deepEqual(cluster.leases(), [7n])
  await cluster.clock.pass(300)
  assert.deepEqual(cluster.leases(), [])
})

test('a new leader starts every TTL again, and an election on top', async () => {
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
  assert.deepEqual(cluster.at(1).lessor.renew(7n), { ok: false, error: 'not-primary' })
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

test('a renewal that comes too late is not carried out; the lease is there until its revoke is applied', async () => {
  const cluster = new LeaseCluster()
  const leader = cluster.elect(0)
  cluster.grant(7n, 5)
  cluster.isStuck = true
  await cluster.clock.pass(6000)
  assert.deepEqual(leader.lessor.renew(7n), { ok: false, error: 'lease-over' })
  assert.deepEqual(leader.lessor.timeToLive(7n), { ok: true, value: { ttlSeconds: 5, remainingSeconds: -1 } })
  cluster.isStuck = false
  await cluster.clock.pass(REVOKE_RETRY_MS)
  assert.deepEqual(leader.lessor.renew(7n), { ok: false, error: 'lease-not-found' })
})

const many = (count: number, ttlSeconds: number): StoredLeases => {
  const all = Array.from({ length: count }, (_, i) => ({ id: BigInt(i + 1), ttlSeconds }))
  return {
    find: (id) => all[Number(id) - 1],
    list: (after = 0n, limit) => all.slice(Number(after), Number(after) + limit),
  }
}

/** Of a member that leads, with revokes that take as long as a test says. */
function lessorOf(
  { term, observer, clock: virtual }: LeaseCluster,
  stored: StoredLeases,
  revoke: (id: bigint) => Promise<boolean>,
  clock: Clock = virtual,
): Lessor {
  return new Lessor({ ...TIMING, clock, observer, stored, leases: LEASES, leadingTerm: () => term, revoke })
}

test('many that end at once are all gone soon after, at a bounded rate', async () => {
  const cluster = new LeaseCluster(1)
  const revoked: number[] = []
  const lessor = lessorOf(cluster, many(20_000, 5), async (id) => {
    await sleep(cluster.clock, 5)
    lessor.applied({ kind: 'lease-revoke', revision: Revision(1), id })
    revoked.push(cluster.clock.monotonicMs())
    return true
  })
  lessor.promote(cluster.term)
  const tick = (): void => {
    lessor.tick(cluster.clock.monotonicMs())
    cluster.clock.setTimer(TIMING.heartbeatMs, tick)
  }
  tick()
  await cluster.clock.pass(TIMING.electionMs + 5000)
  assert.equal(revoked.length, 0)
  await cluster.clock.pass(2500)
  assert.equal(revoked.length, 20_000)
  const first = revoked[0] ?? 0
  const inFirstSecond = revoked.filter((atMs) => atMs < first + 1000).length
  assert.ok(inFirstSecond <= LEASES.endsPerSecond + LEASES.pendingEnds, `${inFirstSecond} in a second`)
})

test('revokes that are not applied do not pile up', async () => {
  const cluster = new LeaseCluster(1)
  let proposed = 0
  const lessor = lessorOf(cluster, many(2000, 2), () => {
    proposed += 1
    return new Promise(() => undefined)
  })
  lessor.promote(cluster.term)
  for (let i = 0; i < 100; i++) {
    await cluster.clock.pass(100)
    lessor.tick(cluster.clock.monotonicMs())
  }
  assert.equal(proposed, LEASES.pendingEnds)
})

test('a new leader reads its leases in slices, and knows at once what it is asked for', async () => {
  const cluster = new LeaseCluster(1)
  const stored = many(5 * LEASES.sliceLeases, 60)
  let atOnce = 0
  const list: StoredLeases['list'] = (after, limit) => {
    atOnce = Math.max(atOnce, limit)
    return stored.list(after, limit)
  }
  const lessor = lessorOf(cluster, { ...stored, list }, () => Promise.resolve(true))
  lessor.promote(cluster.term)
  const last = BigInt(5 * LEASES.sliceLeases)
  assert.equal(lessor.byDeadline(), undefined, 'it does not know them all')
  assert.deepEqual(lessor.timeToLive(last), { ok: true, value: { ttlSeconds: 60, remainingSeconds: 61 } })
  assert.deepEqual(lessor.renew(last + 1n), { ok: false, error: 'lease-not-found' })
  for (let i = 0; i < 10; i++) await settled()
  assert.equal(lessor.byDeadline()?.length, Number(last))
  assert.equal(atOnce, LEASES.sliceLeases)
})

test('a lease that is renewed before a new leader has read it keeps what it was given', async () => {
  const cluster = new LeaseCluster(1)
  let nowMs = 0
  const turns: (() => void)[] = []
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    setTimer: () => ({ cancel: () => undefined }),
    soon: (fire) => void turns.push(fire),
  }
  const stored = many(2 * LEASES.sliceLeases, 5)
  const lessor = lessorOf(cluster, stored, () => Promise.resolve(true), clock)
  lessor.promote(cluster.term)
  nowMs += 4000
  const last = BigInt(2 * LEASES.sliceLeases)
  assert.deepEqual(lessor.renew(last), { ok: true, value: 5 })
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn()
  assert.deepEqual(lessor.timeToLive(last - 1n), { ok: true, value: { ttlSeconds: 5, remainingSeconds: 2 } })
  assert.deepEqual(lessor.timeToLive(last), { ok: true, value: { ttlSeconds: 5, remainingSeconds: 5 } })
})

test('an ID that is granted again after a revoke lives its own time', async () => {
  const cluster = new LeaseCluster()
  const leader = cluster.elect(0)
  cluster.grant(7n, 5)
  await cluster.clock.pass(3000)
  cluster.at(0).lessor.renew(7n)
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
  lessor.renew(2n)
  lessor.renew(1n)
  assert.deepEqual(lessor.byDeadline(), [2n, 3n, 1n])
  await cluster.clock.pass(6000)
  lessor.renew(2n)
  assert.deepEqual(lessor.byDeadline(), [3n, 2n, 1n])
  assert.equal(cluster.at(1).lessor.byDeadline(), undefined)
})
