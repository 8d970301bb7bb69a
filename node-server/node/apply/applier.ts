/**
 * Committed entries change the store, in order, and the waiter of each gets its result. The store's write buffer goes
 * to its backend in the background.
 */
import { assert, unreachable } from '../../../lib/assert.ts'
import { MalformedBytes } from '../../../lib/bytes.ts'
import type { ClusterId, Term } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { AdminChange } from '../../../lib/admin-api.ts'
import { Applying, type ApplyResult } from '../../mvcc/apply.ts'
import { decodeCommand, type Command, type Member, type StoreCommand } from '../../mvcc/command.ts'
import { Committer } from '../../mvcc/committer.ts'
import { getOperation, recordOperation } from '../../mvcc/members.ts'
import type { AppliedResult, AuthEffect, LeaseResult } from '../../mvcc/results.ts'
import { advanceApplied, type Store } from '../../mvcc/store.ts'
import type { ConfigChange, Entry } from '../../raft/message.ts'
import { applyAttributes, applyLeaveJoint, applyMembership } from '../membership/membership.ts'
import type { NodeOptions } from '../options.ts'
import type { Refusal } from '../peer-requests.ts'
import type { NodeProblem } from '../ports.ts'
import type { Waiters } from './waiters.ts'

/** What a waiter gets: the store's answer, a membership outcome, or the reason why there is none. */
export type Outcome =
  | { readonly kind: 'applied'; readonly result: ApplyResult }
  | { readonly kind: 'membership'; readonly outcome: Result<AdminChange, Refusal> }
  | { readonly kind: 'done' }
  | { readonly kind: 'problem'; readonly problem: NodeProblem }

type ApplierOptions = Pick<NodeOptions, 'clock' | 'observer' | 'slowApplyMs' | 'applySlice'>

export interface ApplierEvents {
  /** A config entry was applied: Raft's configuration changes with it. */
  onConfigChange(entry: Entry, change: ConfigChange): void
  onMembersChanged(): void
  /** The first entry of a term was applied, and with it everything that earlier terms committed. */
  onTermBegan(term: Term): void
  onLease(result: LeaseResult): void
  onAuth(effect: AuthEffect): void
}

/** One on its way into the store. */
interface StoreEntry {
  readonly requestId: bigint
  readonly applying: Applying
}

export class Applier {
  readonly #clusterId: ClusterId
  readonly #waiters: Waiters<Outcome>
  readonly #options: ApplierOptions
  readonly #events: ApplierEvents
  readonly #onFatal: (error: unknown) => void
  #store: Store
  #committer: Committer
  /** Work since everything else had its turn. */
  #sliceStartedMs = 0
  #sliceParts = 0

  constructor(
    parts: {
      store: Store
      clusterId: ClusterId
      waiters: Waiters<Outcome>
      options: ApplierOptions
      onFatal: (error: unknown) => void
    },
    events: ApplierEvents,
  ) {
    this.#store = parts.store
    this.#clusterId = parts.clusterId
    this.#waiters = parts.waiters
    this.#options = parts.options
    this.#onFatal = parts.onFatal
    this.#events = events
    this.#committer = this.#createCommitter()
  }

  get store(): Store {
    return this.#store
  }

  async apply(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return
    const { clock, observer, slowApplyMs } = this.#options
    const started = clock.monotonicMs()
    this.#beginSlice()
    for (const entry of entries) {
      if (entry.index <= this.store.appliedIndex) continue // applied before the restart
      if (this.#isSliceOver()) await this.#giveWay()
      while (this.store.isSaturated) await this.store.relieved()
      const storeEntry = this.#begin(entry)
      for (;;) {
        this.#sliceParts += 1
        if (storeEntry === undefined || this.#step(storeEntry)) break
        if (this.#isSliceOver()) await this.#giveWay()
      }
    }
    if (clock.monotonicMs() - started > slowApplyMs) observer.slowApply()
    this.#committer.noteApplied()
  }

  #beginSlice(): void {
    this.#sliceStartedMs = this.#options.clock.monotonicMs()
    this.#sliceParts = 0
  }

  #isSliceOver(): boolean {
    const { clock, applySlice } = this.#options
    return this.#sliceParts >= applySlice.parts || clock.monotonicMs() - this.#sliceStartedMs >= applySlice.ms
  }

  /** Lets heartbeats, proposals and reads have their turn. */
  async #giveWay(): Promise<void> {
    await new Promise<void>((resolve) => this.#options.clock.soon(resolve))
    this.#beginSlice()
  }

  /** The store was changed by something else than entries: that is committed in the same way. */
  noteChanged(): void {
    this.#committer.noteApplied()
  }

  /** Another store takes the place of the first: a snapshot was installed. */
  replaceStore(store: Store): void {
    this.#committer.stop()
    this.#store = store
    this.#committer = this.#createCommitter()
  }

  #createCommitter(): Committer {
    const { clock, observer } = this.#options
    return new Committer(this.#store, clock, this.#onFatal, (seconds) => observer.backendCommit(seconds))
  }

  /** A long entry that is being applied; undefined if there is none. */
  #begin(entry: Entry): StoreEntry | undefined {
    const position = { index: entry.index, term: entry.term }
    if (entry.data.length === 0) {
      if (entry.kind === 'config') this.#events.onConfigChange(entry, applyLeaveJoint(this.store, entry.index))
      advanceApplied(this.store, position)
      if (entry.kind === 'normal') this.#events.onTermBegan(entry.term)
      return undefined
    }
    const command = this.#decode(entry)
    if (isStoreCommand(command)) {
      assert(entry.kind === 'normal', 'a config entry is a membership command')
      const { requestId } = command
      return { requestId, applying: new Applying(this.store, position, command, this.#options.applySlice.rows) }
    }
    const outcome = this.#applyAdministration(entry, command)
    advanceApplied(this.store, position)
    this.#waiters.settle(command.requestId, outcome)
    return undefined
  }

  /** Applies the next part, and returns whether that was the last one. */
  #step({ requestId, applying }: StoreEntry): boolean {
    const result = applying.step()
    if (result === undefined) return false
    if (result.ok && isLeaseResult(result.value)) this.#events.onLease(result.value)
    else if (result.ok && result.value.kind === 'auth') this.#events.onAuth(result.value.effect)
    this.#waiters.settle(requestId, { kind: 'applied', result })
    return true
  }

  #applyAdministration(entry: Entry, command: Exclude<Command, StoreCommand>): Outcome {
    switch (command.kind) {
      case 'membership': {
        const { change, outcome } = applyMembership(this.store, entry.index, this.#clusterId, command)
        this.#events.onConfigChange(entry, change)
        if (change.kind !== 'none') this.#events.onMembersChanged()
        return { kind: 'membership', outcome }
      }
      case 'member-attributes':
        return this.#applyAttributes(command.member)
      case 'operation-result':
        if (getOperation(this.store, command.operationId) === undefined) {
          recordOperation(this.store, entry.index, command.operationId, command.result)
        }
        return { kind: 'done' }
      default:
        return unreachable(command)
    }
  }

  #applyAttributes(member: Member): Outcome {
    const problem = applyAttributes(this.store, member)
    if (problem !== undefined) return problemOf(problem)
    this.#events.onMembersChanged()
    return { kind: 'done' }
  }

  /** Every member reads the same bytes: if they cannot be decoded that is a bug, not an error of the request. */
  #decode(entry: Entry): Command {
    try {
      return decodeCommand(entry.data)
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      throw new Error(`entry ${entry.index} (term ${entry.term}) is not a command of this version`, { cause: error })
    }
  }
}

const STORE_COMMANDS: ReadonlySet<Command['kind']> = new Set<StoreCommand['kind']>([
  'put',
  'delete-range',
  'txn',
  'compact',
  'alarm',
  'lease-grant',
  'lease-revoke',
  'auth',
])

function isStoreCommand(command: Command): command is StoreCommand {
  return STORE_COMMANDS.has(command.kind)
}

function isLeaseResult(result: AppliedResult): result is LeaseResult {
  return result.kind === 'lease-grant' || result.kind === 'lease-revoke'
}

export function problemOf(problem: NodeProblem): Outcome {
  return { kind: 'problem', problem }
}

/** The store's result, for requests to the store. */
export function applied(outcome: Outcome): Result<ApplyResult, NodeProblem> {
  if (outcome.kind === 'applied') return ok(outcome.result)
  return err(outcome.kind === 'problem' ? outcome.problem : 'stopped')
}
