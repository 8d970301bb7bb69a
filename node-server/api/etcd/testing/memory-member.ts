/** A member without Raft or disk: what is proposed is applied at once. For tests of what stands in front of a member. */
import { ClusterId, LogIndex, MemberId, NOBODY, Term } from '../../../../lib/ids.ts'
import { err, ok } from '../../../../lib/result.ts'
import { systemClock } from '../../../../lib/system-clock.ts'
import { apply } from '../../../mvcc/apply.ts'
import { compactSlice } from '../../../mvcc/compaction.ts'
import { getLease, keysOfLease, listLeases } from '../../../mvcc/lease.ts'
import { MemoryBackend } from '../../../mvcc/memory-backend.ts'
import type { AuthEffect } from '../../../mvcc/results.ts'
import { Store } from '../../../mvcc/store.ts'
import { SimpleTokens } from '../../../node/auth/simple-tokens.ts'
import { Hasher } from '../../../node/maintenance/hasher.ts'
import type { Member, MemberChange, NodePort, NodeProblem, NodeStatus } from '../../../node/ports.ts'
import { Gate } from '../gate.ts'

const OWN_ID = MemberId(0x8e9e05c52164694dn)
const OWN: Member = {
  id: OWN_ID,
  name: 'default',
  peerURLs: ['http://localhost:2380'],
  clientURLs: ['http://localhost:2379'],
  isLearner: false,
}

export class MemoryMember implements NodePort {
  readonly clusterId = ClusterId(0xcdf818194e3a8c32n)
  readonly memberId = OWN_ID
  readonly store = new Store(new MemoryBackend())
  quotaBytes = 2 * 1024 ** 3
  maxRequestBytes = 1.5 * 1024 * 1024
  /** Answered instead of doing anything, when set. */
  problem: NodeProblem | undefined
  isLearner = false
  isStopped = false
  leader: MemberId = OWN_ID
  barriers = 0
  proposals = 0
  /** What changes of members were asked for. */
  readonly changes: MemberChange[] = []
  currentMembers: readonly Member[] = [OWN]

  status(): NodeStatus {
    return {
      leader: this.leader,
      term: Term(2),
      commitIndex: this.store.appliedIndex,
      appliedIndex: this.store.appliedIndex,
      isLearner: this.isLearner,
      damage: this.damage,
      isStopped: this.isStopped,
    }
  }

  members(): readonly Member[] {
    return this.currentMembers
  }

  readonly #appliedListeners = new Set<() => void>()

  onApplied(listener: () => void): () => void {
    this.#appliedListeners.add(listener)
    return () => void this.#appliedListeners.delete(listener)
  }

  readonly minLeaseTtlSeconds = 2
  lastLeaseId = 0x694d000000000000n
  /** How often each lease was renewed. */
  readonly renewals = new Map<bigint, number>()

  newLeaseId(): bigint {
    this.lastLeaseId += 1n
    return this.lastLeaseId
  }

  renewLease: NodePort['renewLease'] = async (id) => {
    if (this.problem !== undefined) return err(this.problem)
    this.renewals.set(id, (this.renewals.get(id) ?? 0) + 1)
    return ok(getLease(this.store, id)?.ttlSeconds)
  }

  /** Every lease was granted this very second. */
  leaseTimeToLive: NodePort['leaseTimeToLive'] = async (id, withKeys) => {
    if (this.problem !== undefined) return err(this.problem)
    const lease = getLease(this.store, id)
    if (lease === undefined) return ok(undefined)
    const { ttlSeconds } = lease
    return ok({ ttlSeconds, remainingSeconds: ttlSeconds - 1, keys: withKeys ? keysOfLease(this.store, id) : [] })
  }

  leaseIds(): readonly bigint[] {
    return listLeases(this.store).map(({ id }) => id)
  }

  readonly #authListeners = new Set<(effect: AuthEffect) => void>()

  onAuthChanged(listener: (effect: AuthEffect) => void): () => void {
    this.#authListeners.add(listener)
    return () => void this.#authListeners.delete(listener)
  }

  propose: NodePort['propose'] = async (kind, request, _caller, authInfo) => {
    this.proposals += 1
    if (this.problem !== undefined) return err(this.problem)
    if (request.length > this.maxRequestBytes) return err('request-too-large')
    const position = { index: LogIndex(this.store.appliedIndex + 1), term: Term(2) }
    const result = apply(this.store, position, { kind, requestId: BigInt(position.index), request, authInfo })
    if (result.ok && result.value.kind === 'auth')
      for (const listener of this.#authListeners) listener(result.value.effect)
    for (const listener of this.#appliedListeners) listener()
    if (kind === 'compact') setImmediate(() => this.#purge())
    return ok(result)
  }

  #purge(): void {
    let slice = compactSlice(this.store, undefined)
    while (slice.cursor !== undefined) slice = compactSlice(this.store, slice.cursor)
  }

  linearizableBarrier: NodePort['linearizableBarrier'] = async () => {
    this.barriers += 1
    return this.problem === undefined ? ok(undefined) : err(this.problem)
  }

  readonly #hasher = new Hasher(() => this.store, systemClock, false)
  hashKeyValues: NodePort['hashKeyValues'] = (revision) => this.#hasher.hashKeyValues(revision)
  hashTables: NodePort['hashTables'] = () => this.#hasher.hashTables()
  defragmentations = 0
  /** What {@link defragment} rejects with, when set. */
  diskFailure: Error | undefined

  defragment: NodePort['defragment'] = async () => {
    this.defragmentations += 1
    if (this.diskFailure !== undefined) throw this.diskFailure
  }

  damage: string | undefined

  pinned = 0

  pinStore: NodePort['pinStore'] = async () => {
    if (this.problem !== undefined) return err(this.problem)
    this.pinned += 1
    await this.store.commit()
    const pinned = await this.store.backend.pin()
    return ok({ ...pinned, release: async () => void (this.pinned -= 1) })
  }

  changeMember: NodePort['changeMember'] = async (change) => {
    this.changes.push(change)
    if (this.problem !== undefined) return err(this.problem)
    if (change.kind !== 'add') return ok({ member: undefined, members: this.currentMembers })
    const { peerURLs, isLearner } = change
    const member: Member = { id: MemberId(7n), name: '', peerURLs, clientURLs: [], isLearner }
    this.currentMembers = [member, ...this.currentMembers]
    return ok({ member, members: this.currentMembers })
  }

  moveLeader: NodePort['moveLeader'] = async (target) => {
    if (this.problem !== undefined) return err(this.problem)
    return target === NOBODY || target !== OWN_ID ? err('bad-transferee') : ok(undefined)
  }
}

/** Through which everybody goes while authentication is off. */
export function gateOf(node: NodePort): Gate {
  return new Gate({ node, tokens: new SimpleTokens(systemClock, 300_000), isClientCertAuth: false })
}
