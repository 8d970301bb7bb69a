/**
 * What a replica makes of a damaged store. The store itself reports it, at the first read that meets it, and gives nothing
 * from then on; the log goes on. A replica that found the damage only hands over and ends, and the member begins another one
 * without the store: that one waits for a snapshot from the leader.
 */
import type { Clock } from '../../../lib/clock.ts'
import type { MemberId } from '../../../lib/ids.ts'
import { MAX_WAIT_FOR_STORE_MS } from '../../limits.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import type { Store } from '../../mvcc/store.ts'
import { storeLost, type Raft } from '../../raft/raft.ts'
import { REPLACE_MEMBER } from '../../storage/recovery.ts'
import type { NodeLog } from '../options.ts'

export interface StoreDamageParts {
  readonly memberId: MemberId
  readonly raft: Raft
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly log: NodeLog
  /** Where it was found damaged before: there is an empty store in its place, which nobody may see. */
  readonly damage: string | undefined
  /** A snapshot is being received. */
  readonly isReceiving: () => boolean
  /** This replica has found it. */
  readonly onFound: () => void
  /** There is nobody who sends another store. The error says what to do. */
  readonly onGivenUp: (error: Error) => void
}

export class StoreDamage {
  readonly #parts: StoreDamageParts
  #where: string | undefined
  #isFoundHere = false
  /** By the monotonic clock. */
  #waitingSinceMs: number

  constructor(parts: StoreDamageParts) {
    this.#parts = parts
    this.#where = parts.damage
    this.#waitingSinceMs = parts.clock.monotonicMs()
    if (parts.damage !== undefined) storeLost(parts.raft)
  }

  /** Undefined when the member may answer from its store. */
  get where(): string | undefined {
    return this.#where
  }

  /** It takes no snapshot any more: the replica after it does. */
  get isFoundHere(): boolean {
    return this.#isFoundHere
  }

  watch(store: Store): void {
    store.onDamaged = (damage) => this.#found(damage)
  }

  /** There is another store, with all in it that the cluster has committed. */
  isMended(): void {
    this.#where = undefined
  }

  #found({ where, message }: StoreDamaged): void {
    const { raft, log, onFound } = this.#parts
    this.#where = where
    this.#isFoundHere = true
    log.error({ where, reason: message }, 'the store is damaged')
    storeLost(raft)
    if (this.#isAlone) this.#giveUp('this member is its whole cluster')
    else onFound()
  }

  get #isAlone(): boolean {
    const { raft, memberId } = this.#parts
    const { voters, learners } = raft.configuration
    return voters.length === 1 && learners.length === 0 && voters[0] === memberId
  }

  tick(nowMs: number): void {
    const { raft, isReceiving } = this.#parts
    if (!raft.isStoreLost || this.#isFoundHere) return
    if (isReceiving()) this.#waitingSinceMs = nowMs
    if (nowMs - this.#waitingSinceMs >= MAX_WAIT_FOR_STORE_MS) this.#giveUp('no leader has sent another one')
  }

  #giveUp(why: string): void {
    const advice = `restore a saved snapshot, or ${REPLACE_MEMBER}`
    this.#parts.onGivenUp(new Error(`the store is damaged (${this.#where}), and ${why}: ${advice}`))
  }
}

/** For what reads the store beside the log's lane and the network's, of which nothing may end because that read did. */
export function unlessDamaged(action: () => void): void {
  try {
    action()
  } catch (error) {
    if (!(error instanceof StoreDamaged)) throw error
  }
}
