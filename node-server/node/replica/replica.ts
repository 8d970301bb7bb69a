/**
 * A running member: Raft, log, store and peers brought together, on one thread. Messages, ticks and proposals go into the Raft
 * core at any time; the pipeline carries out what it then wants done. What arrives while the disk works is its next batch.
 *
 * Invariants: the order of the pipeline (pipeline.ts); each request is answered once (waiters.ts).
 * Neighbours: api/ asks through NodePort; membership/, lease/ and maintenance/ through ports that they name themselves;
 * lifecycle/ starts and stops it.
 */
import { NOBODY, type ClusterId, type MemberId, type Term } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { Timer } from '../../../lib/clock.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { KEPT_LOG } from '../../limits.ts'
import type { ApplyResult } from '../../mvcc/apply.ts'
import { ownAuthInfo, type AuthInfo } from '../../mvcc/auth/state.ts'
import type { AuthEffect } from '../../mvcc/results.ts'
import type { Command, Member } from '../../mvcc/command.ts'
import { getLease, listLeases } from '../../mvcc/lease.ts'
import { isRemovedMember, listMembers } from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import { AlarmType } from '../../proto/generated/etcd/rpc.ts'
import { termAt } from '../../raft/log.ts'
import { isLearner } from '../../raft/quorum.ts'
import type { ConfigChange, Entry, Message, SnapshotMeta } from '../../raft/message.ts'
import {
  answeredTo,
  applyConfigChange,
  callRoll,
  campaign,
  compact,
  leaderOf,
  readIndex,
  reportReachable,
  reportUnreachable,
  status as raftStatus,
  step,
  tick,
  transferLeader,
  type Raft,
  type RaftStatus,
  type RollCall,
  type SoftState,
} from '../../raft/raft.ts'
import type { StoredIdentity } from '../../storage/data-directory.ts'
import type { Wal } from '../../storage/wal.ts'
import type { IncomingSnapshot, PeerTransport } from '../../transport/transport.ts'
import { Applier, problemOf, type Outcome } from '../apply/applier.ts'
import { onlyApplicable } from './forwarded.ts'
import { linksOf } from './late.ts'
import { newLeaseIds } from '../lease/lease-ids.ts'
import { Lessor } from '../lease/lessor.ts'
import { Attributes } from '../membership/attributes.ts'
import { cutOf, usualCut, type Cutting } from './log-cut.ts'
import { MAX_APPLY_GAP, requestTimeoutMs, type NodeOptions } from '../options.ts'
import type { Caller, NodeProblem, NodeStatus, RequestKind } from '../ports.ts'
import { Hasher } from '../maintenance/hasher.ts'
import { OutgoingSnapshots, type SnapshotProgress } from './outgoing-snapshots.ts'
import { Commands } from './commands.ts'
import { Peers } from './peers.ts'
import { Pipeline, type News } from './pipeline.ts'
import type { Objection } from './proposal.ts'
import { Proposals } from './proposals.ts'
import { Purge } from '../maintenance/purge.ts'
import { DiskRoom } from '../maintenance/disk-room.ts'
import { Quota } from '../maintenance/quota.ts'
import { SpaceAlarm } from '../maintenance/space-alarm.ts'
import { Reads } from './reads.ts'
import { StoreDamage, unlessDamaged } from './store-damage.ts'
import { StoreFiles, type StorePlace } from '../maintenance/store-files.ts'
import type { StoreName } from '../maintenance/store-name.ts'

export interface ReplicaParts {
  readonly identity: StoredIdentity
  readonly raft: Raft
  readonly wal: Wal
  readonly store: Store
  readonly place: StorePlace
  readonly options: NodeOptions
  /** The cluster has removed this member; called once. */
  readonly onRemoved: () => void
  /** Where the store was found damaged before: there is an empty one in its place, which nobody may see. */
  readonly damage: string | undefined
  /** The store of that name is damaged. Until the replica is stopped it votes, acknowledges and hands leadership over. */
  readonly onDamaged: (name: StoreName) => void
  /** The process must end: a bug, or a disk that failed. */
  readonly onFatal: (error: unknown) => void
}

const PUBLISH_INTERVAL_MS = 1000
const MAX_READ_RETRY_MS = 500

export class Replica {
  readonly options: NodeOptions
  readonly identity: StoredIdentity
  readonly room: DiskRoom
  readonly quota: Quota
  readonly hasher: Hasher
  readonly files: StoreFiles
  readonly lessor: Lessor
  readonly damage: StoreDamage
  readonly #outgoing: OutgoingSnapshots
  readonly #leaseIds: () => bigint
  readonly #raft: Raft
  readonly #wal: Wal
  readonly #applier: Applier
  readonly #pipeline: Pipeline
  readonly #peers: Peers
  readonly #proposals: Proposals
  readonly #reads: Reads
  readonly #purge: Purge
  readonly commands: Commands
  readonly #attributes: Attributes
  readonly #spaceAlarm: SpaceAlarm
  readonly #onRemoved: () => void
  readonly #onFatal: (error: unknown) => void
  #isPumpScheduled = false
  #tickTimer: Timer | undefined
  #lastPublishMs = 0
  #isStopped = false
  #isRemoved = false
  /** The members have changed since it was last seen that this one is among them. */
  #areMembersNew = true
  #lastLeader = NOBODY
  readonly #appliedListeners = new Set<() => void>()
  readonly #authListeners = new Set<(effect: AuthEffect) => void>()

  constructor(parts: ReplicaParts) {
    const { options, identity } = parts
    this.options = options
    this.identity = identity
    this.#raft = parts.raft
    this.#wal = parts.wal
    this.#onRemoved = parts.onRemoved
    this.#attributes = new Attributes(this)
    this.#onFatal = (error) => {
      if (error instanceof StoreDamaged) return // told by the store itself
      this.#isStopped = true
      parts.onFatal(error)
    }
    this.damage = new StoreDamage({
      ...options,
      ...parts,
      memberId: identity.memberId,
      isReceiving: () => this.files.isReceiving,
      onFound: () => parts.onDamaged(this.files.name),
      onGivenUp: this.#onFatal,
    })
    this.damage.watch(parts.store)
    this.#reads = new Reads(Math.min(options.electionMs, MAX_READ_RETRY_MS))
    this.#proposals = new Proposals(options, () => linksOf(this.#raft, (id) => this.#peers.connectedSinceMs(id)))
    this.#applier = new Applier(
      {
        store: parts.store,
        clusterId: identity.clusterId,
        waiters: this.#proposals.waiters,
        options,
        onFatal: this.#onFatal,
      },
      {
        onConfigChange: (entry, change) => this.#onConfigChange(entry, change),
        onMembersChanged: () => this.#onMembersChanged(),
        onTermBegan: (term) => {
          if (this.#leadingTerm() === term) this.lessor.promote(term)
        },
        onLease: (result) => this.lessor.applied(result),
        onAuth: (effect) => {
          for (const listener of this.#authListeners) listener(effect)
        },
      },
    )
    const currentStore = (): Store => this.store
    this.#peers = new Peers({
      files: () => this.files,
      onSnapshotRequest: (message) => this.#outgoing.ask(message),
      onSnapshotSent: (to, result) => this.#onSnapshotSent(to, result),
    })
    this.#pipeline = this.#createPipeline()
    const { volume, paths } = parts.place
    this.room = new DiskRoom({ storeSpace: () => volume.space(paths.db), logSpace: () => volume.space(paths.wal) })
    this.quota = new Quota(options.quotaBytes, currentStore, this.room)
    this.hasher = new Hasher(currentStore, options.clock, options.maintenance.compactHashCheckMs > 0)
    this.#purge = new Purge({
      clock: options.clock,
      hasher: this.hasher,
      currentStore,
      onRemoved: () => this.#applier.noteChanged(),
      onFatal: this.#onFatal,
    })
    this.files = new StoreFiles({
      ...parts.place,
      store: parts.store,
      room: this.room,
      onFatal: this.#onFatal,
      onDefragmented: () => this.quota.forget(),
    })
    this.#outgoing = new OutgoingSnapshots({
      ...options,
      raft: parts.raft,
      usualCut: () => usualCut(this.#cutting()),
      send: (message, watcher) => this.#peers.sendSnapshot(message, watcher),
    })
    this.#spaceAlarm = new SpaceAlarm({
      memberId: identity.memberId,
      quota: this.quota,
      log: options.log,
      currentStore,
      raise: () => this.commands.raiseAlarm(AlarmType.NOSPACE, this.memberId),
    })
    this.commands = new Commands({
      options,
      quota: this.quota,
      nextRequestId: () => this.#proposals.nextRequestId(),
      submit: (command, objection, caller) => this.#submit(command, objection, caller),
      ownAuthInfo: () => ownAuthInfo(this.store.auth),
      onNoSpace: () => this.#spaceAlarm.raise(),
    })
    this.#leaseIds = newLeaseIds(identity.memberId, options.clock.wallMs())
    this.lessor = new Lessor({
      ...options,
      stored: {
        find: (id) => getLease(this.store, id),
        list: (after, limit) => listLeases(this.store, after, limit),
      },
      leadingTerm: () => this.#leadingTerm(),
      revoke: (id, term) => this.commands.revokeLease(id, term),
    })
  }

  get clusterId(): ClusterId {
    return this.identity.clusterId
  }

  get memberId(): MemberId {
    return this.identity.memberId
  }

  get store(): Store {
    return this.#applier.store
  }

  get isRemoved(): boolean {
    return this.#isRemoved
  }

  get isStopped(): boolean {
    return this.#isStopped || this.#isRemoved
  }

  get pendingProposals(): number {
    return this.#proposals.waiters.size
  }

  /** For observers: reading it changes nothing. */
  get raft(): Raft {
    return this.#raft
  }

  get isLeading(): boolean {
    return this.#raft.role.kind === 'leader'
  }

  get leader(): MemberId {
    return leaderOf(this.#raft)
  }

  start(transport: PeerTransport): void {
    this.#peers.open(transport)
    this.#onMembersChanged()
    const { configuration } = this.raftStatus()
    // Alone there is nobody to wait for.
    if (configuration.voters.length === 1 && configuration.voters[0] === this.memberId) campaign(this.#raft)
    this.#scheduleTick()
    this.#pump()
  }

  raftStatus(): RaftStatus {
    return raftStatus(this.#raft)
  }

  /** Of the snapshot that is on its way to that member. */
  snapshotTo(id: MemberId): SnapshotProgress | undefined {
    return this.#outgoing.progressTo(id)
  }

  status(): NodeStatus {
    const { term, log } = this.#raft
    return {
      leader: this.leader,
      term,
      commitIndex: log.committed,
      appliedIndex: this.store.appliedIndex,
      isLearner: isLearner(this.#raft.configuration, this.memberId),
      isStopped: this.isStopped,
      damage: this.damage.where,
    }
  }

  members(): readonly Member[] {
    return listMembers(this.store)
  }

  /** See NodePort. */
  onApplied(listener: () => void): () => void {
    this.#appliedListeners.add(listener)
    return () => void this.#appliedListeners.delete(listener)
  }

  /** False while the store is damaged: peers are asked for another one, and none is turned away because this one cannot be read. */
  isRemovedMember(id: MemberId): boolean {
    let isRemoved = false
    unlessDamaged(() => {
      isRemoved = isRemovedMember(this.store, id)
    })
    return isRemoved
  }

  propose(
    kind: RequestKind,
    request: Uint8Array,
    caller?: Caller,
    authInfo?: AuthInfo,
  ): Promise<Result<ApplyResult, NodeProblem>> {
    return this.commands.propose(kind, request, caller, authInfo)
  }

  /** See NodePort. */
  onAuthChanged(listener: (effect: AuthEffect) => void): () => void {
    this.#authListeners.add(listener)
    return () => void this.#authListeners.delete(listener)
  }

  newLeaseId(): bigint {
    return this.#leaseIds()
  }

  #submit(command: Command, objection?: Objection, caller?: Caller): Promise<Outcome> {
    const { log } = this.#raft
    if (this.isStopped) return Promise.resolve(problemOf('stopped'))
    if (log.committed - log.applied > MAX_APPLY_GAP) return Promise.resolve(problemOf('too-many-requests'))
    const outcome = this.#proposals.add(command, objection, caller)
    this.#schedulePump()
    return outcome
  }

  async linearizableBarrier(): Promise<Result<void, NodeProblem>> {
    if (this.isStopped) return err('stopped')
    const outcome = this.#reads.add(this.options.clock.monotonicMs() + requestTimeoutMs(this.options))
    this.#schedulePump()
    const reached = await outcome
    return reached === 'ready' ? ok(undefined) : err(reached)
  }

  /** The leader begins to hand over; whether it worked shows in the status. */
  beginTransfer(target: MemberId): Result<void, NodeProblem> {
    const begun = transferLeader(this.#raft, target)
    this.#schedulePump()
    if (begun.ok) return ok(undefined)
    return err(begun.error === 'not-leader' ? 'not-leader' : 'bad-transferee')
  }

  /** Asks all members whether they are there; undefined when this member does not lead. */
  callRoll(): RollCall | undefined {
    const roll = callRoll(this.#raft)
    this.#schedulePump()
    return roll
  }

  /** Who has answered since, this member among them; undefined when it leads no more, or has lost and regained the lead. */
  answeredTo(roll: RollCall): ReadonlySet<MemberId> | undefined {
    return answeredTo(this.#raft, roll)
  }

  onMessages(messages: readonly Message[]): void {
    if (this.isStopped) return
    const onRefused = ({ from }: Message, reason: string): void =>
      this.options.log.warn({ from: from.toString(16), reason }, 'refused a proposal that a member forwarded')
    this.#guard(() => {
      for (const message of onlyApplicable(messages, onRefused)) step(this.#raft, message)
    })
    this.#schedulePump()
  }

  async onSnapshot(incoming: IncomingSnapshot): Promise<void> {
    if (this.damage.isFoundHere) throw new Error('the damaged store is being put aside')
    await this.files.keep(incoming)
    this.options.log.info({ index: incoming.message.snapshot.index }, 'received a snapshot')
    this.onMessages([incoming.message])
  }

  #onSnapshotSent(to: MemberId, result: Result<void, string>): void {
    if (result.ok) this.options.log.info({ to: to.toString(16) }, 'sent a snapshot')
    else this.options.log.warn({ to: to.toString(16), reason: result.error }, 'could not send a snapshot')
    this.#guard(() => this.#outgoing.ended(to, result))
    this.#schedulePump()
  }

  connectedSinceMs(peer: MemberId): number | undefined {
    return this.#peers.connectedSinceMs(peer)
  }

  onUnreachable(id: MemberId): void {
    if (id === this.leader) this.#proposals.wayLost()
    this.#guard(() => reportUnreachable(this.#raft, id))
  }

  onReachable(id: MemberId): void {
    this.#guard(() => reportReachable(this.#raft, id))
    this.#schedulePump() // for what waits for the way to the leader, too
  }

  /** From a peer's word or from the log: this member is no longer part of the cluster. */
  becomeRemoved(): void {
    if (this.#isRemoved) return
    this.#isRemoved = true
    this.options.log.warn({}, 'the cluster has removed this member')
    this.#proposals.stop()
    this.#reads.stop()
    this.hasher.stop()
    this.lessor.demote()
    this.#peers.set([]) // they would refuse it again and again
    this.#onRemoved()
  }

  /** Finishes what is under way and makes everything durable. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#tickTimer?.cancel()
    this.#proposals.stop()
    this.#reads.stop()
    this.hasher.stop()
    this.#purge.stop()
    this.lessor.demote()
    await this.#pipeline.stop()
    await this.#peers.close()
    await this.#wal.close()
    await this.files.close()
  }

  #scheduleTick(): void {
    if (this.#isStopped) return
    this.#tickTimer = this.options.clock.setTimer(this.options.heartbeatMs, () => {
      this.#scheduleTick()
      this.#tick()
    })
  }

  #tick(): void {
    const { clock } = this.options
    const nowMs = clock.monotonicMs()
    this.#guard(() => tick(this.#raft))
    this.#proposals.expire(nowMs)
    this.#reads.expire(nowMs)
    this.lessor.tick(nowMs)
    this.#guard(() => this.#outgoing.tick())
    this.damage.tick(nowMs)
    if (nowMs - this.#lastPublishMs >= PUBLISH_INTERVAL_MS) {
      this.#lastPublishMs = nowMs
      this.quota.forget()
      this.publishAttributes().catch(this.#onFatal)
    }
    this.#purge.wake()
    this.#pump()
  }

  publishAttributes(): Promise<boolean> {
    return this.#attributes.publish()
  }

  /** Everything that came in during this round of the event loop goes into one batch. */
  #schedulePump(): void {
    if (this.#isPumpScheduled) return
    this.#isPumpScheduled = true
    this.options.clock.soon(() => {
      this.#isPumpScheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#isStopped) return
    this.#guard(() => {
      this.#feed()
      this.#pipeline.pump()
    })
  }

  /**
   * Hands waiting proposals and reads to the core. Proposals wait for a free lane: handed over one by one, each would be a
   * message to every peer, and none would be durable here any sooner.
   */
  #feed(): void {
    if (!this.#pipeline.isAppending) {
      if (this.#proposals.gathers()) this.#schedulePump()
      else this.#proposals.feed(this.#raft, (leader) => this.#peers.takesProposals(leader))
    }
    const isOpen = this.isLeading || this.#peers.takesProposals(this.leader)
    const round = this.#reads.nextRound(this.options.clock.monotonicMs(), isOpen)
    if (round !== undefined && !readIndex(this.#raft, round).ok) this.#reads.dropped(round)
  }

  #createPipeline(): Pipeline {
    return new Pipeline(this.#raft, {
      send: (messages) => this.#peers.send(messages),
      installSnapshot: (snapshot) => this.#installSnapshot(snapshot),
      persist: (hardState, entries, mustSync) => {
        // A leader has heartbeats to send; followers may pause for as long as an entry takes that somebody waits for.
        const mayPause = entries.length <= 1 && !this.isLeading
        return this.#wal.append(hardState, entries, mustSync, mayPause)
      },
      apply: async (entries) => {
        try {
          await this.#applier.apply(entries)
          this.#tellApplied()
          return true
        } catch (error) {
          if (!(error instanceof StoreDamaged)) throw error
          return false
        }
      },
      tell: (news) => this.#onNews(news),
      giveWay: () => new Promise((resolve) => this.options.clock.soon(resolve)),
      onProgress: () => this.#onProgress(),
      onFatal: this.#onFatal,
    })
  }

  async #installSnapshot(snapshot: SnapshotMeta): Promise<void> {
    await this.#wal.setBase({ index: snapshot.index, term: snapshot.term })
    await this.files.install(snapshot.index, (store) => {
      this.damage.watch(store)
      this.#applier.replaceStore(store)
      unlessDamaged(() => {
        this.#onMembersChanged()
        this.#tellApplied()
      })
    })
    this.options.log.info({ index: snapshot.index }, 'installed a snapshot')
  }

  #tellApplied(): void {
    this.#purge.wake()
    this.#spaceAlarm.weigh()
    for (const listener of this.#appliedListeners) listener()
  }

  #onNews({ readStates, readsDropped, softState }: News): void {
    for (const { requestId, index } of readStates) this.#reads.confirmed(requestId, index)
    for (const requestId of readsDropped) this.#reads.dropped(requestId)
    if (readStates.length > 0) this.#reads.applied(this.store.appliedIndex)
    if (softState === undefined) return
    this.#onSoftState(softState)
    unlessDamaged(() => this.#leaveWhenRemoved())
  }

  #onProgress(): void {
    this.#reads.applied(this.store.appliedIndex)
    this.#compactLog()
    unlessDamaged(() => this.#leaveWhenRemoved())
    this.#pump()
  }

  #leaveWhenRemoved(): void {
    if (this.#isRemoved || !this.#areMembersNew) return
    this.#areMembersNew = isRemovedMember(this.store, this.memberId)
    if (!this.#areMembersNew) return
    // A leader that is removed first hands over: the others may need it for that.
    if (!this.isLeading) this.becomeRemoved()
  }

  #onSoftState(softState: SoftState): void {
    const { role, leader, term } = softState
    this.options.log.info({ role, leader: leader.toString(16), term }, 'role')
    if (role !== 'leader') {
      this.lessor.demote()
      this.#outgoing.demote()
    }
    if (leader === NOBODY || leader === this.#lastLeader) return
    this.#lastLeader = leader
    this.#proposals.leaderChanged()
    this.options.observer.leaderChanged()
  }

  #compactLog(): void {
    const index = cutOf(this.#cutting(), () => this.#outgoing.kept)
    const term = index === undefined ? undefined : termAt(this.#raft.log, index)
    if (index === undefined || term === undefined) return
    compact(this.#raft, index)
    this.#wal.setBase({ index, term }).catch(this.#onFatal)
  }

  #cutting(): Cutting {
    const peers: Cutting['peers'] = () => raftStatus(this.#raft).peers
    const { log } = this.#raft
    return { log, durable: this.store.committedIndex, options: this.options, peers, limits: KEPT_LOG }
  }

  #leadingTerm(): Term | undefined {
    return this.isLeading && !this.#isStopped ? this.#raft.term : undefined
  }

  #onConfigChange(entry: Entry, change: ConfigChange): void {
    const result = applyConfigChange(this.#raft, entry.index, change)
    if (!result.ok || change.kind === 'none') return
    const { voters, learners } = result.value
    const ids = (members: readonly MemberId[]): string[] => members.map((id) => id.toString(16))
    this.options.log.info({ index: entry.index, voters: ids(voters), learners: ids(learners) }, 'configuration')
  }

  #onMembersChanged(): void {
    this.#areMembersNew = true
    if (this.#isRemoved) return
    this.#peers.set(this.members())
  }

  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#onFatal(error)
    }
  }
}
