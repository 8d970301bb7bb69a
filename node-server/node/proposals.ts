/**
 * Commands of this member on their way into the log: those that wait to be proposed, and those that wait to be applied.
 * What comes in during one round of the event loop is proposed together.
 */
import type { Command } from '../mvcc/command.ts'
import { encodeCommand } from '../mvcc/command.ts'
import type { Term } from '../../lib/ids.ts'
import type { ProposedEntry } from '../raft/message.ts'
import { isLearner } from '../raft/quorum.ts'
import { propose, type ProposalProblem, type Raft } from '../raft/raft.ts'
import { problemOf, timeout, type Outcome } from './applier.ts'
import { MAX_WAITERS, requestTimeoutMs, type NodeOptions } from './options.ts'
import type { NodeProblem } from './ports.ts'
import { Waiters } from './waiters.ts'

/** From a change of leader until a proposal to the one before counts as lost. */
const LOST_AFTER_MS = 250

/** Why a command may not go into the log as things are; undefined when it may. */
export type Objection = (raft: Raft) => NodeProblem | undefined

export const notByLearners: Objection = ({ configuration, options }) =>
  isLearner(configuration, options.id) ? 'not-supported-for-learner' : undefined

/** Only by the leader of that term: what the command rests on may not hold for another. */
export function onlyInTerm(term: Term): Objection {
  return (raft) => (raft.role.kind === 'leader' && raft.term === term ? undefined : 'not-leader')
}

interface Pending {
  /** Asked when it is handed to the core: much may have changed while it waited. */
  readonly objection: Objection | undefined
  readonly requestId: bigint
  readonly entry: ProposedEntry
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
  #pending: Pending[] = []
  #lastRequestId: bigint

  constructor(options: NodeOptions) {
    this.#options = options
    // Starts at a random place, so that an answer to a request from before a restart finds nobody waiting for it.
    this.#lastRequestId = BigInt(Math.floor(options.random() * 2 ** 40)) << 20n
  }

  nextRequestId(): bigint {
    this.#lastRequestId += 1n
    return this.#lastRequestId
  }

  /** Resolves with what applying it gave, or with why that is not known. */
  add(command: Command, objection?: Objection): Promise<Outcome> {
    if (this.waiters.isFull) return Promise.resolve(problemOf('too-many-requests'))
    const { requestId } = command
    const entry: ProposedEntry = {
      kind: command.kind === 'membership' ? 'config' : 'normal',
      data: encodeCommand(command),
    }
    const deadlineMs = this.#options.clock.monotonicMs() + requestTimeoutMs(this.#options)
    return new Promise((resolve) => {
      this.waiters.add(requestId, { resolve, deadlineMs, late: timeout })
      this.#pending.push({ requestId, entry, objection })
    })
  }

  /** Hands everything that waits to the core: membership changes alone, the rest together. */
  feed(raft: Raft): void {
    const pending = this.#pending
    if (pending.length === 0) return
    this.#pending = []
    const normal: Pending[] = []
    for (const one of pending) {
      const refused = one.objection?.(raft)
      if (refused !== undefined) this.waiters.settle(one.requestId, problemOf(refused))
      else if (one.entry.kind === 'config') this.#propose(raft, [one])
      else normal.push(one)
    }
    if (normal.length > 0) this.#propose(raft, normal)
  }

  expire(nowMs: number): void {
    const expired = this.waiters.expire(nowMs)
    for (let i = 0; i < expired; i++) this.#options.observer.proposalFailed()
  }

  /**
   * There is a new leader. What was on its way to the old one is either in the new one's log, and then applied at once, or
   * lost: nobody is kept waiting for that until the request's own deadline.
   */
  leaderChanged(): void {
    this.waiters.hasten(this.#options.clock.monotonicMs() + LOST_AFTER_MS, problemOf('leader-changed'))
  }

  stop(): void {
    this.#pending = []
    this.waiters.settleAll(problemOf('stopped'))
  }

  #propose(raft: Raft, batch: readonly Pending[]): void {
    const proposed = propose(
      raft,
      batch.map(({ entry }) => entry),
    )
    if (proposed.ok) return
    const outcome = problemOf(PROBLEMS[proposed.error])
    for (const { requestId } of batch) {
      this.#options.observer.proposalFailed()
      this.waiters.settle(requestId, outcome)
    }
  }
}
