/**
 * Hashes of the store, in slices, so that a large one does not hold up the member. One pass at a time; while one is under
 * way, the physical half of later compactions waits ({@link Hasher.purgeLimit}).
 *
 * With the compaction hash check on, every compaction is hashed before its physical half, as etcd does: members compact
 * at the same revisions, so these hashes are comparable although nobody stands still.
 */
import { sleep, type Clock } from '../../../lib/clock.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import {
  beginCompactionHash,
  beginHash,
  beginTablesHash,
  hashSlice,
  hashTablesSlice,
  type HashPass,
  type KeyValueHash,
} from '../../mvcc/hash-kv.ts'
import { HASH_TURN, type PassTurn } from '../../limits.ts'
import type { Store } from '../../mvcc/store.ts'
import type { HashedKeyValues, HashProblem } from '../ports.ts'

/** Passes that wait for the one under way. */
const MAX_WAITING = 16
/** How many hashes of compactions are kept, how many compactions may wait for theirs, and how many answers are kept: as in etcd. */
const MAX_COMPACTIONS = 10
/** A snapshot that takes the store's place in the middle of a pass makes it begin again. */
const MAX_ATTEMPTS = 3

interface Compaction {
  readonly previous: number
  readonly revision: number
}

export class Hasher {
  readonly #currentStore: () => Store
  readonly #clock: Clock
  readonly #hashesCompactions: boolean
  readonly #turnLimits: PassTurn
  #passes: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #underWay: HashPass | undefined
  #pending: Compaction[] = []
  #ofCompactions: KeyValueHash[] = []
  /** The newest answers, at most one for each revision. */
  #told: KeyValueHash[] = []
  #observed: { readonly store: Store; readonly compactedRevision: number }
  #isStopped = false

  constructor(currentStore: () => Store, clock: Clock, hashesCompactions: boolean, turnLimits = HASH_TURN) {
    this.#currentStore = currentStore
    this.#clock = clock
    this.#hashesCompactions = hashesCompactions
    this.#turnLimits = turnLimits
    const store = currentStore()
    this.#observed = { store, compactedRevision: store.compactedRevision }
  }

  /** Compacted revision above which nothing may be removed from the store at the moment. */
  get purgeLimit(): number {
    const ofPass = this.#underWay?.compactedRevision ?? Infinity
    return this.#pending.reduce((least, { previous }) => Math.min(least, previous), ofPass)
  }

  /** Of the newest compactions, the newest last. */
  get ofCompactions(): readonly KeyValueHash[] {
    return this.#ofCompactions
  }

  /** `revision` 0 means the current one. */
  async hashKeyValues(revision: number): Promise<Result<HashedKeyValues, HashProblem>> {
    const known = this.#known(revision)
    const hashed = known === undefined ? await this.#inTurn(() => this.#hashNow(revision)) : ok(known)
    return hashed.ok ? ok({ ...hashed.value, currentRevision: this.#currentStore().revision }) : hashed
  }

  /**
   * One that was compacted at is answered as of before that. etcd hashes each compaction for it; here that is a pass
   * over the whole store, so without the check it is done only for what somebody had asked for before.
   */
  #known(revision: number): KeyValueHash | undefined {
    const ofCompaction = this.#ofCompactions.find((hash) => hash.revision === revision)
    if (ofCompaction !== undefined || this.#currentStore().compactedRevision !== revision) return ofCompaction
    return this.#told.find((hash) => hash.revision === revision)
  }

  async #hashNow(revision: number): Promise<Result<KeyValueHash, HashProblem>> {
    const known = this.#known(revision) // since this has waited for its turn
    if (known !== undefined) return ok(known)
    const hashed = await this.#whole(async (store, isCurrent) => {
      const pass = beginHash(store, revision)
      return pass.ok ? this.#run(store, pass.value, isCurrent) : err<HashProblem>(pass.error.kind)
    })
    if (hashed.ok) {
      const others = this.#told.filter((hash) => hash.revision !== hashed.value.revision)
      this.#told = [...others, hashed.value].slice(-MAX_COMPACTIONS)
    }
    return hashed
  }

  /** Of all tables. Comparable only between members that stand still. */
  hashTables(): Promise<Result<number, HashProblem>> {
    return this.#inTurn(() =>
      this.#whole(async (store, isCurrent) => {
        const pass = beginTablesHash()
        for (;;) {
          const hash = this.#turn(() => hashTablesSlice(store, pass))
          if (hash !== undefined) return ok(hash)
          await this.#pause()
          if (!isCurrent()) return undefined
        }
      }),
    )
  }

  /** Call it after entries were applied, and before anything is removed for a compaction: its hash is computed first. */
  observeCompaction(): void {
    const store = this.#currentStore()
    const { compactedRevision } = store
    const before = this.#observed
    if (before.store === store && before.compactedRevision === compactedRevision) return
    this.#observed = { store, compactedRevision }
    if (this.#hashesCompactions && before.store === store)
      this.#noteCompaction(store, before.compactedRevision, compactedRevision)
  }

  /** Of that store or of none: one that replaces it before its turn may have been purged for another compaction. */
  #noteCompaction(store: Store, previous: number, revision: number): void {
    if (this.#pending.length >= MAX_COMPACTIONS || this.#waiting >= MAX_WAITING) return
    const compaction = { previous, revision }
    this.#pending.push(compaction)
    void this.#inTurn(async () => {
      const isCurrent = (): boolean => !this.#isStopped && this.#currentStore() === store
      const hash = await this.#run(store, beginCompactionHash(previous, revision), isCurrent)
      if (hash?.ok === true) this.#ofCompactions = [...this.#ofCompactions, hash.value].slice(-MAX_COMPACTIONS)
      return ok(undefined)
    }).finally(() => (this.#pending = this.#pending.filter((other) => other !== compaction)))
  }

  stop(): void {
    this.#isStopped = true
  }

  #inTurn<Value>(pass: () => Promise<Result<Value, HashProblem>>): Promise<Result<Value, HashProblem>> {
    if (this.#waiting >= MAX_WAITING) return Promise.resolve(err('too-many-requests'))
    this.#waiting += 1
    const result = this.#passes
      .then(() => (this.#isStopped ? err<HashProblem>('stopped') : pass()))
      .finally(() => (this.#waiting -= 1))
    this.#passes = result.catch(() => undefined)
    return result
  }

  /** Undefined from `pass` means that the store was replaced meanwhile. */
  async #whole<Value>(
    pass: (store: Store, isCurrent: () => boolean) => Promise<Result<Value, HashProblem> | undefined>,
  ): Promise<Result<Value, HashProblem>> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS && !this.#isStopped; attempt++) {
      const store = this.#currentStore()
      const result = await pass(store, () => !this.#isStopped && this.#currentStore() === store)
      if (result !== undefined) return result
    }
    return err(this.#isStopped ? 'stopped' : 'timeout')
  }

  async #run(
    store: Store,
    pass: HashPass,
    isCurrent: () => boolean,
  ): Promise<Result<KeyValueHash, HashProblem> | undefined> {
    this.#underWay = pass
    try {
      while (isCurrent()) {
        const hash = this.#turn(() => hashSlice(store, pass))
        if (hash !== undefined) return ok(hash)
        await this.#pause()
      }
      return undefined
    } finally {
      this.#underWay = undefined
    }
  }

  /** Slice after slice; undefined when there are more to come. */
  #turn<Value>(slice: () => Value | undefined): Value | undefined {
    const { ms, slices } = this.#turnLimits
    const endMs = this.#clock.monotonicMs() + ms
    for (let i = 0; i < slices; i++) {
      const whole = slice()
      if (whole !== undefined || this.#clock.monotonicMs() >= endMs) return whole
    }
    return undefined
  }

  #pause(): Promise<void> {
    return sleep(this.#clock, this.#turnLimits.ms)
  }
}
