/**
 * Renewals that clients ask this member for, on their way to the leader. What comes in while one batch is under way goes
 * with the next, so a renewal costs a part of one question to the leader, and of one confirmation that it leads. A batch
 * without an answer is asked again while there is time, because asking twice does no harm.
 */
import { sleep, type Clock } from '../../../lib/clock.ts'
import { NOBODY, type MemberId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { MAX_RENEWALS_AT_ONCE, MAX_WAITING_RENEWALS } from '../../limits.ts'
import { requestTimeoutMs, type NodeOptions } from '../options.ts'
import type { Renewed } from '../peer-requests.ts'
import type { NodeProblem } from '../ports.ts'

export interface RenewalsParts {
  readonly options: Pick<NodeOptions, 'clock' | 'electionMs'>
  readonly leader: () => MemberId
  readonly isStopped: () => boolean
  /** What became of each, in the same order; undefined when the leader gives no answer within `timeoutMs`. */
  readonly ask: (leader: MemberId, ids: readonly bigint[], timeoutMs: number) => Promise<readonly Renewed[] | undefined>
}

interface Waiting {
  readonly id: bigint
  readonly deadlineMs: number
  readonly resolve: (outcome: Result<number | undefined, NodeProblem>) => void
}

/** Until the next try, of what got no answer and of leases that are over and not revoked yet. */
const RETRY_MS = 50

export class Renewals {
  readonly #parts: RenewalsParts
  readonly #clock: Clock
  readonly #timeoutMs: number
  /** Not asked for now. */
  #waiting: Waiting[] = []
  /** Waiting, under way, or to be tried again. */
  #open = 0
  #isRunning = false

  constructor(parts: RenewalsParts) {
    this.#parts = parts
    this.#clock = parts.options.clock
    this.#timeoutMs = requestTimeoutMs(parts.options)
  }

  /** See NodePort. */
  renew(id: bigint): Promise<Result<number | undefined, NodeProblem>> {
    if (this.#open >= MAX_WAITING_RENEWALS) return Promise.resolve(err('too-many-requests'))
    this.#open += 1
    return new Promise((resolve) => {
      const settle: Waiting['resolve'] = (outcome) => {
        this.#open -= 1
        resolve(outcome)
      }
      this.#add([{ id, deadlineMs: this.#clock.monotonicMs() + this.#timeoutMs, resolve: settle }])
    })
  }

  #add(renewals: readonly Waiting[]): void {
    for (const renewal of renewals) this.#waiting.push(renewal)
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      await new Promise<void>((resolve) => this.#clock.soon(resolve)) // what comes in meanwhile goes along
      const batch = this.#waiting.splice(0, MAX_RENEWALS_AT_ONCE)
      if (await this.#attempt(this.#inTime(batch))) continue
      this.#waiting = this.#inTime(this.#waiting) // those behind may be late as well
      await sleep(this.#clock, RETRY_MS)
    }
    this.#isRunning = false
  }

  /** Lets those go that nobody can be asked for any more. */
  #inTime(renewals: readonly Waiting[]): Waiting[] {
    const nowMs = this.#clock.monotonicMs()
    return renewals.filter(({ deadlineMs, resolve }) => {
      if (this.#parts.isStopped()) resolve(err('stopped'))
      else if (deadlineMs <= nowMs) resolve(err(this.#parts.leader() === NOBODY ? 'no-leader' : 'timeout'))
      else return true
      return false
    })
  }

  async #attempt(batch: readonly Waiting[]): Promise<boolean> {
    if (batch.length === 0) return true
    const leader = this.#parts.leader()
    const leftMs = Math.min(...batch.map(({ deadlineMs }) => deadlineMs)) - this.#clock.monotonicMs()
    const ids = batch.map(({ id }) => id)
    const answers = leader === NOBODY ? undefined : await this.#parts.ask(leader, ids, leftMs)
    if (answers?.length !== batch.length) {
      this.#waiting.unshift(...batch)
      return false
    }
    const late: Waiting[] = []
    for (const [i, renewal] of batch.entries()) {
      const renewed = answers[i]
      if (renewed === 'over') late.push(renewal)
      else renewal.resolve(ok(renewed === 'absent' ? undefined : renewed))
    }
    if (late.length > 0) void sleep(this.#clock, RETRY_MS).then(() => this.#add(late))
    return true
  }
}
