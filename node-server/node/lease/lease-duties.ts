/**
 * What clients ask of leases beside the log: renewals, and how long a lease still lives. Only the leader knows, and
 * answers after a quorum has confirmed that it leads; any other member carries the question to it, and asks again while
 * there is a change of leader, because asking twice does no harm.
 */
import { sleep } from '../../../lib/clock.ts'
import { NOBODY, type MemberId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { keysOfLease, listLeases } from '../../mvcc/lease.ts'
import type { Store } from '../../mvcc/store.ts'
import type { LeaseLife, Lessor } from './lessor.ts'
import { Renewals } from './renewals.ts'
import { requestTimeoutMs, type NodeOptions } from '../options.ts'
import { decodePeerAnswer, encodeJson, type LeaseAnswer, type LeaseQuestion, type Renewed } from '../peer-requests.ts'
import type { LeaseTimeToLive, NodeProblem } from '../ports.ts'

/** What it needs of the member. */
export interface LeaseHost {
  readonly options: Pick<NodeOptions, 'clock' | 'electionMs'>
  readonly memberId: MemberId
  readonly store: Store
  readonly lessor: Lessor
  readonly leader: MemberId
  readonly isStopped: boolean
  linearizableBarrier(): Promise<Result<void, NodeProblem>>
}

/** An error means that there is no answer. */
export type AskPeer = (to: MemberId, payload: Uint8Array, timeoutMs: number) => Promise<Result<Uint8Array, string>>

const NOT_PRIMARY: LeaseAnswer = { kind: 'lease', state: 'not-primary' }
const RETRY_MS = 50
const LEADER_POLL_MS = 10

export class LeaseDuties {
  readonly #host: LeaseHost
  readonly #ask: AskPeer
  readonly #renewals: Renewals

  constructor(host: LeaseHost, ask: AskPeer) {
    this.#host = host
    this.#ask = ask
    this.#renewals = new Renewals({
      options: host.options,
      leader: () => host.leader,
      isStopped: () => host.isStopped,
      ask: async (leader, ids, timeoutMs) => {
        const answer = await this.#askLeader(leader, { kind: 'lease-renew', leaseIds: ids.map(String) }, timeoutMs)
        return answer?.state === 'renewed' ? answer.renewed : undefined
      },
    })
  }

  /** See NodePort. */
  renew(id: bigint): Promise<Result<number | undefined, NodeProblem>> {
    return this.#renewals.renew(id)
  }

  /** See NodePort. */
  async timeToLive(id: bigint, withKeys: boolean): Promise<Result<LeaseTimeToLive | undefined, NodeProblem>> {
    const life = await this.#lifeAtLeader(id)
    if (!life.ok || life.value === undefined) return life.ok ? ok(undefined) : life
    if (!withKeys) return ok({ ...life.value, keys: [] })
    // The keys are replicated: they are read here, once this member has applied what the leader had.
    const barrier = this.#isLeader() ? ok(undefined) : await this.#host.linearizableBarrier()
    return barrier.ok ? ok({ ...life.value, keys: keysOfLease(this.#host.store, id) }) : barrier
  }

  /** See NodePort. */
  ids(): readonly bigint[] {
    return this.#host.lessor.byDeadline() ?? listLeases(this.#host.store).map(({ id }) => id)
  }

  /** At the leader, for this member or for a peer. */
  async answer(question: LeaseQuestion): Promise<LeaseAnswer> {
    const barrier = await this.#host.linearizableBarrier()
    if (!barrier.ok) return NOT_PRIMARY
    if (question.kind === 'lease-renew') return this.#renewAll(question.leaseIds)
    const life = this.#host.lessor.timeToLive(BigInt(question.leaseId))
    if (life.ok) return { kind: 'lease', state: 'alive', ...life.value }
    return life.error === 'not-primary' ? NOT_PRIMARY : { kind: 'lease', state: 'absent' }
  }

  #renewAll(ids: readonly string[]): LeaseAnswer {
    const renewed: Renewed[] = []
    for (const id of ids) {
      const one = this.#host.lessor.renew(BigInt(id))
      if (!one.ok && one.error === 'not-primary') return NOT_PRIMARY
      renewed.push(one.ok ? one.value : one.error === 'lease-over' ? 'over' : 'absent')
    }
    return { kind: 'lease', state: 'renewed', renewed }
  }

  /** Undefined: there is no such lease. */
  async #lifeAtLeader(id: bigint): Promise<Result<LeaseLife | undefined, NodeProblem>> {
    const { clock } = this.#host.options
    const deadlineMs = clock.monotonicMs() + requestTimeoutMs(this.#host.options)
    for (let leader = this.#host.leader; ; leader = this.#host.leader) {
      if (this.#host.isStopped) return err('stopped')
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0) return err(leader === NOBODY ? 'no-leader' : 'timeout')
      if (leader === NOBODY) {
        await sleep(clock, LEADER_POLL_MS)
        continue
      }
      const answer = await this.#askLeader(leader, { kind: 'lease-time-to-live', leaseId: String(id) }, leftMs)
      if (answer?.state === 'alive') return ok(answer)
      if (answer?.state === 'absent') return ok(undefined)
      await sleep(clock, RETRY_MS)
    }
  }

  /** Undefined when there is no answer in time, which is an election's time: then there may be another leader to ask. */
  async #askLeader(leader: MemberId, question: LeaseQuestion, leftMs: number): Promise<LeaseAnswer | undefined> {
    const { clock, electionMs } = this.#host.options
    if (leader === this.#host.memberId) {
      const given = new AbortController()
      const answer = await Promise.race([this.answer(question), sleep(clock, leftMs, given.signal)])
      given.abort()
      return answer ?? undefined
    }
    const answer = await this.#ask(leader, encodeJson(question), Math.min(leftMs, electionMs))
    const decoded = answer.ok ? decodePeerAnswer(answer.value) : undefined
    return decoded?.kind === 'lease' ? decoded : undefined
  }

  #isLeader(): boolean {
    return this.#host.leader === this.#host.memberId
  }
}
