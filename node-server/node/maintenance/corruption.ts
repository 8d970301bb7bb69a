/**
 * Looks for members whose data differs, and raises the CORRUPT alarm for them. Three occasions, each off unless asked for,
 * as in etcd: at intervals, by the hashes of compactions, and once before a restarted member serves clients.
 */
import { sleep } from '../../../lib/clock.ts'
import { formatId, type MemberId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { AlarmType } from '../../proto/generated/etcd/rpc.ts'
import { disagreeing, judgeCompaction, judgePeriodic, type PeerHash } from './corruption-verdict.ts'
import type { Member } from '../../mvcc/command.ts'
import type { NodeOptions } from '../options.ts'
import type { HashedKeyValues, NodeProblem } from '../ports.ts'
import type { Hasher } from './hasher.ts'

/** Asks a peer for its hash at a revision; an error says in words why there is none. */
export type AskHash = (peer: MemberId, revision: number) => Promise<Result<HashedKeyValues, string>>

/** What it needs of the member. */
export interface CheckedMember {
  readonly options: Pick<NodeOptions, 'clock' | 'log' | 'maintenance'>
  readonly memberId: MemberId
  readonly hasher: Pick<Hasher, 'hashKeyValues' | 'ofCompactions'>
  readonly isLeading: boolean
  members(): readonly Member[]
  linearizableBarrier(): Promise<Result<void, NodeProblem>>
  readonly commands: { raiseAlarm(alarm: AlarmType, memberID: bigint): Promise<void> }
}

/** From the start of a member until its connections to running peers are there. */
const CONNECT_MS = 1000
const CONNECT_POLL_MS = 50

export class CorruptionChecks {
  readonly #member: CheckedMember
  readonly #ask: AskHash
  /** Newest compaction at which all members were found equal. */
  #lastEqual = 0

  constructor(member: CheckedMember, ask: AskHash) {
    this.#member = member
    this.#ask = ask
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { corruptCheckMs, compactHashCheckMs } = this.#member.options.maintenance
    await Promise.all([
      this.#repeat(corruptCheckMs, () => this.checkNow(), signal),
      this.#repeat(compactHashCheckMs, () => this.checkCompactions(), signal),
    ])
  }

  async #repeat(intervalMs: number, check: () => Promise<void>, signal: AbortSignal): Promise<void> {
    if (intervalMs <= 0) return
    for (;;) {
      await sleep(this.#member.options.clock, intervalMs, signal)
      if (signal.aborted) return
      if (this.#member.isLeading) await check()
    }
  }

  /** One periodic check, on the leader. */
  async checkNow(): Promise<void> {
    const { hasher, memberId, options } = this.#member
    const before = await hasher.hashKeyValues(0)
    if (!before.ok) return options.log.warn({ reason: before.error }, 'could not check for corruption')
    const peers = await this.#askAll(before.value.revision)
    const barrier = await this.#member.linearizableBarrier()
    const after = barrier.ok ? await hasher.hashKeyValues(0) : barrier
    if (!after.ok) return options.log.warn({ reason: after.error }, 'could not check for corruption')
    const corrupt = judgePeriodic({ id: memberId, before: before.value, after: after.value }, peers)
    if (corrupt !== undefined) await this.#raise(corrupt, before.value.revision)
  }

  /** From the newest compaction that was not found equal everywhere back to one that all members can tell about. */
  async checkCompactions(): Promise<void> {
    const { hasher, memberId } = this.#member
    for (const own of hasher.ofCompactions.toReversed()) {
      if (own.revision <= this.#lastEqual) return
      const peers = await this.#askAll(own.revision)
      if (peers.length === 0) return
      const verdict = judgeCompaction(memberId, own, peers)
      if (verdict.kind === 'incomplete') continue
      if (verdict.kind === 'equal') this.#lastEqual = own.revision
      else for (const member of verdict.members) await this.#raise(member, own.revision)
      return
    }
  }

  /** Before this member serves clients: the error says that it must not. Peers that cannot tell are passed over. */
  async checkAtStart(): Promise<Result<void, string>> {
    const { hasher, memberId, options } = this.#member
    const own = await hasher.hashKeyValues(0)
    if (!own.ok) return err(`the store could not be checked for corruption: ${own.error}`)
    const peers = await this.#askAll(own.value.revision, options.clock.monotonicMs() + CONNECT_MS)
    const others = disagreeing(own.value, peers)
    if (others.length === 0) return ok(undefined)
    return err(
      `${formatId(memberId)} found data inconsistency with peers: at revision ${own.value.revision} ${others.map(formatId).join(', ')} ${others.length === 1 ? 'has' : 'have'} other data. If this member is the odd one, remove it, empty its directory and add it again`,
    )
  }

  async #askAll(revision: number, retryUntilMs = 0): Promise<readonly PeerHash[]> {
    const { memberId, options } = this.#member
    const peers = this.#member.members().filter(({ id }) => id !== memberId)
    return Promise.all(
      peers.map(async ({ id }) => {
        let answer = await this.#ask(id, revision)
        while (!answer.ok && options.clock.monotonicMs() < retryUntilMs) {
          await sleep(options.clock, CONNECT_POLL_MS)
          answer = await this.#ask(id, revision)
        }
        if (!answer.ok) options.log.warn({ peer: formatId(id), revision, reason: answer.error }, 'no hash from a peer')
        return { id, hash: answer.ok ? answer.value : undefined }
      }),
    )
  }

  async #raise(member: MemberId, revision: number): Promise<void> {
    const { log } = this.#member.options
    log.error({ member: formatId(member), revision }, 'members disagree about the data: raising the CORRUPT alarm')
    await this.#member.commands.raiseAlarm(AlarmType.CORRUPT, member)
  }
}
