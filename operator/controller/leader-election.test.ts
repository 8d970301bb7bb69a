import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaseApi, LeaseRecord, LeaseSpec } from './leader-election.ts'
import { LeaderElector, microTime } from './leader-election.ts'
import { ManualClock } from '../../lib/testing/manual-clock.ts'

/** One Lease with optimistic locking; `mode` makes it refuse or swallow requests. */
class FakeLease implements LeaseApi {
  record: LeaseRecord | undefined
  mode: 'ok' | 'failing' | 'silent' = 'ok'
  writes = 0
  aborted = 0
  #version = 0

  async #gate(signal: AbortSignal): Promise<void> {
    if (this.mode === 'failing') throw new Error('connection refused')
    if (this.mode !== 'silent') return
    await new Promise<void>((_, reject) =>
      signal.addEventListener('abort', () => {
        this.aborted++
        reject(new Error('aborted'))
      }),
    )
  }

  async read(signal: AbortSignal): Promise<LeaseRecord | undefined> {
    await this.#gate(signal)
    return this.record
  }

  async create(spec: LeaseSpec, signal: AbortSignal): Promise<LeaseRecord | 'conflict'> {
    await this.#gate(signal)
    if (this.record !== undefined) return 'conflict'
    return this.#write(spec)
  }

  async update(spec: LeaseSpec, resourceVersion: string, signal: AbortSignal): Promise<LeaseRecord | 'conflict'> {
    await this.#gate(signal)
    if (this.record?.resourceVersion !== resourceVersion) return 'conflict'
    return this.#write(spec)
  }

  #write(spec: LeaseSpec): LeaseRecord {
    this.writes++
    this.record = { resourceVersion: String(++this.#version), spec }
    return this.record
  }
}

function candidate(identity: string, api: LeaseApi, clock: ManualClock) {
  const errors: unknown[] = []
  const seen: string[] = []
  const stop = new AbortController()
  const elector = new LeaderElector({
    identity,
    api,
    clock,
    random: () => 0,
    onLeaderSeen: (leader) => seen.push(leader),
    onError: (error) => errors.push(error),
  })
  return { elector, errors, seen, stop, acquired: elector.acquire(stop.signal) }
}

const heldBy = (holderIdentity: string): LeaseSpec => ({
  holderIdentity,
  leaseDurationSeconds: 15,
  acquireTime: '2030-01-01T00:00:00.000000Z',
  renewTime: '2030-01-01T00:00:01.000000Z',
  leaseTransitions: 0,
})

/** Stops a leader's renewals the way a crash does: nothing is released. */
async function crash(leader: ReturnType<typeof candidate>, clock: ManualClock): Promise<void> {
  leader.stop.abort()
  await clock.advance(0)
}

test('the first candidate takes a lease that does not exist, and renews it every 2 s', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  assert.equal(await a.acquired, true)
  const held = a.elector.hold(a.stop.signal)
  await clock.advance(10_500)
  assert.equal(lease.writes, 6)
  assert.deepEqual(lease.record?.spec, {
    holderIdentity: 'a',
    leaseDurationSeconds: 15,
    acquireTime: '2030-01-01T00:00:00.000000Z',
    renewTime: '2030-01-01T00:00:10.000000Z',
    leaseTransitions: 0,
  })
  assert.deepEqual(a.seen, ['a'])
  await crash(a, clock)
  assert.equal(await held, 'stopped')
})

test('a second candidate waits for the whole lease duration on its own clock after the last renewal', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  void a.elector.hold(a.stop.signal)
  const b = candidate('b', lease, clock)
  await clock.advance(60_000)
  assert.equal(b.elector.isLeader(), false)
  await crash(a, clock)
  await clock.advance(14_000)
  assert.equal(b.elector.isLeader(), false)
  assert.equal(a.elector.isLeader(), false)
  await clock.advance(4000)
  assert.equal(await b.acquired, true)
  assert.equal(lease.record?.spec.leaseTransitions, 1)
  assert.deepEqual(b.seen, ['a', 'b'])
})

test('a renewal that was carried out and not answered before the stop does not keep the lease from being released', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  const { record } = lease
  assert(record !== undefined)
  await lease.update(heldBy('a'), record.resourceVersion, new AbortController().signal)
  await crash(a, clock)
  await a.elector.release()
  assert.equal(Reflect.get(Object(lease.record), 'spec').holderIdentity, '')
})

test('a lease that another has taken is not released', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  const { record } = lease
  assert(record !== undefined)
  await lease.update(heldBy('b'), record.resourceVersion, new AbortController().signal)
  await a.elector.release()
  assert.deepEqual(Reflect.get(Object(lease.record), 'spec'), heldBy('b'))
})

test('a released lease is taken within a retry period', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  const b = candidate('b', lease, clock)
  await clock.advance(3000)
  await a.elector.release()
  assert.equal(a.elector.isLeader(), false)
  assert.equal(lease.record?.spec.holderIdentity, '')
  await clock.advance(3000)
  assert.equal(await b.acquired, true)
})

test('permission ends at the renew deadline, before another candidate may begin', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  assert.deepEqual(a.elector.permit(), { isAllowed: true, withinMs: 15_000 })
  await clock.advance(9999)
  assert.deepEqual(a.elector.permit(), { isAllowed: true, withinMs: 5001 })
  await clock.advance(1)
  assert.deepEqual(a.elector.permit(), { isAllowed: false, reason: 'the lease was last renewed 10000 ms ago' })
})

for (const mode of ['failing', 'silent'] as const) {
  test(`a leader whose renewals are ${mode} has lost after the renew deadline, not later`, async () => {
    const clock = new ManualClock()
    const lease = new FakeLease()
    const a = candidate('a', lease, clock)
    await clock.advance(0)
    let result: string | undefined
    void a.elector.hold(a.stop.signal).then((r) => (result = r))
    await clock.advance(4000)
    lease.mode = mode
    await clock.advance(9900)
    assert.equal(result, undefined)
    await clock.advance(200)
    assert.equal(result, 'lost')
    assert.equal(a.elector.isLeader(), false)
    assert.ok(a.errors.length > 0)
    if (mode === 'silent') assert.equal(lease.aborted, 1, 'the request was aborted at the deadline')
  })
}

test('a leader that misses some renewals and then succeeds keeps the lease', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  void a.elector.hold(a.stop.signal)
  lease.mode = 'failing'
  await clock.advance(7000)
  lease.mode = 'ok'
  await clock.advance(20_000)
  assert.equal(a.elector.isLeader(), true)
})

test('a leader whose record another one overwrote has lost at once', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  const held = a.elector.hold(a.stop.signal)
  const spec = lease.record?.spec
  assert.ok(spec !== undefined)
  lease.record = { resourceVersion: 'other', spec: { ...spec, holderIdentity: 'b' } }
  await clock.advance(2000)
  assert.equal(await held, 'lost')
})

test('a Lease deleted by hand is written again by its leader; another does not lead while that one may', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  const b = candidate('b', lease, clock)
  await clock.advance(1000)
  void a.elector.hold(a.stop.signal)
  lease.record = undefined
  await clock.advance(1900)
  assert.deepEqual([a.elector.isLeader(), b.elector.isLeader()], [true, false])
  await clock.advance(1100)
  assert.equal(Reflect.get(Object(lease.record), 'spec').holderIdentity, 'a')
  await crash(a, clock)
  lease.record = undefined
  await clock.advance(11_000)
  assert.equal(b.elector.isLeader(), false)
  await clock.advance(7000)
  assert.equal(await b.acquired, true)
})

test('a write by somebody who left the holder alone does not cost the lease', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const a = candidate('a', lease, clock)
  await clock.advance(0)
  void a.elector.hold(a.stop.signal)
  lease.record = { resourceVersion: 'labelled by hand', spec: lease.record?.spec ?? {} }
  await clock.advance(2500)
  assert.equal(a.elector.isLeader(), true)
  assert.notEqual(lease.record.resourceVersion, 'labelled by hand')
})

test('two candidates never hold a permit at once, whatever fails', async () => {
  const clock = new ManualClock()
  const lease = new FakeLease()
  const both = [candidate('a', lease, clock), candidate('b', lease, clock)]
  for (const c of both) void c.acquired.then(async () => c.elector.hold(c.stop.signal))
  let leads = 0
  for (let step = 0; step < 400; step++) {
    lease.mode = step % 40 > 25 ? (step % 80 > 40 ? 'silent' : 'failing') : 'ok'
    await clock.advance(500)
    const permitted = both.filter((c) => c.elector.isLeader()).length
    assert.ok(permitted <= 1, `two leaders at step ${step}`)
    leads += permitted
  }
  assert.ok(leads > 0)
})

test('times carry six digits of a second, the form of V1MicroTime', () => {
  assert.equal(microTime(Date.UTC(2030, 4, 6, 7, 8, 9, 123)), '2030-05-06T07:08:09.123000Z')
  assert.equal(microTime(0.25), '1970-01-01T00:00:00.000250Z')
})
