/** The Raft cluster of the fake world: one configuration that changes at once, fences and idempotency as in the contract. */
import assert from 'node:assert/strict'
import type {
  AdminAlarm,
  AdminChange,
  AdminError,
  AdminStatus,
  AdminUpkeep,
  MembershipRequest,
  RecoverRequest,
  UpkeepRequest,
} from '../../../lib/admin-api.ts'
import { unreachable } from '../../../lib/assert.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { LogEnd } from '../log-end.ts'
import { quorumOf } from '../safety.ts'
import { FakeStores } from './fake-store.ts'

export interface Disk {
  clusterId: string
  memberId: string
  /** Looks since it joined: it has caught up after two. */
  age: number
}

interface FakeMember {
  readonly id: string
  readonly name: string
  readonly peerURLs: readonly string[]
}

/** What a waiting member knows. */
const NOTHING: Pick<FakeCluster, 'configIndex' | 'term' | 'voters' | 'learners' | 'members' | 'leader'> = {
  configIndex: 0,
  term: 0,
  voters: [],
  learners: [],
  members: [],
  leader: '',
}

export class FakeCluster {
  clusterId = ''
  configIndex = 0
  term = 0
  leader = ''
  voters: readonly string[] = []
  learners: readonly string[] = []
  members: readonly FakeMember[] = []
  isLearnerStuck = false
  /** What the leader tells of its learner instead of what follows from its disk. */
  learnerProgress: Partial<AdminStatus['peers'][number]> | undefined
  /** Where a member's log ends, if not where all end. */
  readonly ends = new Map<string, LogEnd>()
  alarms: readonly AdminAlarm[] = []
  readonly stores = new FakeStores()
  /** Every configuration that there was, by size of its voters. */
  readonly history: number[] = []
  readonly #results = new Map<string, AdminChange>()
  /** Disks of members that run now, by member ID. */
  alive: ReadonlyMap<string, Disk> = new Map()
  #lastId = 0x10

  bootstrap(
    operationId: string,
    clusterId: string,
    member: Omit<FakeMember, 'id'>,
    disk: Disk,
  ): Result<AdminChange, AdminError> {
    if (disk.clusterId === clusterId)
      return ok({ operationId, memberId: disk.memberId, clusterId, configIndex: this.configIndex })
    assert.equal(disk.clusterId, '', 'a member is not made another cluster’s')
    assert.equal(this.clusterId, '', 'invariant 14: an empty disk never forms a second cluster')
    this.clusterId = clusterId
    const id = this.#newId()
    Object.assign(disk, { clusterId, memberId: id, age: 9 })
    this.members = [{ id, ...member }]
    this.voters = [id]
    this.alive = new Map([[id, disk]])
    this.#bump()
    this.elect()
    return ok({ operationId, memberId: id, clusterId, configIndex: this.configIndex })
  }

  /** A member starts from a disk that a backup was restored to: it is the cluster, and nothing counts that another one knew. */
  startRestored(disk: Disk, member: Omit<FakeMember, 'id'>): void {
    assert.equal(this.leader, '', 'a restore never forms a second cluster')
    this.clusterId = disk.clusterId
    this.members = [{ id: disk.memberId, ...member }]
    this.voters = [disk.memberId]
    this.learners = []
    this.term = 0
    this.configIndex = 0
    this.ends.clear()
    this.#results.clear()
    this.history.length = 0
    this.#bump()
  }

  /** Leadership goes to the first living voter, as long as a majority lives. */
  elect(): void {
    const living = this.voters.filter((id) => this.alive.has(id))
    if (living.length < quorumOf(this.voters.length) || this.voters.length === 0) this.leader = ''
    else if (!living.includes(this.leader)) {
      this.leader = living.at(-1) ?? ''
      this.term++
    }
  }

  change(request: MembershipRequest): Result<AdminChange, AdminError> {
    const done = this.#results.get(request.operationId)
    if (done !== undefined) return ok(done)
    if (this.leader === '') return err({ code: 'NoLeader', message: 'no leader' })
    if (request.expectedConfigIndex !== this.configIndex)
      return err({ code: 'ConfigIndexStale', message: 'stale', configIndex: this.configIndex })
    const changed = this.#change(request)
    if (!changed.ok) return changed
    this.#bump()
    this.elect()
    const result = {
      operationId: request.operationId,
      memberId: changed.value,
      clusterId: this.clusterId,
      configIndex: this.configIndex,
    }
    this.#results.set(request.operationId, result)
    return ok(result)
  }

  #change(request: MembershipRequest): Result<string, AdminError> {
    switch (request.kind) {
      case 'add-learner': {
        const isTaken = this.members.some((member) => member.peerURLs[0] === request.member.peerURLs[0])
        if (isTaken || this.learners.length > 0) return err({ code: 'Conflict', message: 'a learner or the same URLs' })
        const id = this.#newId()
        this.members = [...this.members, { id, ...request.member }]
        this.learners = [id]
        return ok(id)
      }
      case 'promote': {
        const id = request.memberId
        if (!this.learners.includes(id)) return err({ code: 'NotFound', message: id })
        if (this.matchIndex(id) === 0) return err({ code: 'LearnerLagging', message: 'behind', lag: 1000 })
        this.learners = []
        this.voters = [...this.voters, id]
        return ok(id)
      }
      case 'remove': {
        const id = request.memberId
        if (!this.members.some((member) => member.id === id)) return err({ code: 'NotFound', message: id })
        const after = this.voters.filter((voter) => voter !== id)
        const living = (ids: readonly string[]): boolean =>
          ids.filter((voter) => this.alive.has(voter)).length >= quorumOf(ids.length)
        assert(
          living(this.voters) && living(after) && after.length > 0,
          'invariant 12: a change that healthy voters cannot commit',
        )
        assert.notEqual(id, this.leader, 'leadership moves before its member is removed')
        this.voters = after
        this.learners = this.learners.filter((learner) => learner !== id)
        this.members = this.members.filter((member) => member.id !== id)
        return ok(id)
      }
      default:
        return unreachable(request)
    }
  }

  transfer(to: string): Result<string, AdminError> {
    if (!this.voters.includes(to) || !this.alive.has(to)) return err({ code: 'NotFound', message: to })
    if (this.leader !== to) this.term++
    this.leader = to
    return ok(to)
  }

  /** As a member does it: alone it has the majority. */
  recover(request: RecoverRequest, disk: Disk): Result<AdminChange, AdminError> {
    const { operationId, memberId, clusterId } = request
    if (disk.memberId !== memberId || disk.clusterId !== clusterId) return err({ code: 'Conflict', message: 'another' })
    const isAlone = this.voters.length === 1 && this.voters[0] === memberId
    if (!isAlone) {
      if (this.leader !== '') return err({ code: 'Conflict', message: 'there is a leader' })
      if (request.expectedConfigIndex !== this.configIndex) return err({ code: 'ConfigIndexStale', message: 'stale' })
      this.voters = [memberId]
      this.learners = []
      this.members = this.members.filter(({ id }) => id === memberId)
      this.ends.clear()
      this.configIndex += 3
      this.history.push(1)
      this.elect()
    }
    return ok({ operationId, memberId, clusterId, configIndex: this.configIndex })
  }

  /** Fenced like every change. */
  keepUp(memberId: string, request: UpkeepRequest): Result<AdminUpkeep, AdminError> {
    if (request.expectedConfigIndex !== this.configIndex) return err({ code: 'ConfigIndexStale', message: 'stale' })
    const isLeader = request.kind === 'defragment' && request.memberId === this.leader
    assert(!isLeader || this.voters.length === 1, 'leadership moves before its member is defragmented')
    const busy = [...this.stores.byMember].filter(([, { defragmentation }]) => defragmentation?.state === 'running')
    const isOther = request.kind === 'defragment' && busy.some(([id]) => id !== memberId)
    assert(!isOther, 'one member is defragmented at a time')
    return this.stores.keepUp(memberId, request)
  }

  matchIndex(id: string): number {
    const disk = this.alive.get(id)
    if (disk === undefined || (this.isLearnerStuck && this.learners.includes(id))) return 0
    return disk.age >= 2 ? 100 : 0
  }

  status(disk: Disk, name: string): AdminStatus {
    const isIn = this.members.some(({ id }) => id === disk.memberId)
    const isLeader = disk.memberId === this.leader && disk.memberId !== ''
    const role =
      disk.clusterId === ''
        ? 'waiting'
        : !isIn
          ? 'removed'
          : isLeader
            ? 'leader'
            : this.learners.includes(disk.memberId)
              ? 'learner'
              : 'follower'
    const known = role === 'waiting' ? NOTHING : this
    const store = this.stores.report(disk.memberId)
    return {
      clusterId: disk.clusterId,
      memberId: disk.memberId,
      name,
      role,
      term: known.term,
      leader: known.leader,
      commitIndex: Math.max(100, known.configIndex),
      appliedIndex: 100,
      lastIndex: Math.max(100, known.configIndex),
      lastTerm: known.term,
      ...this.ends.get(disk.memberId),
      configIndex: known.configIndex,
      voters: known.voters,
      votersOutgoing: [],
      learners: known.learners,
      members: known.members.map((member) => ({
        ...member,
        clientURLs: [],
        isLearner: known.learners.includes(member.id),
      })),
      isChangePending: false,
      peers: isLeader ? this.members.filter(({ id }) => id !== this.leader).map(({ id }) => this.#peer(id)) : [],
      configHistory: [],
      version: '1',
      etcdVersion: '3.6.0',
      dbSizeBytes: 1,
      revision: this.stores.revision,
      alarms: [...this.alarms, ...this.stores.alarms],
      ...(store !== undefined && { store }),
    }
  }

  #peer(id: string): AdminStatus['peers'][number] {
    const matchIndex = this.matchIndex(id)
    const told = this.learners.includes(id) ? this.learnerProgress : undefined
    return { id, matchIndex, lag: 100 - matchIndex, state: 'replicate', isActive: this.alive.has(id), ...told }
  }

  #bump(): void {
    this.configIndex += 3
    const previous = this.history.at(-1) ?? this.voters.length
    assert(Math.abs(previous - this.voters.length) <= 1, 'one voter at a time')
    this.history.push(this.voters.length)
  }

  #newId(): string {
    return (++this.#lastId).toString(16)
  }
}
