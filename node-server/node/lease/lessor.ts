/**
 * When leases end. Their deadlines live in the memory of the leader alone: it begins to keep them once it has applied the
 * first entry of its term, with each lease's whole time ahead of it again, and forgets them when it no longer leads. A
 * lease that is over ends by a revoke in the log, proposed in the leader's own term or not at all, so that a member that
 * has lost the lead without noticing cannot end what its successor has extended.
 *
 * Invariants: a deadline never gets earlier; each lease has one entry in the heap, and revoked ones are dropped there
 * when they come up or when they are the greater part of it.
 * Source: etcd's lessor.
 */
import type { Clock } from '../../../lib/clock.ts'
import type { Term } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { StoredLease } from '../../mvcc/lease.ts'
import type { LeaseResult } from '../../mvcc/results.ts'
import { addDue, takeDue } from './deadlines.ts'
import type { NodeObserver } from '../observer.ts'

/** Leases that are ended in a second, as in etcd. */
export const REVOKES_PER_SECOND = 1000
/** Revokes proposed and not applied yet. */
export const MAX_PENDING_REVOKES = 256
/** A revoke without success is proposed again after this time, as in etcd. */
export const REVOKE_RETRY_MS = 3000
/** Revoked leases that the heap may hold beside as many as there are. */
const MAX_STALE = 1024

export interface LessorParts {
  readonly clock: Clock
  readonly heartbeatMs: number
  readonly electionMs: number
  readonly observer: NodeObserver
  /** Undefined when this member does not lead. */
  readonly leadingTerm: () => Term | undefined
  /** Proposes it in that term or not at all. True once it is applied here, false when that is not known. */
  readonly revoke: (id: bigint, term: Term) => Promise<boolean>
}

/** `not-primary`: this member does not lead, or has not applied the first entry of its term. */
export type LessorProblem = 'not-primary' | 'lease-not-found'

export interface LeaseLife {
  /** As granted, or the minimum where that is more. */
  readonly ttlSeconds: number
  /** Whole seconds; negative when it should have ended. */
  readonly remainingSeconds: number
}

interface Tracked {
  readonly id: bigint
  readonly ttlSeconds: number
  deadlineMs: number
  /** Of its entry in the heap: not after the deadline before that has passed, when to try again afterwards. */
  dueMs: number
  /** Renewals that came too late wait here for the revoke. */
  late: ((problem: LessorProblem) => void)[]
}

/** Shorter leases are made this long: half as long again as an election takes, in whole seconds (etcd). */
export function minLeaseTtlSeconds({
  heartbeatMs,
  electionMs,
}: Pick<LessorParts, 'heartbeatMs' | 'electionMs'>): number {
  const electionTicks = Math.floor(electionMs / heartbeatMs)
  return Math.ceil((Math.floor((3 * electionTicks) / 2) * heartbeatMs) / 1000)
}

export class Lessor {
  readonly minTtlSeconds: number
  readonly #parts: LessorParts
  readonly #leases = new Map<bigint, Tracked>()
  #heap: Tracked[] = []
  /** In which the deadlines were begun; undefined while there are none. */
  #term: Term | undefined
  #pendingRevokes = 0
  #lastTickMs = 0

  constructor(parts: LessorParts) {
    this.#parts = parts
    this.minTtlSeconds = minLeaseTtlSeconds(parts)
  }

  /**
   * The first entry of the term is applied, and this member leads in it. The time of an election comes on top of each
   * TTL, because the leader before may have renewed a lease for as long as it did not know of its end.
   */
  promote(term: Term, leases: Iterable<StoredLease>): void {
    this.demote()
    const nowMs = this.#parts.clock.monotonicMs()
    this.#term = term
    this.#lastTickMs = nowMs
    for (const lease of leases) this.#track(lease, nowMs + this.#parts.electionMs)
  }

  /** Forgets all deadlines. */
  demote(): void {
    if (this.#term === undefined) return
    this.#term = undefined
    const leases = [...this.#leases.values()]
    this.#leases.clear()
    this.#heap = []
    for (const { late } of leases) for (const tell of late) tell('not-primary')
  }

  /** A grant or a revoke has been applied here. */
  applied(result: LeaseResult): void {
    const { observer, clock } = this.#parts
    if (result.kind === 'lease-grant') {
      observer.leaseGranted(result.ttlSeconds)
      if (this.#isPrimary()) this.#track(result, clock.monotonicMs())
      return
    }
    observer.leaseRevoked()
    const lease = this.#leases.get(result.id)
    if (lease === undefined) return
    this.#leases.delete(result.id)
    if (this.#heap.length > 2 * this.#leases.size + MAX_STALE) this.#rebuild()
    for (const tell of lease.late) tell('lease-not-found')
  }

  /** The TTL that the lease has ahead of it now. For one that is over, the answer waits until it is revoked. */
  async renew(id: bigint): Promise<Result<number, LessorProblem>> {
    if (!this.#isPrimary()) return err('not-primary')
    const lease = this.#leases.get(id)
    if (lease === undefined) return err('lease-not-found')
    const nowMs = this.#parts.clock.monotonicMs()
    if (lease.deadlineMs <= nowMs) return err(await new Promise((resolve) => lease.late.push(resolve)))
    lease.deadlineMs = Math.max(lease.deadlineMs, nowMs + lease.ttlSeconds * 1000)
    this.#parts.observer.leaseRenewed()
    return ok(lease.ttlSeconds)
  }

  timeToLive(id: bigint): Result<LeaseLife, LessorProblem> {
    if (!this.#isPrimary()) return err('not-primary')
    const lease = this.#leases.get(id)
    if (lease === undefined) return err('lease-not-found')
    const remainingSeconds = Math.trunc((lease.deadlineMs - this.#parts.clock.monotonicMs()) / 1000)
    return ok({ ttlSeconds: lease.ttlSeconds, remainingSeconds })
  }

  /** IDs by when they end, the next one first; undefined when that is not known here. */
  byDeadline(): readonly bigint[] | undefined {
    if (!this.#isPrimary()) return undefined
    return [...this.#leases.values()].toSorted((a, b) => a.deadlineMs - b.deadlineMs).map(({ id }) => id)
  }

  /** Ends what is over, as much of it at once as the bounds let. */
  tick(nowMs: number): void {
    const term = this.#term
    if (term === undefined) return
    if (!this.#isPrimary()) return this.demote()
    const elapsedMs = nowMs - this.#lastTickMs
    this.#lastTickMs = nowMs
    let allowed = Math.min(REVOKES_PER_SECOND, Math.ceil((elapsedMs * REVOKES_PER_SECOND) / 1000))
    while (allowed > 0 && this.#pendingRevokes < MAX_PENDING_REVOKES) {
      const lease = takeDue(this.#heap, nowMs)
      if (lease === undefined) return
      if (this.#leases.get(lease.id) !== lease) continue // revoked meanwhile
      const isOver = lease.deadlineMs <= nowMs
      lease.dueMs = isOver ? nowMs + REVOKE_RETRY_MS : lease.deadlineMs
      addDue(this.#heap, lease)
      if (!isOver) continue // renewed meanwhile
      allowed -= 1
      void this.#revoke(lease.id, term)
    }
  }

  async #revoke(id: bigint, term: Term): Promise<void> {
    this.#pendingRevokes += 1
    if (await this.#parts.revoke(id, term)) this.#parts.observer.leaseExpired()
    this.#pendingRevokes -= 1
  }

  #isPrimary(): boolean {
    return this.#term !== undefined && this.#parts.leadingTerm() === this.#term
  }

  #track({ id, ttlSeconds }: StoredLease, fromMs: number): void {
    const longEnough = Math.max(ttlSeconds, this.minTtlSeconds)
    const deadlineMs = fromMs + longEnough * 1000
    const lease = { id, ttlSeconds: longEnough, deadlineMs, dueMs: deadlineMs, late: [] }
    this.#leases.set(id, lease)
    addDue(this.#heap, lease)
  }

  #rebuild(): void {
    this.#heap = []
    for (const lease of this.#leases.values()) addDue(this.#heap, lease)
  }
}
