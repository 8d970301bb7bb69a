/**
 * Commands of this member on their way into the log: those that wait to be proposed, and those that wait to be applied.
 * What comes in during one round of the event loop is proposed together, as far as there is room on the way: a bounded
 * number of bytes is proposed and not applied, here or at the leader, and the rest waits its turn. Nothing is dropped on the
 * way for lack of room, so nothing has to be proposed a second time. A request that comes when too much waits is refused at once,
 * and one that has waited so long that its time would run out on the way is refused while it is certain that it was not proposed.
 * While there is no leader, or this one hands over, writes wait for the next, within their time; membership changes do not.
 */
import type { Command } from '../../mvcc/command.ts'
import { NOBODY, type MemberId, type Term } from '../../../lib/ids.ts'
import { GATHERING, MAX_WAITERS } from '../../limits.ts'
import { isLearner } from '../../raft/quorum.ts'
import { isHandingOver, leaderOf, propose, type ProposalProblem, type Raft } from '../../raft/raft.ts'
import { problemOf, type Outcome } from '../apply/applier.ts'
import { whyLate, type Links } from './late.ts'
import { requestTimeoutMs, type NodeOptions } from '../options.ts'
import type { Caller, NodeProblem } from '../ports.ts'
import { Proposal, type Objection, type Room } from './proposal.ts'
import { Waiters } from '../apply/waiters.ts'

/** From a change of leader until a proposal to the one before counts as lost. */
const LOST_AFTER_MS = 250

/** The caller of a proposal that has waited this long may have gone, and is asked. */
const HELD_MS = 100

/** The part of a request's time that it may wait for room: the other half is for its way through the log. */
const WAITING_SHARE = 1 / 2

export const notByLearners: Objection = ({ configuration, options }) =>
  isLearner(configuration, options.id) ? 'not-supported-for-learner' : undefined

/** Only the leader of that term may propose it: what it was decided on may not hold for another. */
export function onlyInTerm(term: Term): Objection {
  return (raft) => (raft.role.kind === 'leader' && raft.term === term ? undefined : 'not-leader')
}

const PROBLEMS: Readonly<Record<ProposalProblem, NodeProblem>> = {
  'no-leader': 'no-leader',
  'change-pending': 'change-in-flight',
  overloaded: 'too-many-requests',
  transferring: 'leader-changed',
  removed: 'stopped',
}

export class Proposals {
  readonly waiters = new Waiters<Outcome>(MAX_WAITERS)
  readonly #options: NodeOptions
  readonly #links: () => Links
  /** When this member last learned of a new leader. */
  #electedMs = -Infinity
  /** Not proposed yet, oldest first. */
  #waiting: Proposal[] = []
  /** Proposed, and not answered yet. */
  #underWay: Room = { sizeBytes: 0 }
  /** Bytes of all requests that wait for their result. */
  readonly #held: Room = { sizeBytes: 0 }
  #lastRequestId: bigint
  /** Turns since there was something to propose, and how many proposals there were at the last. */
  #gatheredTurns = 0
  #gathered = 0

  constructor(options: NodeOptions, links: () => Links) {
    this.#options = options
    this.#links = links
    // Starts at a random place, so that an answer to a request from before a restart finds nobody waiting for it.
    this.#lastRequestId = BigInt(Math.floor(options.random() * 2 ** 40)) << 20n
  }

  nextRequestId(): bigint {
    this.#lastRequestId += 1n
    return this.#lastRequestId
  }

  /** Resolves with the result of applying it, or with why there is none. */
  add(command: Command, objection?: Objection, caller?: Caller): Promise<Outcome> {
    if (this.waiters.isFull || this.#isTooMuch('request' in command ? command.request.length : 0))
      return Promise.resolve(problemOf('too-many-requests')) // costs no copy of what is refused
    const sinceMs = this.#options.clock.monotonicMs()
    const proposal = new Proposal({
      command,
      objection,
      caller,
      sinceMs,
      deadlineMs: sinceMs + requestTimeoutMs(this.#options),
      held: this.#held,
      late: this.#late,
    })
    if (this.#isTooMuch(proposal.sizeBytes)) return Promise.resolve(problemOf('too-many-requests'))
    proposal.hold()
    this.#waiting.push(proposal)
    this.waiters.add(proposal)
    return proposal.outcome
  }

  #isTooMuch(sizeBytes: number): boolean {
    return this.#held.sizeBytes + sizeBytes > this.#options.flow.heldSizeBytes
  }

  /** Asked once a turn before {@link feed}. True: others are about to come, so look again in the next turn. */
  gathers(): boolean {
    const waiting = this.#waiting.length
    const isGathering =
      waiting > this.#gathered && waiting < this.waiters.size * GATHERING.share && this.#gatheredTurns < GATHERING.turns
    this.#gatheredTurns = isGathering ? this.#gatheredTurns + 1 : 0
    this.#gathered = isGathering ? waiting : 0
    return isGathering
  }

  /** Hands to the core what there is room for, in order: membership changes alone, others as many as fit a message. */
  feed(raft: Raft, isOpen: (leader: MemberId) => boolean): void {
    if (this.#waiting.length === 0) return
    const leader = leaderOf(raft)
    if (leader === NOBODY || isHandingOver(raft)) return this.#hold(raft)
    if (leader !== raft.options.id && !isOpen(leader)) return
    const nowMs = this.#options.clock.monotonicMs()
    while (this.#hasRoom) {
      const batch = this.#nextBatch(raft, nowMs)
      if (batch.length === 0) return
      this.#propose(raft, batch)
    }
  }

  expire(nowMs: number): void {
    const expired = this.waiters.expire(nowMs)
    for (let i = 0; i < expired; i++) this.#options.observer.proposalFailed()
    if (!this.#hasRoom) this.#refuseLate(nowMs)
    const first = this.#waiting.findIndex(({ requestId }) => this.waiters.has(requestId))
    this.#waiting.splice(0, first === -1 ? this.#waiting.length : first)
  }

  get #hasRoom(): boolean {
    return this.#underWay.sizeBytes < this.#options.flow.proposedSizeBytes
  }

  /** These were never proposed, so it is certain that they are not carried out. */
  #refuseLate(nowMs: number): void {
    const waitsSinceMs = nowMs - requestTimeoutMs(this.#options) * WAITING_SHARE
    if (this.#electedMs > waitsSinceMs) return // until then they waited for a leader
    for (const { requestId, sinceMs } of this.#waiting) {
      if (sinceMs > waitsSinceMs) return
      if (this.waiters.settle(requestId, problemOf('too-many-requests'))) this.#options.observer.proposalFailed()
    }
  }

  /**
   * There is a new leader. What was on its way to the old one is either in the new one's log, and then applied at once, or
   * lost: nobody is kept waiting for that until the request's own deadline. What was not proposed yet goes to the new one.
   */
  leaderChanged(): void {
    this.#electedMs = this.#options.clock.monotonicMs()
    const waiting = new Set(this.#waiting.map(({ requestId }) => requestId))
    this.waiters.hasten(this.#electedMs + LOST_AFTER_MS, (requestId) => !waiting.has(requestId))
    this.wayLost()
  }

  /** What was on its way to the leader may be lost: it takes no room any more. Its callers go on waiting. */
  wayLost(): void {
    this.#underWay = { sizeBytes: 0 }
  }

  stop(): void {
    this.#waiting = []
    this.waiters.settleAll(problemOf('stopped'))
  }

  /** There is nobody to propose to. A membership change was judged for this moment: it is not kept for another. */
  #hold(raft: Raft): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#waiting = this.#waiting.filter((proposal) => {
      const refused = refusal(raft, proposal, nowMs) ?? (proposal.kind === 'config' ? 'not-leader' : undefined)
      if (refused !== undefined) this.waiters.settle(proposal.requestId, problemOf(refused))
      return refused === undefined
    })
  }

  readonly #late = ({ sinceMs, isProposed }: Proposal): Outcome => {
    const links = this.#links()
    if (!isProposed && links.leader === NOBODY) return problemOf('not-proposed')
    return problemOf(whyLate(sinceMs, this.#electedMs, this.#options.electionMs, links))
  }

  #nextBatch(raft: Raft, nowMs: number): readonly Proposal[] {
    const batch: Proposal[] = []
    let sizeBytes = 0
    let taken = 0
    for (const proposal of this.#waiting) {
      const { requestId } = proposal
      const refused = refusal(raft, proposal, nowMs)
      if (refused !== undefined) this.waiters.settle(requestId, problemOf(refused))
      else if (this.waiters.has(requestId)) {
        sizeBytes += proposal.sizeBytes
        const isAlone = proposal.kind === 'config' || batch[0]?.kind === 'config'
        if (batch.length > 0 && (isAlone || sizeBytes > this.#options.flow.messageSizeBytes)) break
        batch.push(proposal)
      }
      taken += 1
    }
    this.#waiting.splice(0, taken)
    return batch
  }

  #propose(raft: Raft, batch: readonly Proposal[]): void {
    const proposed = propose(raft, batch)
    if (proposed.ok) {
      for (const proposal of batch) proposal.proposed(this.#underWay)
      return
    }
    const outcome = problemOf(PROBLEMS[proposed.error])
    for (const { requestId } of batch) {
      this.#options.observer.proposalFailed()
      this.waiters.settle(requestId, outcome)
    }
  }
}

function refusal(raft: Raft, { objection, caller, sinceMs }: Proposal, nowMs: number): NodeProblem | undefined {
  const isHeld = caller !== undefined && nowMs - sinceMs >= HELD_MS
  return isHeld && caller.signal.aborted ? 'not-proposed' : objection?.(raft)
}
