/**
 * When a member may answer clients. A process that has just started knows less than its cluster has told others, and less
 * than it may have told them itself in its life before; one that joins knows nothing. So it answers nobody until a leader
 * has said what is committed (ReadIndex) and all of that is applied here: first of all its own place in the configuration,
 * without which no leader speaks to it. A learner asks as a voter does. And it has told the cluster where its clients find
 * it: who asks it for the members must see that.
 *
 * A member that has been through this in an earlier life serves without a leader, too, once there has been none for the
 * time of a request: what needs no quorum must work when the quorum is gone. It then knows what its log says is committed.
 *
 * Source: etcd's ReadyNotify, which waits for an entry of the member's own to be applied, at every start and forever.
 */
import { NOBODY, type MemberId } from '../../../lib/ids.ts'
import type { Result } from '../../../lib/result.ts'
import { getMember } from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import { membersOf } from '../../raft/quorum.ts'
import { decodeConfiguration } from '../membership/configuration.ts'
import type { NodeProblem, NodeStatus } from '../ports.ts'

/** What it needs of the member. */
export interface Candidate {
  readonly memberId: MemberId
  readonly store: Store
  status(): Pick<NodeStatus, 'leader' | 'commitIndex'>
  linearizableBarrier(): Promise<Result<void, NodeProblem>>
  /** False when the cluster may not know this member's client URLs yet. */
  publishAttributes(): Promise<boolean>
}

export class Admission {
  readonly #open: (isLed: boolean) => Promise<void>
  #opening: Promise<void> | undefined
  #isOpen = false
  #isOver = false

  /** `open` lets clients in; it is called once or never. */
  constructor(open: (isLed: boolean) => Promise<void>) {
    this.#open = open
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Resolves when clients are let in, or will not be; rejects when `open` does. */
  async begin(member: Candidate): Promise<void> {
    const admitted = await mayServe(member)
    if (admitted === 'stopped' || this.#isOver) return
    this.#opening = this.#open(admitted === 'led')
    await this.#opening
    this.#isOpen = !this.#isOver
  }

  /** Clients are not let in any more; if they were, what `open` does has been done when this resolves. Never rejects. */
  async end(): Promise<void> {
    this.#isOver = true
    this.#isOpen = false
    await this.#opening?.catch(() => undefined)
  }
}

/** `alone`: without a leader. `stopped`: the member has ended, or the cluster has removed it. */
export async function mayServe(member: Candidate): Promise<'led' | 'alone' | 'stopped'> {
  const { commitIndex } = member.status()
  for (;;) {
    const reached = await member.linearizableBarrier()
    if (!reached.ok && reached.error === 'stopped') return 'stopped'
    if (reached.ok && (await member.publishAttributes())) return 'led'
    const isReplayed = member.store.appliedIndex >= commitIndex
    if (isReplayed && hasServed(member) && member.status().leader === NOBODY) return 'alone'
  }
}

/** A member tells the cluster its client URLs as soon as it can, so where that is applied everything before it is. */
function hasServed({ memberId, store }: Candidate): boolean {
  const isMember = membersOf(decodeConfiguration(store.meta.configuration)).includes(memberId)
  return isMember && (getMember(store, memberId)?.clientURLs.length ?? 0) > 0
}
