/** One request of this member on its way into the log: what is proposed, who waits for it, and the bytes that it takes. */
import { encodeCommand, type Command } from '../../mvcc/command.ts'
import { entrySizeBytes, type EntryKind, type ProposedEntry } from '../../raft/message.ts'
import type { Raft } from '../../raft/raft.ts'
import type { Outcome } from '../apply/applier.ts'
import type { Waiter } from '../apply/waiters.ts'
import type { Caller, NodeProblem } from '../ports.ts'

/** Bytes of requests that have not been answered yet. */
export interface Room {
  sizeBytes: number
}

/** Why a command may not go into the log as things are; undefined when it may. */
export type Objection = (raft: Raft) => NodeProblem | undefined

export interface ProposalParts {
  readonly command: Command
  readonly objection: Objection | undefined
  readonly caller: Caller | undefined
  readonly sinceMs: number
  readonly deadlineMs: number
  /** Bytes of all requests that wait for their result. */
  readonly held: Room
  /** The outcome at its deadline. */
  readonly late: (proposal: Proposal) => Outcome
}

export class Proposal implements ProposedEntry, Waiter<Outcome> {
  readonly kind: EntryKind
  readonly data: Uint8Array
  readonly sizeBytes: number
  readonly requestId: bigint
  /** Checked when it is handed to the core: much may have changed while it waited. */
  readonly objection: Objection | undefined
  readonly caller: Caller | undefined
  readonly sinceMs: number
  deadlineMs: number
  readonly outcome: Promise<Outcome>
  readonly #held: Room
  /** Bytes of all proposed requests, once it is one of them. */
  #underWay: Room | undefined
  readonly #late: (proposal: Proposal) => Outcome
  #answer: (outcome: Outcome) => void = () => undefined

  constructor(parts: ProposalParts) {
    const { command } = parts
    this.kind = command.kind === 'membership' ? 'config' : 'normal'
    this.data = encodeCommand(command)
    this.sizeBytes = entrySizeBytes(this)
    this.requestId = command.requestId
    this.objection = parts.objection
    this.caller = parts.caller
    this.sinceMs = parts.sinceMs
    this.deadlineMs = parts.deadlineMs
    this.#held = parts.held
    this.#late = parts.late
    this.outcome = new Promise((resolve) => {
      this.#answer = resolve
    })
  }

  get isProposed(): boolean {
    return this.#underWay !== undefined
  }

  hold(): void {
    this.#held.sizeBytes += this.sizeBytes
  }

  proposed(underWay: Room): void {
    this.#underWay = underWay
    underWay.sizeBytes += this.sizeBytes
  }

  resolve(outcome: Outcome): void {
    this.#held.sizeBytes -= this.sizeBytes
    if (this.#underWay !== undefined) this.#underWay.sizeBytes -= this.sizeBytes
    this.#answer(outcome)
  }

  late(): Outcome {
    return this.#late(this)
  }
}
