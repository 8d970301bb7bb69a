/**
 * Leader election on a Lease of coordination.k8s.io, as client-go does it: of several copies one works.
 *
 * A candidate takes the lease when nobody holds it, or when it has watched the same record for the whole lease duration
 * on its own monotonic clock: clocks of two machines are never compared. A leader renews every retry period; without a
 * success for the renew deadline it has lost, and its process must exit at once.
 *
 * Invariants: `permit` allows a mutation only until the renew deadline, counted from the *start* of the last successful
 * renewal, so that others, who wait for the longer lease duration, begin only after the last permitted call was sent.
 * Every request is aborted at what remains of the renew deadline.
 *
 * Neighbours: main.ts connects `LeaseApi` to operator/kube. Source: client-go tools/leaderelection.
 */
import { assert } from '../../lib/assert.ts'
import type { Clock } from '../../lib/clock.ts'
import { sleep } from '../../lib/clock.ts'

/** `spec` of a Lease. Times are RFC 3339 with microseconds (V1MicroTime). */
export interface LeaseSpec {
  readonly holderIdentity: string
  readonly leaseDurationSeconds: number
  readonly acquireTime: string
  readonly renewTime: string
  readonly leaseTransitions: number
}

export interface LeaseRecord {
  readonly resourceVersion: string
  readonly spec: Partial<LeaseSpec>
}

/** Every call rejects when it fails; a write over another's write (409) answers `conflict`. */
export interface LeaseApi {
  read(signal: AbortSignal): Promise<LeaseRecord | undefined>
  create(spec: LeaseSpec, signal: AbortSignal): Promise<LeaseRecord | 'conflict'>
  update(spec: LeaseSpec, resourceVersion: string, signal: AbortSignal): Promise<LeaseRecord | 'conflict'>
}

export interface LeaderElectionOptions {
  /** Unique to this process, also among restarts of one pod. */
  readonly identity: string
  readonly api: LeaseApi
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  /** A candidate learned who leads; empty when nobody does. */
  readonly onLeaderSeen: (identity: string) => void
  /** A request failed; election goes on. */
  readonly onError: (error: unknown) => void
  readonly leaseDurationMs?: number
  readonly renewDeadlineMs?: number
  readonly retryPeriodMs?: number
}

/** Whether this process may change anything now, and within what time the change must have been sent and answered. */
export type MutationPermit =
  | { readonly isAllowed: true; readonly withinMs: number }
  | { readonly isAllowed: false; readonly reason: string }

export class LeaderElector {
  readonly #options: LeaderElectionOptions
  readonly #leaseDurationMs: number
  readonly #renewDeadlineMs: number
  readonly #retryPeriodMs: number
  /** The record as last seen, and when it was first seen like that. */
  #observed: LeaseRecord | undefined
  #observedAtMs = 0
  #seenLeader: string | undefined
  /** Start of the last successful renewal; undefined while not leading. */
  #renewedAtMs: number | undefined

  constructor(options: LeaderElectionOptions) {
    this.#options = options
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000
    this.#retryPeriodMs = options.retryPeriodMs ?? 2000
    assert(this.#leaseDurationMs > this.#renewDeadlineMs, 'the lease outlives the renew deadline')
    assert(this.#renewDeadlineMs > this.#retryPeriodMs * 1.2, 'a leader has time to try more than once')
  }

  isLeader(): boolean {
    return this.permit().isAllowed
  }

  /** Ask before every mutating call. */
  permit(): MutationPermit {
    if (this.#renewedAtMs === undefined) return { isAllowed: false, reason: 'this process does not lead' }
    const ageMs = this.#options.clock.monotonicMs() - this.#renewedAtMs
    if (ageMs >= this.#renewDeadlineMs) {
      return { isAllowed: false, reason: `the lease was last renewed ${Math.round(ageMs)} ms ago` }
    }
    return { isAllowed: true, withinMs: this.#leaseDurationMs - ageMs }
  }

  /** Resolves true once this process leads, false when `signal` aborts first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (await this.#attempt(this.#renewDeadlineMs, signal)) return true
      await sleep(this.#options.clock, this.#retryPeriodMs * (1 + 0.2 * this.#options.random()), signal)
    }
    return false
  }

  /** Renews until the lease is lost or `signal` aborts. After `lost` the process must exit without another mutation. */
  async hold(signal: AbortSignal): Promise<'lost' | 'stopped'> {
    const { clock } = this.#options
    while (!signal.aborted) {
      await sleep(clock, this.#retryPeriodMs, signal)
      if (signal.aborted) return 'stopped'
      if (await this.#renew(signal)) continue
      if (signal.aborted) return 'stopped'
      this.#renewedAtMs = undefined
      return 'lost'
    }
    return 'stopped'
  }

  /** Gives the lease up so that another need not wait for its end. Call it only when no more mutation will follow. */
  async release(): Promise<void> {
    const held = this.#observed
    if (this.#renewedAtMs === undefined || held === undefined) return
    this.#renewedAtMs = undefined
    const now = microTime(this.#options.clock.wallMs())
    const spec: LeaseSpec = {
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: held.spec.leaseTransitions ?? 0,
    }
    const { api, identity, onError } = this.#options
    await this.#within(this.#renewDeadlineMs / 2, undefined, async (signal) => {
      if ((await api.update(spec, held.resourceVersion, signal)) !== 'conflict') return
      // A renewal that was broken off at the stop has been carried out nevertheless.
      const current = await api.read(signal)
      if (current?.spec.holderIdentity === identity) await api.update(spec, current.resourceVersion, signal)
    }).catch(onError)
  }

  /** Tries until it succeeds, another leads, or the renew deadline since the last success is over. */
  async #renew(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options
    const deadlineMs = (this.#renewedAtMs ?? -Infinity) + this.#renewDeadlineMs
    while (!signal.aborted && clock.monotonicMs() < deadlineMs) {
      if (await this.#attempt(deadlineMs - clock.monotonicMs(), signal)) return true
      const leader = this.#observed?.spec.holderIdentity
      if (leader !== undefined && leader !== '' && leader !== this.#options.identity) return false
      await sleep(clock, Math.min(this.#retryPeriodMs, Math.max(0, deadlineMs - clock.monotonicMs())), signal)
    }
    return false
  }

  async #attempt(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const startedMs = this.#options.clock.monotonicMs()
    try {
      const isHeld = await this.#within(timeoutMs, signal, async (signal) => this.#tryAcquireOrRenew(signal))
      if (isHeld) this.#renewedAtMs = startedMs
      return isHeld
    } catch (error) {
      if (!signal.aborted) this.#options.onError(error)
      return false
    }
  }

  async #tryAcquireOrRenew(signal: AbortSignal): Promise<boolean> {
    const { api, identity } = this.#options
    const known = this.#renewedAtMs === undefined ? undefined : this.#observed
    if (known !== undefined) {
      // The leader knows what it wrote: one request renews, unless somebody interfered.
      const renewed = await api.update(this.#spec(known), known.resourceVersion, signal)
      if (renewed !== 'conflict') return this.#observe(renewed)
    }
    const current = await api.read(signal)
    if (current === undefined) {
      if (this.#mayAnotherLead()) return false
      const created = await api.create(this.#spec(undefined), signal)
      return created !== 'conflict' && this.#observe(created)
    }
    this.#observe(current)
    const holder = current.spec.holderIdentity ?? ''
    if (holder !== '' && holder !== identity && !this.#isExpired(current)) return false
    const taken = await api.update(this.#spec(current), current.resourceVersion, signal)
    return taken !== 'conflict' && this.#observe(taken)
  }

  /** Somebody deleted the Lease: until it notices, its holder works on as long as what was seen of it last allows. */
  #mayAnotherLead(): boolean {
    const holder = this.#observed?.spec.holderIdentity ?? ''
    if (this.#observed === undefined || holder === '' || holder === this.#options.identity) return false
    return !this.#isExpired(this.#observed)
  }

  /** As long as its holder asked for, counted from when this process first saw the record in its present form. */
  #isExpired(record: LeaseRecord): boolean {
    const durationMs = (record.spec.leaseDurationSeconds ?? 0) * 1000
    return this.#options.clock.monotonicMs() >= this.#observedAtMs + durationMs
  }

  #observe(record: LeaseRecord): true {
    if (JSON.stringify(record.spec) !== JSON.stringify(this.#observed?.spec)) {
      this.#observedAtMs = this.#options.clock.monotonicMs()
    }
    this.#observed = record
    const leader = record.spec.holderIdentity ?? ''
    if (leader !== this.#seenLeader) this.#options.onLeaderSeen(leader)
    this.#seenLeader = leader
    return true
  }

  #spec(current: LeaseRecord | undefined): LeaseSpec {
    const now = microTime(this.#options.clock.wallMs())
    const isOurs = current?.spec.holderIdentity === this.#options.identity
    const transitions = current?.spec.leaseTransitions ?? 0
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.round(this.#leaseDurationMs / 1000),
      acquireTime: isOurs ? (current?.spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: isOurs || current === undefined ? transitions : transitions + 1,
    }
  }

  /** Aborts and rejects after `timeoutMs` on the injected clock, even if the call does not listen to its signal. */
  async #within<T>(
    timeoutMs: number,
    outer: AbortSignal | undefined,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const abort = new AbortController()
    const timer = this.#options.clock.setTimer(timeoutMs, () => abort.abort(new Error(`no answer in ${timeoutMs} ms`)))
    const signal = outer === undefined ? abort.signal : AbortSignal.any([outer, abort.signal])
    const aborted = new Promise<never>((_, reject) => {
      const fail = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      if (signal.aborted) fail()
      else signal.addEventListener('abort', fail, { once: true })
    })
    try {
      return await Promise.race([call(signal), aborted])
    } finally {
      timer.cancel()
    }
  }
}

/** RFC 3339 with six digits of a second, the only form the API accepts for these fields. */
export function microTime(wallMs: number): string {
  const micros = Math.floor((wallMs * 1000) % 1000)
  return new Date(wallMs).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`)
}
