/**
 * Leader election over a real Lease behind a faulty proxy: candidate `a` sees the faults, candidate `b` does not. What
 * must hold in each: never two permits at once, and somebody leads in the end. Times are a tenth of the real ones.
 */
import { until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { systemClock } from '../../lib/system-clock.ts'
import { seeded } from '../../node-server/raft/testing/random.ts'
import { LeaderElector } from '../../operator/controller/leader-election.ts'
import type { KubeClient } from '../../operator/kube/client.ts'
import { isProblem } from '../../operator/kube/api-error.ts'
import { leaseApi } from '../../operator/lease-api.ts'
import { answer, type Fault, type Rule } from './faulty-proxy.ts'
import { NAMESPACE, startPlumbing, type Plumbing } from './plumbing.ts'

const LEASE = { namespace: NAMESPACE, name: 'operator' }
const TIMES = { leaseDurationMs: 2000, renewDeadlineMs: 1000, retryPeriodMs: 150 }
/** Where nobody may lose by accident, on a busy machine either. */
const PATIENT = { ...TIMES, leaseDurationMs: 9000, renewDeadlineMs: 7000 }
const HARMLESS_MS = 2500

interface Candidate {
  readonly elector: LeaderElector
  readonly stop: AbortController
  readonly errors: unknown[]
  end: 'lost' | 'stopped' | undefined
  /** Resolves with it. */
  readonly ended: PromiseWithResolvers<void>
}

function candidate(t: TestContext, identity: string, client: KubeClient, times = TIMES): Candidate {
  const stop = new AbortController()
  const errors: unknown[] = []
  const elector = new LeaderElector({
    identity,
    api: leaseApi(client, LEASE),
    clock: systemClock,
    random: Math.random,
    onLeaderSeen: () => undefined,
    onError: (error) => errors.push(error),
    ...times,
  })
  t.after(() => stop.abort())
  return { elector, stop, errors, end: undefined, ended: Promise.withResolvers() }
}

/** Acquires, holds, and says how it ended. */
function run(candidate: Candidate): void {
  void candidate.elector.acquire(candidate.stop.signal).then(async (isLeader) => {
    if (!isLeader) return
    candidate.end = await candidate.elector.hold(candidate.stop.signal)
    candidate.ended.resolve()
  })
}

/** Looked at every few milliseconds so far. */
interface Watched {
  /** How often all had a permit. */
  readonly both: () => number
  /** When the first of them had one. */
  readonly lastOfFirstMs: () => number
}

function watchPermits(t: TestContext, candidates: readonly Candidate[]): Watched {
  let both = 0
  let lastOfFirstMs = 0
  const timer = setInterval(() => {
    const nowMs = performance.now()
    const [isFirst, ...areOthers] = candidates.map(({ elector }) => elector.permit().isAllowed)
    if (isFirst === true) lastOfFirstMs = nowMs
    if (isFirst === true && areOthers.every(Boolean)) both++
  }, 2)
  t.after(() => clearInterval(timer))
  return { both: () => both, lastOfFirstMs: () => lastOfFirstMs }
}

async function pair(
  t: TestContext,
  times = TIMES,
): Promise<Plumbing & { a: Candidate; b: Candidate; permits: Watched }> {
  const plumbing = await startPlumbing(t)
  const a = candidate(t, 'a', plumbing.faulty, times)
  const b = candidate(t, 'b', plumbing.direct, times)
  run(a)
  await until('a leads', () => a.elector.isLeader())
  run(b)
  return { ...plumbing, a, b, permits: watchPermits(t, [a, b]) }
}

const writes =
  (fault: Fault): Rule =>
  ({ method }) =>
    method === 'PUT' ? fault : undefined

/** With each of these a leader cannot renew. */
const FATAL: Readonly<Record<string, Rule>> = {
  'connections are reset': () => ({ kind: 'reset' }),
  'half-open: nothing is ever answered': () => ({ kind: 'silence' }),
  'answers stall in the middle': () => ({ kind: 'stall', afterBytes: 40 }),
  'answers come byte by byte': () => ({ kind: 'slow', chunkBytes: 1, everyMs: 20 }),
  'every answer is 500': () => answer(500, 'InternalError'),
  'every answer is 429 with a Retry-After beyond the deadline': () =>
    answer(429, 'TooManyRequests', { 'retry-after': '30' }),
  'every answer is 403': () => answer(403, 'Forbidden'),
  'every answer is malformed JSON': () => ({ kind: 'answer', status: 200, body: '{"kind":"Lease",' }),
  'writes never come through, reads do': writes({ kind: 'silence' }),
}

/** With each of these a leader stays. */
const HARMLESS: Readonly<Record<string, Rule>> = {
  'answers of writes are lost after success': everyOther(writes({ kind: 'reset-after-success' })),
  'every other connection is reset': everyOther(() => ({ kind: 'reset' })),
  'every other answer is 500': everyOther(() => answer(500, 'InternalError')),
  '429 with a short Retry-After': everyOther(() => answer(429, 'TooManyRequests', { 'retry-after': '0.05' })),
  'answers come late, within the deadline': () => ({ kind: 'delay', delayMs: 200 }),
  'every other answer is an HTML page': everyOther(() => ({ kind: 'answer', status: 200, body: '<html></html>' })),
}

function everyOther(rule: Rule): Rule {
  let count = 0
  return (passing) => (count++ % 2 === 0 ? rule(passing) : undefined)
}

suite('leader election', { concurrency: 8 }, () => {
  for (const [title, rule] of Object.entries(FATAL)) {
    test(`${title}: the leader gives up in time, the other takes over, never both`, async (t) => {
      const { proxy, a, b, permits } = await pair(t)
      proxy.rule = rule
      const brokenAtMs = performance.now()
      await a.ended.promise
      assert.deepEqual([a.end, b.elector.isLeader()], ['lost', false], 'the lease outlives the permit')
      const heldMs = permits.lastOfFirstMs() - brokenAtMs
      assert.ok(heldMs <= TIMES.renewDeadlineMs, `it went on for ${heldMs} ms`)
      assert.equal(a.elector.permit().isAllowed, false)
      await until('b to lead', () => b.elector.isLeader())
      assert.equal(permits.both(), 0)
      assert.ok(a.errors.length > 0)
    })
  }

  for (const [title, rule] of Object.entries(HARMLESS)) {
    test(`${title}: the leader stays, and is not doubted`, async (t) => {
      const { proxy, direct, a, b, permits } = await pair(t, PATIENT)
      const transitions = async (): Promise<unknown> => Reflect.get(Object((await direct.get('Lease', LEASE))?.['spec']), 'leaseTransitions') // prettier-ignore
      const before = await transitions()
      proxy.rule = rule
      await new Promise((resolve) => setTimeout(resolve, HARMLESS_MS))
      await until('it is struck', () => [...proxy.struck.values()].reduce((sum, count) => sum + count, 0) >= 3)
      assert.deepEqual([a.elector.isLeader(), a.end, b.elector.isLeader()], [true, undefined, false])
      assert.equal(await transitions(), before)
      assert.equal(permits.both(), 0)
    })
  }

  test('the answer to the creation of the Lease is lost: who created it leads', async (t) => {
    const { proxy, faulty } = await startPlumbing(t)
    const a = candidate(t, 'a', faulty)
    proxy.rule = ({ method }) => (method === 'POST' ? { kind: 'reset-after-success' } : undefined)
    run(a)
    await until('a leads', () => a.elector.isLeader())
    assert.equal(proxy.struck.get('reset-after-success'), 1)
    assert.equal(proxy.forwarded.filter(({ method }) => method === 'POST').length, 1)
  })

  test('two candidates create the Lease at once: one leads', async (t) => {
    const { proxy, faulty, direct } = await startPlumbing(t)
    proxy.rule = () => ({ kind: 'delay', delayMs: 10 })
    const both = [candidate(t, 'a', faulty), candidate(t, 'b', direct)]
    const permits = watchPermits(t, both)
    for (const each of both) run(each)
    await until('a leader', () => both.some(({ elector }) => elector.isLeader()))
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.equal(both.filter(({ elector }) => elector.isLeader()).length, 1)
    assert.equal(permits.both(), 0)
  })

  test('the Lease is deleted by hand: the leader writes it again, or another leads; never both', async (t) => {
    const { direct, a, b, permits } = await pair(t)
    for (let round = 0; round < 3; round++) {
      const lease = await direct.get('Lease', LEASE)
      if (lease !== undefined) await direct.delete('Lease', LEASE, { uid: lease.metadata.uid })
      await new Promise((resolve) => setTimeout(resolve, 2 * TIMES.retryPeriodMs))
    }
    await until('a leader', () => a.elector.isLeader() || b.elector.isLeader())
    assert.equal(permits.both(), 0)
  })

  test('released after draining, the lease is taken long before its end', async (t) => {
    const { a, b, permits } = await pair(t, PATIENT)
    await new Promise((resolve) => setTimeout(resolve, 200))
    a.stop.abort()
    await until('a to stop', () => a.end === 'stopped')
    const releasedAtMs = performance.now()
    await a.elector.release()
    await until('b to lead', () => b.elector.isLeader())
    assert.ok(performance.now() - releasedAtMs < PATIENT.leaseDurationMs / 2, 'sooner than it would have run out')
    assert.equal(permits.both(), 0)
  })

  test('a mutation begun with a permit ends before another may lead, however slow the server', async (t) => {
    const { proxy, a, b, guarded } = await pair(t)
    const client = guarded(() => a.elector.permit())
    proxy.rule = () => ({ kind: 'silence' })
    const outcome = client
    .create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: NAMESPACE, name: 'x' } })
    .then(() => 'created', (error: unknown) => (isProblem(error, 'Timeout') ? 'timeout' : error)) // prettier-ignore
    let isB: boolean | undefined
    const ended = outcome.then((result) => {
      isB = b.elector.isLeader()
      return result
    })
    assert.equal(await ended, 'timeout')
    assert.equal(isB, false, 'it had ended while the lease was still held')
    await until('a to lose', () => a.end === 'lost')
    const refused = client.create({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: NAMESPACE, name: 'y' },
    })
    await assert.rejects(refused, (error) => isProblem(error, 'NotLeader'))
  })

  for (const seed of [1, 2]) {
    test(`any fault at any request, seed ${seed}: never two permits, and a leader in the end`, async (t) => {
      const plumbing = await startPlumbing(t)
      const random = seeded(seed)
      const faults: readonly (Fault | undefined)[] = [
        undefined,
        undefined,
        { kind: 'reset' },
        { kind: 'reset-after-success' },
        { kind: 'silence' },
        { kind: 'delay', delayMs: 400 },
        answer(500, 'InternalError'),
        answer(429, 'TooManyRequests', { 'retry-after': '1' }),
        answer(409, 'Conflict'),
      ]
      plumbing.proxy.rule = () => random.pick(faults)
      const candidates: Candidate[] = []
      const lives: Candidate[] = []
      // Both see faults, and each begins again under another name when it has lost, as a restarted process does.
      const live = async (name: string): Promise<void> => {
        for (let life = 0; life < 20 && !t.signal.aborted; life++) {
          const each = candidate(t, `${name}-${life}`, plumbing.faulty)
          lives.push(each)
          candidates.push(each)
          if (await each.elector.acquire(AbortSignal.any([each.stop.signal, over.signal]))) {
            await each.elector.hold(AbortSignal.any([each.stop.signal, over.signal]))
          }
          if (over.signal.aborted) return
        }
      }
      const over = new AbortController()
      t.after(() => over.abort())
      let most = 0
      let led = 0
      const timer = setInterval(() => {
        const permitted = candidates.filter(({ elector }) => elector.permit().isAllowed).length
        most = Math.max(most, permitted)
        led += permitted
      }, 2)
      t.after(() => clearInterval(timer))
      void live('a')
      void live('b')
      await new Promise((resolve) => setTimeout(resolve, 5000))
      plumbing.proxy.rule = () => undefined
      await until('a leader that was seen to have a permit', () => led > 0)
      assert.equal(most, 1)
    })
  }
})
