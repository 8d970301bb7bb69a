/**
 * The members' cluster as a model: one truth (configuration, term, leader, log end, results of operations) and what each
 * member knows of it. It behaves as node-server/node does at the admin API: fenced by the configuration's index when a
 * change is proposed and again when it is applied, one change at a time, answers remembered by operation, a leader only
 * with a quorum of voters that hear each other, none elected that lacks what was committed.
 *
 * Left out: what is in the log. Whoever hears the leader has all of it after a moment; a learner takes longer; a leader
 * that loses its quorum may be left with a tail that nobody acknowledged. Of each log it is known where it ends.
 */
import type {
  AdminChange,
  AdminError,
  AdminStatus,
  AdminUpkeep,
  MembershipRequest,
  RecoverRequest,
  UpkeepRequest,
} from '../../lib/admin-api.ts'
import { LogIndex, MemberId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { quorumOf, refuse, type RequestedChange } from '../../node-server/node/membership/fence.ts'
import type { Disk, MemberProcess } from './member-process.ts'
import type { World } from './world.ts'

export interface RaftMember {
  readonly id: string
  readonly name: string
  readonly peerURLs: readonly string[]
  readonly clientURLs: readonly string[]
}

export interface Configuration {
  readonly index: number
  readonly voters: readonly string[]
  readonly learners: readonly string[]
  readonly members: readonly RaftMember[]
}

export const NO_CONFIGURATION: Configuration = { index: 0, voters: [], learners: [], members: [] }

/** Entries of one term that nobody acknowledged. */
export interface Tail {
  readonly term: number
  readonly length: number
}

export const NO_TAIL: Tail = { term: 0, length: 0 }

type Change = Result<AdminChange, AdminError>

interface Pending {
  readonly request: MembershipRequest
  readonly leader: string
  readonly dueMs: number
  /** It reached a quorum before its leader was gone. */
  readonly isReplicated: boolean
  readonly answer: (result: Change) => void
}

const ELECTION_MS = 1000
const PROPOSAL_TIMEOUT_MS = 5000
/** Entries that a learner takes over in one turn. */
const CATCH_UP = 120
/** Entries, at most, that a leader takes in before it knows that it has no quorum. */
const MAX_TAIL = 100

export class RaftCluster {
  clusterId = ''
  term = 0
  /** Member ID; empty while there is none. */
  leader = ''
  lastIndex = 0
  /** Whoever joins next never catches up. */
  isNextCursed = false
  configuration: Configuration = NO_CONFIGURATION
  readonly removed = new Set<string>()
  /** Members whose history a recovery ended. */
  readonly former = new Set<string>()
  /** Where the history of the last recovery began; 0 when there was none. */
  recoveredAt = 0
  /** First index of each term that has acknowledged entries. */
  #terms: readonly { readonly term: number; readonly from: number }[] = []
  /** Members whose data directory held something of the cluster. */
  readonly started = new Set<string>()
  #pending: Pending | undefined
  /** When the leader last heard from each member; nothing before it was elected counts. */
  readonly #heardMs = new Map<string, number>()
  readonly #results = new Map<string, AdminChange>()
  readonly #transfers = new Map<string, { leader: string; term: number }>()
  #leaderLostMs = 0
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  get isChangePending(): boolean {
    return this.#pending !== undefined
  }

  process(id: string): MemberProcess | undefined {
    return this.#world.kubelet.running.find(
      (process) => process.disk.memberId === id && process.disk.clusterId === this.clusterId,
    )
  }

  /** Members that run and hear the others. */
  isConnected(id: string): boolean {
    const process = this.process(id)
    return process !== undefined && process.isUp && !process.isCutOff
  }

  bootstrap(operationId: string, clusterId: string, member: Omit<RaftMember, 'id' | 'clientURLs'>, disk: Disk): Change {
    if (disk.clusterId !== '') {
      if (disk.clusterId !== clusterId) return refused('Conflict', `the directory is of cluster ${disk.clusterId}`)
      return ok({ operationId, memberId: disk.memberId, clusterId, configIndex: 1 })
    }
    this.#world.oracle.forms(this, clusterId)
    const id = this.#newId()
    this.clusterId = clusterId
    this.configuration = { index: 1, voters: [id], learners: [], members: [{ id, ...member, clientURLs: [] }] }
    this.lastIndex = 2
    this.term = 1
    this.#terms = [{ term: 1, from: 1 }]
    this.leader = id
    Object.assign(disk, { clusterId, memberId: id, known: this.configuration, applied: 2, appliedTerm: 1, term: 1 })
    this.started.add(id)
    return ok({ operationId, memberId: id, clusterId, configIndex: 1 })
  }

  /** The disk has what a backup had, and the member on it is the cluster. */
  startRestored(disk: Disk, name: string): void {
    const id = disk.memberId
    this.clusterId = disk.clusterId
    this.configuration = {
      index: 1,
      voters: [id],
      learners: [],
      members: [{ id, name, peerURLs: [`http://${name}:2380`], clientURLs: [] }],
    }
    this.lastIndex = disk.applied
    this.recoveredAt = disk.applied
    this.term = disk.term
    this.#terms = [{ term: 1, from: 1 }]
    disk.known = this.configuration
    this.started.add(id)
  }

  join(operationId: string, clusterId: string, memberId: string, known: Configuration, disk: Disk): Change {
    if (disk.clusterId !== '') {
      if (disk.clusterId !== clusterId || disk.memberId !== memberId)
        return refused('Conflict', `the directory is of member ${disk.memberId} of cluster ${disk.clusterId}`)
      return ok({ operationId, memberId, clusterId, configIndex: known.index })
    }
    this.#world.oracle.joins(this, memberId)
    Object.assign(disk, { clusterId, memberId, applied: 0, isCursed: this.isNextCursed }) // it knows no configuration before the leader's first word
    this.isNextCursed = false
    return ok({ operationId, memberId, clusterId, configIndex: known.index })
  }

  /** Asked of any member that hears the leader; the answer may come much later, or say that nothing is known. */
  change(asked: MemberProcess, request: MembershipRequest, answer: (result: Change) => void): void {
    const first = this.#results.get(request.operationId)
    if (first !== undefined && this.isConnected(asked.disk.memberId)) return answer(ok(first))
    if (!this.#leads(asked)) return answer(refused('NoLeader', 'no leader is known'))
    const refusal = refuse(requested(request), LogIndex(request.expectedConfigIndex), this.#facts())
    if (refusal !== undefined) {
      this.#world.coverage.note(`refused: ${refusal.error.code}`)
      return answer(err(refusal.error))
    }
    const { random, schedule } = this.#world
    const isSlow = random.chance(0.15)
    let isOver = false
    const once = (result: Change): void => {
      if (!isOver) answer(result)
      isOver = true
    }
    const dueMs = schedule.now + (isSlow ? random.below(3000) : random.below(20))
    this.#pending = { request, leader: this.leader, dueMs, isReplicated: random.chance(0.5), answer: once }
    schedule.after(dueMs - schedule.now, () => this.turn())
    if (isSlow && random.chance(0.3)) schedule.after(1, () => this.leadershipMoves())
    schedule.after(PROPOSAL_TIMEOUT_MS, () => once(refused('Timeout', 'whether the change was made is not known')))
  }

  /** As somebody with etcdctl would do it; no fence, no operation. */
  changeByHand(request: MembershipRequest): boolean {
    if (!this.#leaderHolds() || this.#pending !== undefined) return false
    if (refuse(requested(request), undefined, this.#facts()) !== undefined) return false
    const { random, schedule } = this.#world
    const dueMs = schedule.now + (random.chance(0.5) ? 0 : random.below(2000))
    this.#pending = { request, leader: this.leader, dueMs, isReplicated: random.chance(0.5), answer: () => undefined }
    schedule.after(dueMs - schedule.now, () => this.turn())
    return true
  }

  transfer(
    asked: MemberProcess,
    operationId: string,
    expected: number,
    to: string,
  ): Result<{ leader: string; term: number }, AdminError> {
    const first = this.#transfers.get(operationId)
    if (first !== undefined) return ok(first)
    if (!this.#leads(asked)) return refused('NoLeader', 'no leader is known')
    if (expected !== this.configuration.index) return refused('ConfigIndexStale', 'decided on another configuration')
    if (!this.configuration.voters.includes(to)) return refused('NotFound', `${to} is not a voter`)
    if (!this.isConnected(to)) return refused('TargetSilent', `${to} does not answer`)
    if (this.#world.random.chance(0.05)) return refused('Timeout', `${to} did not become leader in time`)
    if (to !== this.leader) this.#elect(to)
    const result = { leader: this.leader, term: this.term }
    this.#transfers.set(operationId, result)
    return ok(result)
  }

  /** The asked member goes on alone with what it has, as node-server/node/lifecycle/lifecycle.ts does it. */
  recover(request: RecoverRequest, { disk, isCutOff }: MemberProcess): Change {
    const { operationId, clusterId, memberId } = request
    if (disk.clusterId !== clusterId || disk.memberId !== memberId) return refused('Conflict', 'another member')
    const { known } = disk
    const isAlone = known.voters.join() === memberId && known.learners.length === 0
    if (isAlone) return ok({ operationId, memberId, clusterId, configIndex: known.index })
    if (request.expectedConfigIndex !== known.index)
      return refused('ConfigIndexStale', 'decided on another configuration')
    if (this.leader !== '' && !isCutOff) return refused('Conflict', `member ${this.leader} leads`)
    this.#pending = undefined
    for (const { id } of this.configuration.members) {
      if (id === memberId) continue
      this.removed.add(id)
      this.former.add(id)
    }
    this.removed.delete(memberId) // by a history that is no longer
    this.#terms = this.#terms.filter(({ from }) => from <= disk.applied)
    this.term = disk.term
    this.lastIndex = disk.applied
    this.#takeTail(disk)
    this.recoveredAt = this.lastIndex
    this.lastIndex += 1
    const members = known.members.filter(({ id }) => id === memberId)
    this.configuration = { index: this.lastIndex, voters: [memberId], learners: [], members }
    this.leader = ''
    Object.assign(disk, {
      known: this.configuration,
      applied: this.lastIndex,
      appliedTerm: this.#termAt(this.lastIndex),
    })
    this.#world.log.add('cluster', `${memberId} goes on alone (${this.lastIndex})`)
    this.#elect(memberId)
    return ok({ operationId, memberId, clusterId, configIndex: this.configuration.index })
  }

  /** Time passes: entries flow, leaders fall and rise, a change is applied. */
  turn(): void {
    if (this.clusterId === '') return
    if (this.#leaderHolds()) {
      this.#replicate()
      this.#hear()
      this.#world.stores.turn()
    } else this.#withoutLeader()
    this.#settlePending()
  }

  /** Whether the voters that run and hear each other, with all that was committed, could go on without `ids`. */
  isSurvivable(without: readonly string[]): boolean {
    const { voters } = this.configuration
    const whole = voters.filter((id) => !without.includes(id) && this.#isWhole(id))
    return whole.length >= quorumOf(voters.length)
  }

  status(process: MemberProcess): AdminStatus {
    const { disk, name } = process
    const isLeader = process.isUp && disk.memberId === this.leader && this.leader !== '' && disk.clusterId !== ''
    const stale = this.#staleLeader(process)
    const configuration = isLeader && !process.isCutOff ? this.configuration : disk.known
    const role = this.#role(process, configuration, isLeader || stale)
    const isWaiting = role === 'waiting'
    const leader = role === 'leader' ? disk.memberId : process.isCutOff || isWaiting ? '' : this.leader
    return {
      clusterId: disk.clusterId,
      memberId: disk.memberId,
      name,
      role,
      term: isWaiting ? 0 : disk.term,
      leader,
      commitIndex: disk.applied,
      appliedIndex: disk.applied,
      ...this.#end(process, isLeader),
      configIndex: configuration.index,
      voters: configuration.voters,
      votersOutgoing: [],
      learners: configuration.learners,
      members: configuration.members.map((member) => ({
        ...member,
        isLearner: configuration.learners.includes(member.id),
      })),
      isChangePending: isLeader && this.#pending !== undefined,
      peers: role === 'leader' ? this.#peers(process) : [],
      configHistory: [],
      version: process.version,
      etcdVersion: '3.7.0',
      dbSizeBytes: 1,
      revision: 1,
      ...this.#world.stores.status(process),
      ...(this.#world.hasTls && { tls: this.#world.tls.report(process) }),
    }
  }

  /** Asked of any member about its own store, or of one that hears the leader. */
  keepUp(asked: MemberProcess, request: UpkeepRequest): Result<AdminUpkeep, AdminError> {
    return this.#world.stores.keepUp(asked, request, this.#leads(asked))
  }

  /** What is in its log. */
  #end({ disk }: MemberProcess, isLeader: boolean): { readonly lastIndex: number; readonly lastTerm: number } {
    if (isLeader) return { lastIndex: this.lastIndex, lastTerm: this.#termAt(this.lastIndex) }
    const { applied, appliedTerm, tail } = disk
    return { lastIndex: applied + tail.length, lastTerm: tail.length > 0 ? tail.term : appliedTerm }
  }

  #termAt(index: number): number {
    return this.#terms.findLast(({ from }) => from <= index)?.term ?? 0
  }

  /** What only this member had is in the history now. */
  #takeTail(disk: Disk): void {
    this.lastIndex = Math.max(this.lastIndex, disk.applied + disk.tail.length)
    disk.tail = NO_TAIL
  }

  #role({ disk }: MemberProcess, { learners }: Configuration, leads: boolean): AdminStatus['role'] {
    if (disk.clusterId === '') return 'waiting'
    if (disk.isRemoved) return 'removed'
    if (leads) return 'leader'
    return learners.includes(disk.memberId) ? 'learner' : 'follower'
  }

  /** Cut off and not yet aware of it. */
  #staleLeader(process: MemberProcess): boolean {
    return process.isUp && process.isCutOff && process.ledUntilMs > this.#world.schedule.now
  }

  #peers(process: MemberProcess): AdminStatus['peers'] {
    const { members } = this.configuration
    return members
      .filter(({ id }) => id !== process.disk.memberId)
      .map(({ id }) => {
        const isActive =
          !process.isCutOff && this.#world.schedule.now - (this.#heardMs.get(id) ?? -Infinity) <= ELECTION_MS
        const matchIndex = this.#applied(id)
        return { id, matchIndex, lag: this.lastIndex - matchIndex, state: 'replicate', isActive }
      })
  }

  /** What the leader knows of that member's log; of one that is gone, what it knew last. */
  #applied(id: string): number {
    const process = this.process(id)
    return process === undefined ? (this.started.has(id) ? 1 : 0) : process.disk.applied
  }

  #isWhole(id: string): boolean {
    return this.isConnected(id) && (this.process(id)?.disk.applied ?? 0) >= this.lastIndex
  }

  #leads(asked: MemberProcess): boolean {
    return (
      this.#leaderHolds() &&
      this.isConnected(asked.disk.memberId) &&
      asked.disk.clusterId === this.clusterId &&
      !asked.disk.isRemoved
    )
  }

  #leaderHolds(): boolean {
    const { voters } = this.configuration
    if (this.leader === '' || !voters.includes(this.leader) || !this.isConnected(this.leader)) return false
    return voters.filter((id) => this.isConnected(id)).length >= quorumOf(voters.length)
  }

  #replicate(): void {
    this.lastIndex += this.#world.random.below(3)
    for (const process of this.#world.kubelet.running) {
      const { disk } = process
      if (!process.isUp || process.isCutOff || disk.clusterId !== this.clusterId || disk.isRemoved) continue
      if (this.removed.has(disk.memberId)) {
        disk.isRemoved = true
        continue
      }
      const isLearner = this.configuration.learners.includes(disk.memberId)
      if (!isLearner && !this.configuration.voters.includes(disk.memberId)) continue
      if (isLearner && disk.isCursed) continue
      disk.applied = Math.min(this.lastIndex, disk.applied + (isLearner ? CATCH_UP : this.lastIndex))
      disk.appliedTerm = this.#termAt(disk.applied)
      disk.tail = NO_TAIL
      disk.term = this.term
      disk.known = this.configuration
      this.started.add(disk.memberId)
      if (this.#world.hasTls) this.#publish(process)
    }
  }

  /** Under which URLs it is to be found; no change of the configuration. */
  #publish(process: MemberProcess): void {
    const { configuration } = this
    const members = configuration.members.map((member) =>
      member.id === process.disk.memberId ? this.#world.tls.published(process, member) : member,
    )
    this.configuration = { ...configuration, members }
  }

  /** Not at once what is so: who has died is called active for an election timeout, who was never heard is not. */
  #hear(): void {
    for (const { id } of this.configuration.members)
      if (id !== this.leader && this.isConnected(id)) this.#heardMs.set(id, this.#world.schedule.now)
  }

  #withoutLeader(): void {
    const { schedule, random } = this.#world
    if (this.leader !== '') {
      const process = this.process(this.leader)
      if (process !== undefined) {
        process.ledUntilMs = schedule.now + ELECTION_MS
        process.disk.tail = { term: this.term, length: random.below(MAX_TAIL) }
      }
      this.leader = ''
      this.#leaderLostMs = schedule.now
    }
    if (schedule.now - this.#leaderLostMs < ELECTION_MS) return
    const { voters } = this.configuration
    const connected = voters.filter((id) => this.isConnected(id))
    if (connected.length < quorumOf(voters.length)) return
    const next = random.pick(connected.filter((id) => this.#isWhole(id) && this.#isVotedFor(id, connected)))
    if (next !== undefined) this.#elect(next)
  }

  /** By a quorum of those who hear it (Raft §5.4.1). */
  #isVotedFor(id: string, connected: readonly string[]): boolean {
    const votes = connected.filter((other) => !this.isBehind(id, other))
    return votes.length >= quorumOf(this.configuration.voters.length)
  }

  /** In Raft's order; nobody is behind one that does not run. */
  isBehind(id: string, other: string): boolean {
    const [own, its] = [this.process(id), this.process(other)]
    if (own === undefined || its === undefined) return false
    const [ownEnd, itsEnd] = [this.#end(own, false), this.#end(its, false)]
    if (ownEnd.lastTerm !== itsEnd.lastTerm) return ownEnd.lastTerm < itsEnd.lastTerm
    return ownEnd.lastIndex < itsEnd.lastIndex
  }

  #elect(id: string): void {
    const disk = this.process(id)?.disk
    if (disk !== undefined) this.#takeTail(disk)
    this.term += 1
    this.leader = id
    this.lastIndex += 1
    this.#heardMs.clear()
    this.#terms = [...this.#terms, { term: this.term, from: this.lastIndex }]
    if (disk !== undefined) Object.assign(disk, { term: this.term, applied: this.lastIndex, appliedTerm: this.term })
    this.#world.log.add('cluster', `${id} leads in term ${this.term}`)
    if (this.#leaderHolds()) this.#replicate()
  }

  leadershipMoves(): boolean {
    const others = this.configuration.voters.filter((id) => id !== this.leader && this.#isWhole(id))
    const next = this.#world.random.pick(others)
    if (next === undefined || !this.#leaderHolds()) return false
    this.#elect(next)
    return true
  }

  #settlePending(): void {
    const pending = this.#pending
    if (pending === undefined || this.leader === '' || !this.#leaderHolds()) return
    if (pending.dueMs > this.#world.schedule.now && pending.leader === this.leader) return
    this.#pending = undefined
    if (pending.leader !== this.leader && !pending.isReplicated) {
      this.#world.coverage.note('change lost with its leader')
      return
    }
    pending.answer(ok(this.#apply(pending.request)))
  }

  #apply(request: MembershipRequest): AdminChange {
    const { configuration } = this
    this.lastIndex += 1
    const memberId = request.kind === 'add-learner' ? this.#newId() : request.memberId
    const next = after(configuration, request, memberId, this.lastIndex)
    this.#world.oracle.configured(configuration, next)
    this.configuration = next
    if (request.kind === 'remove') this.removed.add(memberId)
    if (request.kind === 'add-learner' && request.operationId !== '') {
      const strike = this.#world.onNextAdded
      this.#world.onNextAdded = undefined
      if (strike !== undefined) this.#world.schedule.after(0, strike)
    }
    const change = { operationId: request.operationId, memberId, clusterId: this.clusterId, configIndex: next.index }
    if (request.operationId !== '') this.#results.set(request.operationId, change)
    this.#world.log.add(
      'cluster',
      `${request.kind} ${memberId} → voters ${next.voters.join(',')} learners ${next.learners.join(',')} (${next.index})`,
    )
    if (memberId === this.leader && request.kind === 'remove') this.leader = ''
    this.#replicate()
    return change
  }

  #facts(): Parameters<typeof refuse>[2] {
    const { voters, learners, members, index } = this.configuration
    const matchIndex = members.map(({ id }) => [memberId(id), LogIndex(this.#applied(id))] as const)
    return {
      configIndex: LogIndex(index),
      isChangePending: this.#pending !== undefined,
      voters: voters.map(memberId),
      learners: learners.map(memberId),
      maxLearners: 1,
      answered: new Set(members.filter(({ id }) => this.isConnected(id)).map(({ id }) => memberId(id))),
      lastIndex: LogIndex(this.lastIndex),
      matchIndex: new Map(matchIndex),
      peerURLs: new Map(members.map(({ id, peerURLs }) => [memberId(id), peerURLs])),
    }
  }

  #newId(): string {
    return (0x100 + this.#world.nextId()).toString(16)
  }
}

function memberId(id: string): MemberId {
  return MemberId(BigInt(`0x${id}`))
}

function requested(request: MembershipRequest): RequestedChange {
  switch (request.kind) {
    case 'add-learner':
      return { kind: 'add', peerURLs: request.member.peerURLs, isLearner: true }
    case 'promote':
      return { kind: 'promote', memberId: memberId(request.memberId), maxLagEntries: request.maxLagEntries ?? 100 }
    case 'remove':
      return { kind: 'remove', memberId: memberId(request.memberId) }
    default:
      throw new Error('unknown change')
  }
}

function after(now: Configuration, request: MembershipRequest, id: string, index: number): Configuration {
  const others = (ids: readonly string[]): readonly string[] => ids.filter((other) => other !== id)
  switch (request.kind) {
    case 'add-learner':
      return {
        index,
        voters: now.voters,
        learners: [...now.learners, id],
        members: [...now.members, { id, clientURLs: [], ...request.member }],
      }
    case 'promote':
      return { ...now, index, voters: [...now.voters, id], learners: others(now.learners) }
    case 'remove':
      return {
        index,
        voters: others(now.voters),
        learners: others(now.learners),
        members: now.members.filter((member) => member.id !== id),
      }
    default:
      throw new Error('unknown change')
  }
}

function refused(code: AdminError['code'], message: string): { readonly ok: false; readonly error: AdminError } {
  return err({ code, message })
}
