/** A lessor against a model that reads all leases at once: what it answers, that nothing ends early, and that all ends. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { unreachable } from '../../../lib/assert.ts'
import type { Clock } from '../../../lib/clock.ts'
import { Revision, Term } from '../../../lib/ids.ts'
import { LEASES } from '../../limits.ts'
import type { StoredLease } from '../../mvcc/lease.ts'
import { Lessor } from '../lease/lessor.ts'
import { LeaseCluster, TIMING } from './lease-cluster.ts'

const IDS = [1n, 2n, 3n, 4n, 5n, 6n, 7n]
const TTL_SECONDS = 3
const LIMITS = { ...LEASES, sliceLeases: 2 }

const id = fc.constantFrom(...IDS)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('grant'), id }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('revoke'), id }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('renew'), id }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('ask'), id }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 2000 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turn') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('promote') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('demote') }) },
)
type Step = (typeof step)['generate'] extends (...args: never) => { readonly value: infer Value } ? Value : never

class World {
  readonly stored = new Map<bigint, StoredLease>()
  /** By the model; empty while nobody leads. */
  readonly deadlines = new Map<bigint, number>()
  readonly turns: (() => void)[] = []
  readonly lessor: Lessor
  nowMs = 0
  term = Term(1)
  leads = false

  constructor() {
    const clock: Clock = {
      monotonicMs: () => this.nowMs,
      wallMs: () => this.nowMs,
      setTimer: () => ({ cancel: () => undefined }),
      soon: (fire) => void this.turns.push(fire),
    }
    this.lessor = new Lessor({
      ...TIMING,
      clock,
      observer: new LeaseCluster(0).observer,
      leases: LIMITS,
      stored: {
        find: (id) => this.stored.get(id),
        list: (after = 0n, limit) =>
          IDS.flatMap((id) => (id > after ? (this.stored.get(id) ?? []) : [])).slice(0, limit),
      },
      leadingTerm: () => (this.leads ? this.term : undefined),
      revoke: (id, term) => {
        assert.equal(term, this.term)
        assert.ok((this.deadlines.get(id) ?? Infinity) <= this.nowMs, `lease ${id} is ended before its time`)
        this.revoke(id)
        return Promise.resolve(true)
      },
    })
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'grant':
        return this.grant(step.id)
      case 'revoke':
        return this.revoke(step.id)
      case 'renew':
        return this.renew(step.id)
      case 'ask':
        return this.ask(step.id)
      case 'pass':
        return this.pass(step.ms)
      case 'turn':
        return this.turns.shift()?.()
      case 'promote':
        return this.promote()
      case 'demote':
        return this.demote()
      default:
        return unreachable(step)
    }
  }

  grant(id: bigint): void {
    if (this.stored.has(id)) return
    this.stored.set(id, { id, ttlSeconds: TTL_SECONDS })
    if (this.leads) this.deadlines.set(id, this.nowMs + TTL_SECONDS * 1000)
    this.lessor.applied({ kind: 'lease-grant', revision: Revision(1), id, ttlSeconds: TTL_SECONDS })
  }

  revoke(id: bigint): void {
    if (!this.stored.delete(id)) return
    this.deadlines.delete(id)
    this.lessor.applied({ kind: 'lease-revoke', revision: Revision(1), id })
  }

  renew(id: bigint): void {
    const deadlineMs = this.deadlines.get(id)
    const problem = this.problem(deadlineMs) ?? ((deadlineMs ?? 0) <= this.nowMs ? 'lease-over' : undefined)
    const renewed = this.lessor.renew(id)
    assert.equal(renewed.ok ? undefined : renewed.error, problem, `a renewal of ${id}`)
    if (problem === undefined) this.deadlines.set(id, Math.max(deadlineMs ?? 0, this.nowMs + TTL_SECONDS * 1000))
  }

  ask(id: bigint): void {
    const deadlineMs = this.deadlines.get(id)
    const life = this.lessor.timeToLive(id)
    const remaining = this.problem(deadlineMs) ?? Math.trunc(((deadlineMs ?? 0) - this.nowMs) / 1000)
    assert.equal(life.ok ? life.value.remainingSeconds : life.error, remaining, `what is left of ${id}`)
  }

  problem(deadlineMs: number | undefined): 'not-primary' | 'lease-not-found' | undefined {
    if (!this.leads) return 'not-primary'
    return deadlineMs === undefined ? 'lease-not-found' : undefined
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.lessor.tick(this.nowMs)
  }

  promote(): void {
    this.term = Term(this.term + 1)
    this.leads = true
    for (const id of this.stored.keys()) this.deadlines.set(id, this.nowMs + TIMING.electionMs + TTL_SECONDS * 1000)
    this.lessor.promote(this.term)
  }

  demote(): void {
    this.leads = false
    this.deadlines.clear()
    this.lessor.demote()
  }

  end(): void {
    this.promote()
    for (let turn = this.turns.shift(); turn !== undefined; turn = this.turns.shift()) turn()
    for (let seconds = 0; seconds < TTL_SECONDS + 2; seconds++) this.pass(1000)
    assert.deepEqual([...this.stored.keys()], [], 'all have ended')
  }
}

/** What was wrong, with the steps that lead to it; undefined when nothing was. */
export function wrongWithLessor(runs: number, seed: number): string | undefined {
  const property = fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
    const world = new World()
    for (const one of steps) world.take(one)
    world.end()
  })
  const details = fc.check(property, { numRuns: runs, seed })
  return details.failed ? `${String(details.errorInstance)}\n${fc.defaultReportMessage(details)}` : undefined
}
