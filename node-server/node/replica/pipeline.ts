/**
 * Carries out what the Raft core wants done, in the order on which safety rests: durable, then promised; durable and
 * committed, then visible (Raft §5: "updated on stable storage before responding to RPCs").
 *
 * Two lanes do not wait for each other: the log's makes entries and votes durable and then sends what they promise;
 * the store's applies what is committed. Messages that promise nothing, above all heartbeats and their answers, wait for
 * neither. Only a snapshot that becomes the store needs both lanes to itself.
 */
import { assert } from '../../../lib/assert.ts'
import type { Entry, HardState, Message, SnapshotMeta } from '../../raft/message.ts'
import { appended, applied, hasReady, ready, type Append, type Raft, type Ready } from '../../raft/raft.ts'

/** The parts of a Ready that need no disk. */
export type News = Pick<Ready, 'readStates' | 'readsDropped' | 'softState'>

/** What the pipeline has done outside of the core. A rejection ends the member. */
export interface PipelineActions {
  send(messages: readonly Message[]): void
  /** Makes the store the one that the snapshot describes, durably. */
  installSnapshot(snapshot: SnapshotMeta): Promise<void>
  /** Resolves once all of it is durable. */
  persist(hardState: HardState | undefined, entries: readonly Entry[], mustSync: boolean): Promise<void>
  /** False if the store is damaged: the entries then count as not applied. */
  apply(entries: readonly Entry[]): Promise<boolean>
  tell(news: News): void
  /** Resolves after everything else has had its turn. */
  giveWay(): Promise<void>
  /** A lane is free again: there may be more to give to the core, and more work from it. */
  onProgress(): void
  onFatal(error: unknown): void
}

export class Pipeline {
  readonly #raft: Raft
  readonly #actions: PipelineActions
  #isStopped = false
  /** The work on each lane; undefined while it is free. */
  #appending: Promise<void> | undefined
  #applying: Promise<void> | undefined

  constructor(raft: Raft, actions: PipelineActions) {
    this.#raft = raft
    this.#actions = actions
  }

  /** The log's lane is busy: what comes in now can share the next piece. */
  get isAppending(): boolean {
    return this.#appending !== undefined
  }

  /** Sends what may be sent, and starts the next piece on each free lane. Call it after every change of the core. */
  pump(): void {
    while (!this.#isStopped && hasReady(this.#raft)) {
      const { messages, append, committed, ...news } = ready(this.#raft)
      this.#actions.send(messages)
      if (append !== undefined)
        this.#appending = this.#onLane(this.#append(append), () => (this.#appending = undefined))
      if (committed.length > 0)
        this.#applying = this.#onLane(this.#apply(committed), () => (this.#applying = undefined))
      this.#actions.tell(news)
    }
  }

  /** Begins nothing more. Resolves when the work under way is done. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all([this.#appending, this.#applying])
  }

  async #append(append: Append): Promise<void> {
    if (append.snapshot !== undefined) {
      await this.#applying // into the store that the snapshot replaces
      if (this.#isStopped) return
      await this.#actions.installSnapshot(append.snapshot)
    }
    await this.#actions.persist(append.hardState, append.entries, append.mustSync)
    this.#actions.send(append.promises) // sent earlier, a crash could forget them
    appended(this.#raft, append)
  }

  async #apply(committed: readonly Entry[]): Promise<void> {
    // The leader waits for the acknowledgement, which a quick disk gives at once, and not for what a follower applies.
    if (this.#appending !== undefined && this.#raft.role.kind !== 'leader') await this.#actions.giveWay()
    const isApplied = await this.#actions.apply(committed)
    assert(isApplied || this.#raft.isStoreLost, 'what could not be applied would be given out again at once')
    applied(this.#raft, isApplied ? committed : [])
  }

  async #onLane(work: Promise<void>, leave: () => void): Promise<void> {
    try {
      await work
      leave()
      this.#actions.onProgress()
    } catch (error) {
      this.#isStopped = true
      this.#actions.onFatal(error)
    }
  }
}
