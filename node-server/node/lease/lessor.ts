/**
 * When leases end. Their deadlines live in the memory of the leader alone: it begins to keep them once it has applied the
 * first entry of its term, with each lease's whole time ahead of it again, and forgets them when it no longer leads. It
 * reads them from its store in slices, and sooner what somebody asks for. A lease that is over ends by a revoke in the log,
 * proposed in the leader's own term or not at all, so that a member that has lost the lead without noticing cannot end
 * what its successor has extended.
 *
 * Invariants: a deadline never gets earlier, and does not depend on when the lease was read; each lease has one entry in
 * the heap, and revoked ones are dropped there when they come up or when they are the greater part of it.
 * Source: etcd's lessor.
 */
import type { Clock } from '../../../lib/clock.ts'
import type { Term } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { LeaseLimits } from '../../limits.ts'
import type { StoredLease } from '../../mvcc/lease.ts'
import type { LeaseResult } from '../../mvcc/results.ts'
import { addDue, takeDue } from './deadlines.ts'
import type { NodeObserver } from '../observer.ts'

/** A revoke without success is proposed again after this time, as in etcd. */
export const REVOKE_RETRY_MS = 3000
/** Revoked leases that the heap may hold beside as many as there are. */
const MAX_STALE = 1024

/** What the store has now. */
export interface StoredLeases {
  find(id: bigint): StoredLease | undefined
  /** The first ones behind `after`, in an order of their IDs that is always the same; undefined: from the first on. */
  list(after: bigint | undefined, limit: number): readonly StoredLease[]
}

export interface LessorParts {
  readonly clock: Clock
  readonly heartbeatMs: number
  readonly electionMs: number
  readonly observer: NodeObserver
  readonly stored: StoredLeases
  readonly leases: LeaseLimits
  /** Undefined when this member does not lead. */
  readonly leadingTerm: () => Term | undefined
  /** Proposes it in that term or not at all. True once it is applied here, false when that is not known. */
  readonly revoke: (id: bigint, term: Term) => Promise<boolean>
}

/** `not-primary`: this member does not lead, or has not applied the first entry of its term. */
export type LessorProblem = 'not-primary' | 'lease-not-found'

/** It is not renewed any more, and is there until it is revoked. */
export type RenewalProblem = LessorProblem | 'lease-over'

export interface LeaseLife {
  /** As granted, or the minimum where that is more. */
  readonly ttlSeconds: number
  /** Whole seconds; negative if the lease should have ended. */
  readonly remainingSeconds: number
}

interface Tracked {
  readonly id: bigint
  readonly ttlSeconds: number
  deadlineMs: number
  /** Of its entry in the heap: not after the deadline before that has passed, when to try again afterwards. */
  dueMs: number
}

/** A new leader that has not read all leases yet. */
interface Reading {
  /** From when on their whole time lies ahead. */
  readonly fromMs: number
  after: bigint | undefined
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
  #leases = new Map<bigint, Tracked>()
  #heap: Tracked[] = []
  /** In which the deadlines were begun; undefined while there are none. */
  #term: Term | undefined
  #reading: Reading | undefined
  #pendingRevokes = 0
  /** Revokes that the rate lets now, as of {@link #refilledMs}. */
  #allowed = 0
  #refilledMs = 0

  constructor(parts: LessorParts) {
    this.#parts = parts
    this.minTtlSeconds = minLeaseTtlSeconds(parts)
  }

  /**
   * The first entry of the term is applied, and this member leads in it. The time of an election comes on top of each
   * TTL, because the leader before may have renewed a lease for as long as it did not know of its end.
   */
  promote(term: Term): void {
    this.demote()
    const nowMs = this.#parts.clock.monotonicMs()
    this.#term = term
    this.#refilledMs = nowMs
    this.#reading = { fromMs: nowMs + this.#parts.electionMs, after: undefined }
    this.#readOn(this.#reading)
  }

  /** Forgets all deadlines. */
  demote(): void {
    this.#term = undefined
    this.#reading = undefined
    this.#leases = new Map()
    this.#heap = []
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
    this.#leases.delete(result.id)
    if (this.#heap.length > 2 * this.#leases.size + MAX_STALE) this.#rebuild()
  }

  /** The TTL that the lease has ahead of it now. */
  renew(id: bigint): Result<number, RenewalProblem> {
    if (!this.#isPrimary()) return err('not-primary')
    const lease = this.#find(id)
    if (lease === undefined) return err('lease-not-found')
    const nowMs = this.#parts.clock.monotonicMs()
    if (lease.deadlineMs <= nowMs) return err('lease-over')
    lease.deadlineMs = Math.max(lease.deadlineMs, nowMs + lease.ttlSeconds * 1000)
    this.#parts.observer.leaseRenewed()
    return ok(lease.ttlSeconds)
  }

  timeToLive(id: bigint): Result<LeaseLife, LessorProblem> {
    if (!this.#isPrimary()) return err('not-primary')
    const lease = this.#find(id)
    if (lease === undefined) return err('lease-not-found')
    const remainingSeconds = Math.trunc((lease.deadlineMs - this.#parts.clock.monotonicMs()) / 1000)
    return ok({ ttlSeconds: lease.ttlSeconds, remainingSeconds })
  }

  /** IDs by when they end, the next one first; undefined when that is not known here. */
  byDeadline(): readonly bigint[] | undefined {
    if (!this.#isPrimary() || this.#reading !== undefined) return undefined
    return [...this.#leases.values()].toSorted((a, b) => a.deadlineMs - b.deadlineMs).map(({ id }) => id)
  }

  tick(nowMs: number): void {
    if (this.#term === undefined) return
    if (this.#isPrimary()) this.#endWhatIsOver(this.#term, nowMs)
    else this.demote()
  }

  /** As much of it at once as the bounds let. */
  #endWhatIsOver(term: Term, nowMs: number): void {
    const { endsPerSecond, pendingEnds } = this.#parts.leases
    this.#allowed = Math.min(pendingEnds, this.#allowed + ((nowMs - this.#refilledMs) * endsPerSecond) / 1000)
    this.#refilledMs = nowMs
    while (this.#allowed >= 1 && this.#pendingRevokes < pendingEnds) {
      const lease = takeDue(this.#heap, nowMs)
      if (lease === undefined) return
      if (this.#leases.get(lease.id) !== lease) continue // revoked meanwhile
      const isOver = lease.deadlineMs <= nowMs
      lease.dueMs = isOver ? nowMs + REVOKE_RETRY_MS : lease.deadlineMs
      addDue(this.#heap, lease)
      if (!isOver) continue // renewed meanwhile
      this.#allowed -= 1
      void this.#revoke(lease.id, term)
    }
  }

  async #revoke(id: bigint, term: Term): Promise<void> {
    this.#pendingRevokes += 1
    const isApplied = await this.#parts.revoke(id, term)
    this.#pendingRevokes -= 1
    if (!isApplied) return // the next tick comes soon enough for what is in the way
    this.#parts.observer.leaseExpired()
    if (this.#isPrimary() && this.#term === term) this.#endWhatIsOver(term, this.#parts.clock.monotonicMs())
  }

  /** Undefined when there is no such lease. */
  #find(id: bigint): Tracked | undefined {
    const known = this.#leases.get(id)
    if (known !== undefined || this.#reading === undefined) return known
    const stored = this.#parts.stored.find(id)
    return stored === undefined ? undefined : this.#track(stored, this.#reading.fromMs)
  }

  #readOn(reading: Reading): void {
    const { stored, leases, clock } = this.#parts
    const slice = stored.list(reading.after, leases.sliceLeases)
    for (const lease of slice) if (!this.#leases.has(lease.id)) this.#track(lease, reading.fromMs)
    reading.after = slice.at(-1)?.id
    if (slice.length < leases.sliceLeases) this.#reading = undefined
    else
      clock.soon(() => {
        if (this.#reading === reading) this.#readOn(reading)
      })
  }

  #isPrimary(): boolean {
    return this.#term !== undefined && this.#parts.leadingTerm() === this.#term
  }

  #track({ id, ttlSeconds }: StoredLease, fromMs: number): Tracked {
    const longEnough = Math.max(ttlSeconds, this.minTtlSeconds)
    const deadlineMs = fromMs + longEnough * 1000
    const lease = { id, ttlSeconds: longEnough, deadlineMs, dueMs: deadlineMs }
    this.#leases.set(id, lease)
    addDue(this.#heap, lease)
    return lease
  }

  #rebuild(): void {
    this.#heap = []
    for (const lease of this.#leases.values()) addDue(this.#heap, lease)
  }
}
