/**
 * The replicated state of a member: a multi-version key space with etcd's semantics, and beside it the members, operation
 * results and configurations. It changes only by applying Raft entries in order (`apply.ts`, `members.ts`,
 * `advanceApplied`), deterministically: equal entries give equal state on every member.
 *
 * Invariants
 *   - Reads see everything applied; the backend lags behind by what is in the write buffer.
 *   - Every commit holds the effect of exactly the entries up to its applied index: what an entry that is applied in slices
 *     has done so far (apply.ts) is in a draft of the buffer, which neither commits nor readers see.
 *   - revision, compactedRevision, appliedIndex never go back.
 *   - The tables, in `backend.ts`; the key index, in `key-index.ts`; physical compaction, in `compaction.ts`.
 */
import { assert } from '../../lib/assert.ts'
import type { LogIndex, Revision, Term } from '../../lib/ids.ts'
import type { Backend, BackendSize, StoreDamaged } from './backend.ts'
import { readAlarms, type AlarmSets } from './alarms.ts'
import { AuthState } from './auth/state.ts'
import { GuardedBackend } from './guarded-backend.ts'
import { encodeMeta, META_KEY, readMeta, type Meta } from './meta.ts'
import { ValueCache } from './value-cache.ts'
import { WriteBuffer } from './write-buffer.ts'

/** Bound of the write buffer: beyond it, apply nothing until a commit is through. The last entry may go beyond. */
export const MAX_BUFFER_SIZE_BYTES = 64 * 1024 * 1024

/** Place of an entry in the Raft log. */
export interface LogPosition {
  readonly index: LogIndex
  readonly term: Term
}

/** As etcd counts them: requests and operations of txns, keys of a revoked lease, txns with more than one operation. */
export interface OperationCounts {
  puts: number
  deletes: number
  ranges: number
  txns: number
}

type Mutable<Fields> = { -readonly [Name in keyof Fields]: Fields[Name] }

export class Store {
  readonly backend: Backend
  /** All reads and writes of tables; written only by this folder's functions. */
  readonly buffer: WriteBuffer
  /** Key-values of the table `revisions` that were read lately. */
  readonly values = new ValueCache()
  /** Since this process began, for metrics. */
  readonly operations: OperationCounts = { puts: 0, deletes: 0, ranges: 0, txns: 0 }
  /** Contents of the table `alarms`; changed by `apply-alarm.ts` only. */
  readonly alarms: AlarmSets
  /** Contents of the table `auth`; changed by `auth/apply-auth.ts` only. */
  readonly auth: AuthState
  /** Changed in place: it changes with every entry. */
  readonly #meta: Mutable<Meta>
  #committedIndex: LogIndex
  #committed: Promise<void> | undefined
  /** Begins after that one, with everything that is applied by then. */
  #next: Promise<void> | undefined
  #isDirty = false
  /** The last commit has said so. */
  #toldRemovalsFollow = false
  /**
   * Events from this revision on are still to be handed to watches that keep up: the physical half of a compaction waits
   * until it is through with what is below. Of this process only, and above the revision whenever nobody lags.
   */
  eventsHeldFrom = Infinity
  /** The physical half of a compaction is to remove more at once. Of this process only. */
  removalsFollow = false
  /** Called once, at the moment when a read or a commit has found the store damaged: nothing is given of it from then on. */
  onDamaged: (damage: StoreDamaged) => void = () => {}
  #isDamaged = false
  readonly #heldRevisions = new Set<{ readonly revision: number }>()

  /**
   * Reads the last commit; throws `MalformedBytes` when it is not a store of this format, and `StoreDamaged`. `copiedRows`:
   * see WriteBuffer.
   */
  constructor(backend: Backend, copiedRows?: number) {
    this.backend = new GuardedBackend(backend, (damage) => {
      this.#isDamaged = true
      this.onDamaged(damage)
    })
    this.buffer = new WriteBuffer(this.backend, copiedRows)
    this.#meta = { ...readMeta(this.backend) }
    this.alarms = readAlarms(this.buffer)
    this.auth = new AuthState(this.buffer)
    this.#committedIndex = this.#meta.appliedIndex
  }

  /** Of the last applied change; 1 in an empty store. */
  get revision(): Revision {
    return this.#meta.revision
  }

  /** Reads below it are refused; -1 before the first compaction. */
  get compactedRevision(): number {
    return this.#meta.compactedRevision
  }

  get appliedIndex(): LogIndex {
    return this.#meta.appliedIndex
  }

  get appliedTerm(): Term {
    return this.#meta.appliedTerm
  }

  /** Applied index that a restart would find: entries up to it are not needed for this member's own recovery. */
  get committedIndex(): LogIndex {
    return this.#committedIndex
  }

  /** A copy, which later entries do not change. */
  get meta(): Meta {
    return { ...this.#meta }
  }

  /** Something was applied that no commit has started to write. */
  get isDirty(): boolean {
    return this.#isDirty
  }

  get isCommitting(): boolean {
    return this.#committed !== undefined
  }

  /** All is removed that the last commit said would follow: the next one gives the space back. */
  get isRemovalComplete(): boolean {
    return this.#toldRemovalsFollow && !this.removalsFollow
  }

  /** The disk does not keep up: wait for {@link relieved} before applying more. */
  get isSaturated(): boolean {
    return this.buffer.sizeBytes >= MAX_BUFFER_SIZE_BYTES || this.buffer.hasManyLayers
  }

  /** Keeps everything that is visible at `revision` until the returned function is called, for a reader in slices. */
  holdRevision(revision: number): () => void {
    const hold = { revision }
    this.#heldRevisions.add(hold)
    return () => void this.#heldRevisions.delete(hold)
  }

  /** Compacted revision above which nothing may be removed at the moment. */
  get purgeLimit(): number {
    let lowest = Infinity
    for (const { revision } of this.#heldRevisions) lowest = Math.min(lowest, revision)
    return lowest
  }

  size(): BackendSize {
    return this.backend.size()
  }

  /** For this folder's functions: changes state outside of the tables. */
  update(changes: Partial<Meta>): void {
    const { revision, compactedRevision, appliedIndex } = this.#meta
    Object.assign(this.#meta, changes)
    assert(this.#meta.revision >= revision, 'the revision does not go back')
    assert(this.#meta.compactedRevision >= compactedRevision, 'the compacted revision does not go back')
    assert(this.#meta.appliedIndex >= appliedIndex, 'the applied index does not go back')
    this.#isDirty = true
  }

  /** As {@link update}, for what nearly every entry changes. */
  advanceRevision(revision: Revision): void {
    assert(revision >= this.#meta.revision, 'the revision does not go back')
    this.#meta.revision = revision
    this.#isDirty = true
  }

  /** The same, for what every entry changes. */
  advanceApplied({ index, term }: LogPosition): void {
    assert(index === this.#meta.appliedIndex + 1, () => `entry ${index} after ${this.#meta.appliedIndex}`)
    this.#meta.appliedIndex = index
    this.#meta.appliedTerm = term
    this.#isDirty = true
  }

  /**
   * Writes what is applied now to the backend; resolves once it is durable, whatever is applied and committed after it.
   * While a commit is under way all calls share the next one. After a rejection (the disk failed) it must never be
   * called again.
   */
  commit(): Promise<void> {
    if (!this.#isDirty) return this.#committed ?? Promise.resolve()
    this.#next ??= this.#committed?.then(() => {
      this.#next = undefined
      return this.#isDirty ? this.#commitNow() : undefined
    })
    return this.#next ?? this.#commitNow()
  }

  /** Resolves once the commit under way, or one that begins now, is finished: there may be room again. */
  relieved(): Promise<void> {
    return this.#committed ?? this.commit()
  }

  #commitNow(): Promise<void> {
    const committed = this.#startCommit()
    this.#committed = committed
    return committed
  }

  async #startCommit(): Promise<void> {
    const { meta } = this
    this.buffer.put('meta', META_KEY, encodeMeta(meta))
    this.#isDirty = false
    const { removalsFollow } = this
    this.#toldRemovalsFollow = removalsFollow
    await this.buffer.commit({ removalsFollow })
    this.#committedIndex = meta.appliedIndex
    this.#committed = undefined
  }

  /** Commits what is applied, unless the store is damaged, and closes the backend. */
  async close(): Promise<void> {
    try {
      while (!this.#isDamaged && (this.#isDirty || this.isCommitting)) await this.commit()
    } catch (error) {
      if (!this.#isDamaged) throw error
    }
    await this.discard()
  }

  /** Closes the backend of a store that another has replaced; applied changes that are not being written are dropped. */
  async discard(): Promise<void> {
    this.#isDirty = false
    // The caller that began the commit learns of its failure.
    await this.#committed?.catch(() => undefined)
    await this.backend.close()
  }
}

/** Records an entry as applied: call it for every entry, also for those without effect on the store. */
export function advanceApplied(store: Store, position: LogPosition): void {
  store.advanceApplied(position)
}
