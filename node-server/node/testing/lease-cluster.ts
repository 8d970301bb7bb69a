/**
 * Members with their stores and lessors, and in place of Raft a log that every member applies at once. Who leads is what
 * the test says. Time is virtual.
 */
import assert from 'node:assert/strict'
import { LogIndex, MemberId, NOBODY, Term } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { LEASES } from '../../limits.ts'
import { apply } from '../../mvcc/apply.ts'
import type { StoreCommand } from '../../mvcc/command.ts'
import { getLease, listLeases } from '../../mvcc/lease.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import type { ApplyResult } from '../../mvcc/results.ts'
import { Store } from '../../mvcc/store.ts'
import { LeaseGrantRequest, LeaseRevokeRequest, PutRequest } from '../../proto/generated/etcd/rpc.ts'
import { LeaseDuties, type LeaseHost } from '../lease/lease-duties.ts'
import { Lessor } from '../lease/lessor.ts'
import type { NodeObserver } from '../observer.ts'
import { decodePeerRequest, encodeJson } from '../peer-requests.ts'
import type { NodeProblem } from '../ports.ts'
import { VirtualClock } from './virtual-clock.ts'

export const TIMING = { heartbeatMs: 100, electionMs: 1000 }

export class LeaseMember implements LeaseHost {
  readonly memberId: MemberId
  readonly options: LeaseHost['options']
  readonly lessor: Lessor
  readonly duties: LeaseDuties
  readonly counts = { granted: 0, revoked: 0, renewed: 0, expired: 0 }
  store = new Store(new MemoryBackend())
  /** Whether its messages reach anybody. */
  isReachable = true
  isStopped = false
  readonly #cluster: LeaseCluster

  constructor(id: number, cluster: LeaseCluster) {
    this.memberId = MemberId(BigInt(id))
    this.#cluster = cluster
    this.options = { clock: cluster.clock, electionMs: TIMING.electionMs }
    this.lessor = new Lessor({
      ...TIMING,
      clock: cluster.clock,
      observer: observer(this.counts),
      leases: { ...LEASES, sliceLeases: 2 },
      stored: {
        find: (id) => getLease(this.store, id),
        list: (after, limit) => listLeases(this.store, after, limit),
      },
      leadingTerm: () => (this.leader === this.memberId ? cluster.term : undefined),
      revoke: async (ID, term) => {
        cluster.revokesProposed += 1
        if (cluster.isStuck || cluster.leader !== this.memberId || cluster.term !== term) return false
        return cluster.apply('lease-revoke', LeaseRevokeRequest.encode({ ID }).finish()).ok
      },
    })
    this.duties = new LeaseDuties(this, (to, payload) => cluster.ask(this, to, payload))
    this.#tick()
  }

  get leader(): MemberId {
    return this.#cluster.leader
  }

  async linearizableBarrier(): Promise<Result<void, NodeProblem>> {
    return this.isReachable && this.leader !== NOBODY ? ok(undefined) : err('timeout')
  }

  #tick(): void {
    this.options.clock.setTimer(TIMING.heartbeatMs, () => {
      this.lessor.tick(this.options.clock.monotonicMs())
      this.#tick()
    })
  }
}

export class LeaseCluster {
  readonly clock = new VirtualClock()
  leader: MemberId = NOBODY
  term = Term(1)
  /** Nothing that is proposed is applied. */
  isStuck = false
  revokesProposed = 0
  /** From one member to another. */
  questions = 0
  readonly members: readonly LeaseMember[]
  /** Of nobody. */
  readonly observer = observer({ granted: 0, revoked: 0, renewed: 0, expired: 0 })
  #index = 0

  constructor(size = 3) {
    this.members = Array.from({ length: size }, (_, i) => new LeaseMember(i + 1, this))
  }

  at(position: number): LeaseMember {
    const member = this.members[position]
    assert.ok(member !== undefined)
    return member
  }

  /** The member at that position is elected, and applies the first entry of its term. */
  elect(position: number): LeaseMember {
    this.unseat()
    const member = this.at(position)
    this.leader = member.memberId
    this.promote(member)
    return member
  }

  promote(member: LeaseMember): void {
    member.lessor.promote(this.term)
  }

  unseat(): void {
    for (const member of this.members) if (member.memberId === this.leader) member.lessor.demote()
    this.term = Term(this.term + 1)
    this.leader = NOBODY
  }

  apply(kind: StoreCommand['kind'], request: Uint8Array): ApplyResult {
    this.#index += 1
    const position = { index: LogIndex(this.#index), term: this.term }
    const results = this.members.map((member) => {
      const result = apply(member.store, position, { kind, requestId: 0n, request })
      if (result.ok && (result.value.kind === 'lease-grant' || result.value.kind === 'lease-revoke'))
        member.lessor.applied(result.value)
      return result
    })
    const [first] = results
    assert.ok(first !== undefined)
    for (const result of results) assert.deepEqual(result, first)
    return first
  }

  grant(ID: bigint, ttlSeconds: number): void {
    assert.ok(this.apply('lease-grant', LeaseGrantRequest.encode({ ID, TTL: BigInt(ttlSeconds) }).finish()).ok)
  }

  put(key: string, lease: bigint): void {
    const request = PutRequest.fromPartial({ key: Buffer.from(key), lease })
    assert.ok(this.apply('put', PutRequest.encode(request).finish()).ok)
  }

  /** As each member has them; the same everywhere. */
  leases(): readonly bigint[] {
    const all = this.members.map(({ store }) => listLeases(store).map(({ id }) => id))
    for (const ids of all) assert.deepEqual(ids, all[0])
    return all[0] ?? []
  }

  async ask(from: LeaseMember, to: MemberId, payload: Uint8Array): Promise<Result<Uint8Array, string>> {
    this.questions += 1
    const peer = this.members.find(({ memberId }) => memberId === to)
    const question = decodePeerRequest(payload)
    assert.ok(question?.kind === 'lease-renew' || question?.kind === 'lease-time-to-live')
    if (peer === undefined || !peer.isReachable || !from.isReachable) return err('there is no connection to the peer')
    return ok(encodeJson(await peer.duties.answer(question)))
  }
}

function observer(counts: LeaseMember['counts']): NodeObserver {
  const nothing = (): void => undefined
  return {
    walFsync: nothing,
    backendCommit: nothing,
    proposalFailed: nothing,
    leaderChanged: nothing,
    slowApply: nothing,
    leaseGranted: () => void (counts.granted += 1),
    leaseRevoked: () => void (counts.revoked += 1),
    leaseRenewed: () => void (counts.renewed += 1),
    leaseExpired: () => void (counts.expired += 1),
  }
}
