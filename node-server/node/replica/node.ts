/**
 * A running member: Raft, log, store and peers brought together, on one thread. Messages, ticks and proposals go into the Raft
 * core at any time; the pipeline carries out what it then wants done. What arrives while the disk works is its next batch.
 *
 * Invariants: the order of the pipeline (pipeline.ts); each request is answered once (waiters.ts).
 * Neighbours: api/ asks through NodePort and the leader's part in leader-duties.ts; main starts and stops it.
 */
import { NOBODY, type ClusterId, type LogIndex, type MemberId, type Term } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { Timer } from '../../../lib/clock.ts'
import { KEPT_LOG } from '../../limits.ts'
import type { ApplyResult } from '../../mvcc/apply.ts'
import type { Command, Member } from '../../mvcc/command.ts'
import { listLeases } from '../../mvcc/lease.ts'
import { getMember, isRemovedMember, listMembers } from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import {
  AlarmRequest,
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmType,
  LeaseRevokeRequest,
} from '../../proto/generated/etcd/rpc.ts'
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
import type { IncomingSnapshot, PeerTransport, SnapshotMessage } from '../../transport/transport.ts'
import { Applier, applied, problemOf, type Outcome } from '../apply/applier.ts'
import { onlyApplicable } from './forwarded.ts'
import { linksOf } from './late.ts'
import { newLeaseIds } from '../lease/lease-ids.ts'
import { Lessor } from '../lease/lessor.ts'
import { cutOf, usualCut } from './log-cut.ts'
import { MAX_APPLY_GAP, requestTimeoutMs, type NodeOptions } from '../options.ts'
import type { Caller, NodeProblem, NodeStatus, RequestKind } from '../ports.ts'
import { Hasher } from '../maintenance/hasher.ts'
import { OutgoingSnapshots } from './outgoing-snapshots.ts'
import { Pipeline, type News } from './pipeline.ts'
import { Proposals, notByLearners, onlyInTerm, type Objection } from './proposals.ts'
import { Purge } from '../maintenance/purge.ts'
import { Quota } from '../maintenance/quota.ts'
import { Reads } from './reads.ts'
import { StoreFiles, type StorePlace } from '../maintenance/store-files.ts'

export interface NodeParts {
  readonly identity: StoredIdentity
  readonly raft: Raft
  readonly wal: Wal
  readonly store: Store
  readonly place: StorePlace
  readonly options: NodeOptions
  /** The cluster has removed this member; called once. */
  readonly onRemoved: () => void
  /** The process must end: a bug, or a disk that failed. */
  readonly onFatal: (error: unknown) => void
}

const PUBLISH_INTERVAL_MS = 1000
const MAX_READ_RETRY_MS = 500

export class Node {
  readonly options: NodeOptions
  readonly identity: StoredIdentity
  readonly quota: Quota
  readonly hasher: Hasher
  readonly files: StoreFiles
  readonly lessor: Lessor
  readonly #outgoing: OutgoingSnapshots
  readonly #leaseIds: () => bigint
  readonly #raft: Raft
  readonly #wal: Wal
  readonly #applier: Applier
  readonly #pipeline: Pipeline
  readonly #proposals: Proposals
  readonly #reads: Reads
  readonly #purge: Purge
  readonly #onRemoved: () => void
  readonly #onFatal: (error: unknown) => void
  #transport: PeerTransport | undefined
  #isPumpScheduled = false
  #tickTimer: Timer | undefined
  #lastPublishMs = 0
  #raisingNoSpace: Promise<void> | undefined
  /** Of the store when its size was last compared with the quota. */
  #weighedRevision: number
  #isStopped = false
  #isRemoved = false
  #lastLeader = NOBODY
  readonly #appliedListeners = new Set<() => void>()

  constructor(parts: NodeParts) {
    const { options, identity } = parts
    this.options = options
    this.identity = identity
    this.#raft = parts.raft
    this.#wal = parts.wal
    this.#onRemoved = parts.onRemoved
    this.#onFatal = (error) => {
      this.#isStopped = true
      parts.onFatal(error)
    }
    this.#reads = new Reads(Math.min(options.electionMs, MAX_READ_RETRY_MS))
    this.#proposals = new Proposals(options, () =>
      linksOf(this.#raft, (id) => this.#transport?.stats(id).connectedSinceMs),
    )
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
          if (this.#leadingTerm() === term) this.lessor.promote(term, listLeases(this.store))
        },
        onLease: (result) => this.lessor.applied(result),
      },
    )
    const currentStore = (): Store => this.store
    this.#pipeline = this.#createPipeline()
    this.quota = new Quota(options.quotaBytes, currentStore)
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
      onFatal: this.#onFatal,
      onDefragmented: () => this.quota.forget(),
    })
    this.#outgoing = new OutgoingSnapshots({
      ...options,
      raft: parts.raft,
      usualCut: () => usualCut(this.store.committedIndex, options),
      send: (message, onPinned) => this.#sendSnapshot(message, onPinned),
    })
    this.#weighedRevision = this.store.revision
    this.#leaseIds = newLeaseIds(identity.memberId, options.clock.wallMs())
    this.lessor = new Lessor({
      ...options,
      leadingTerm: () => this.#leadingTerm(),
      revoke: (id, term) => this.#revokeLease(id, term),
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

  /** For observers: whoever reads it changes nothing. */
  get raft(): Raft {
    return this.#raft
  }

  get leader(): MemberId {
    return leaderOf(this.#raft)
  }

  start(transport: PeerTransport): void {
    this.#transport = transport
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

  status(): NodeStatus {
    const { term, log } = this.#raft
    return {
      leader: this.leader,
      term,
      commitIndex: log.committed,
      appliedIndex: this.store.appliedIndex,
      isLearner: isLearner(this.#raft.configuration, this.memberId),
      isStopped: this.isStopped,
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

  isRemovedMember(id: MemberId): boolean {
    return isRemovedMember(this.store, id)
  }

  async propose(kind: RequestKind, request: Uint8Array, caller?: Caller): Promise<Result<ApplyResult, NodeProblem>> {
    if (request.length > this.options.maxRequestBytes) return err('request-too-large')
    if (!this.quota.takes(kind, request)) {
      await this.#raiseNoSpace()
      return err('no-space')
    }
    return applied(await this.proposeCommand({ kind, requestId: this.nextRequestId(), request }, notByLearners, caller))
  }

  /** Resolves once it is in force here, or could not be raised. */
  async raiseAlarm(alarm: AlarmType, memberID: bigint): Promise<void> {
    const request = AlarmRequest.encode({ action: AlarmAction.ACTIVATE, memberID, alarm }).finish()
    const outcome = await this.proposeCommand({ kind: 'alarm', requestId: this.nextRequestId(), request })
    if (outcome.kind === 'problem') this.options.log.warn({ reason: outcome.problem }, 'could not raise an alarm')
  }

  #raiseNoSpace(): Promise<void> {
    if (this.store.alarms.noSpace.has(this.memberId)) return Promise.resolve()
    const { quota, options } = this
    options.log.warn({ quotaBytes: quota.limitBytes, size: this.store.size() }, 'the store has outgrown its quota')
    this.#raisingNoSpace ??= this.raiseAlarm(AlarmType.NOSPACE, this.memberId).finally(
      () => (this.#raisingNoSpace = undefined),
    )
    return this.#raisingNoSpace
  }

  newLeaseId(): bigint {
    return this.#leaseIds()
  }

  nextRequestId(): bigint {
    return this.#proposals.nextRequestId()
  }

  /** Resolves with what applying it gave, or with why that is not known. Membership changes only on the leader. */
  proposeCommand(command: Command, objection?: Objection, caller?: Caller): Promise<Outcome> {
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

  /** Who has answered since, this member among them; undefined when it leads no more, or has led anew. */
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

  onUnreachable(id: MemberId): void {
    if (id === this.leader) this.#proposals.wayLost()
    this.#guard(() => reportUnreachable(this.#raft, id))
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
    this.#transport?.setPeers(new Map()) // they would refuse it again and again
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
    await this.#transport?.close()
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
    if (nowMs - this.#lastPublishMs >= PUBLISH_INTERVAL_MS) {
      this.#lastPublishMs = nowMs
      this.quota.forget()
      void this.publishAttributes()
    }
    this.#purge.wake()
    this.#pump()
  }

  /** Tells the cluster this member's name and client URLs. True once that is applied here. */
  async publishAttributes(): Promise<boolean> {
    const { name, clientURLs } = this.options
    const known = getMember(this.store, this.memberId)
    if (known === undefined || this.leader === NOBODY) return false
    if (known.name === name && JSON.stringify(known.clientURLs) === JSON.stringify(clientURLs)) return true
    const outcome = await this.proposeCommand({
      kind: 'member-attributes',
      requestId: this.nextRequestId(),
      member: { ...known, name, clientURLs, peerURLs: [] },
    })
    return outcome.kind === 'done'
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

  readonly #isOpen = (leader: MemberId): boolean => this.#transport?.takesProposals(leader) ?? false

  /**
   * Hands waiting proposals and reads to the core. Proposals wait for a free lane: handed over one by one, each would be a
   * message to every peer, and none would be durable here any sooner.
   */
  #feed(): void {
    if (!this.#pipeline.isAppending) this.#proposals.feed(this.#raft, this.#isOpen)
    const round = this.#reads.nextRound(this.options.clock.monotonicMs())
    if (round !== undefined && !readIndex(this.#raft, round).ok) this.#reads.dropped(round)
  }

  #createPipeline(): Pipeline {
    return new Pipeline(this.#raft, {
      send: (messages) => this.#send(messages),
      installSnapshot: (snapshot) => this.#installSnapshot(snapshot),
      persist: (hardState, entries, mustSync) => this.#wal.append(hardState, entries, mustSync),
      apply: async (entries) => {
        await this.#applier.apply(entries)
        this.#tellApplied()
      },
      tell: (news) => this.#onNews(news),
      onProgress: () => this.#onProgress(),
      onFatal: this.#onFatal,
    })
  }

  #send(messages: readonly Message[]): void {
    if (messages.some((message) => message.kind === 'snapshot-request')) {
      this.#transport?.send(messages.filter((message) => message.kind !== 'snapshot-request'))
      for (const message of messages) if (message.kind === 'snapshot-request') this.#outgoing.ask(message)
    } else this.#transport?.send(messages)
  }

  #sendSnapshot(message: SnapshotMessage, onPinned: (index: LogIndex) => void): void {
    const transport = this.#transport
    if (transport === undefined) return
    const onSent = (result: Result<void, string>): void => this.#onSnapshotSent(message.to, result)
    this.files.send(transport, message, onPinned).then(onSent, (error: unknown) => onSent(err(String(error))))
  }

  async #installSnapshot(snapshot: SnapshotMeta): Promise<void> {
    await this.#wal.setBase({ index: snapshot.index, term: snapshot.term })
    await this.files.install(snapshot.index, (store) => {
      this.#applier.replaceStore(store)
      this.#onMembersChanged()
      this.#tellApplied()
    })
    this.options.log.info({ index: snapshot.index }, 'installed a snapshot')
  }

  #tellApplied(): void {
    this.#purge.wake()
    this.#weigh()
    for (const listener of this.#appliedListeners) listener()
  }

  /** Entries of all members make the store grow: whoever sees it too large says so, also without clients of its own. */
  #weigh(): void {
    const { revision } = this.store
    if (revision === this.#weighedRevision) return
    this.#weighedRevision = revision
    if (!this.quota.hasRoomFor(1)) void this.#raiseNoSpace()
  }

  #onNews({ readStates, readsDropped, softState }: News): void {
    for (const { requestId, index } of readStates) this.#reads.confirmed(requestId, index)
    for (const requestId of readsDropped) this.#reads.dropped(requestId)
    if (readStates.length > 0) this.#reads.applied(this.store.appliedIndex)
    if (softState === undefined) return
    this.#onSoftState(softState)
    this.#leaveWhenRemoved()
  }

  #onProgress(): void {
    this.#reads.applied(this.store.appliedIndex)
    this.#compactLog()
    this.#leaveWhenRemoved()
    this.#pump()
  }

  #leaveWhenRemoved(): void {
    if (this.#isRemoved || !isRemovedMember(this.store, this.memberId)) return
    // A leader that is removed first hands over: the others may need it for that.
    if (this.#raft.role.kind !== 'leader') this.becomeRemoved()
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
    const { log } = this.#raft
    const durable = this.store.committedIndex
    const index = cutOf(log.base.index, durable, this.options, this.#outgoing.kept, KEPT_LOG)
    const term = index === undefined ? undefined : termAt(log, index)
    if (index === undefined || term === undefined) return
    compact(this.#raft, index)
    this.#wal.setBase({ index, term }).catch(this.#onFatal)
  }

  #leadingTerm(): Term | undefined {
    return this.#raft.role.kind === 'leader' && !this.#isStopped ? this.#raft.term : undefined
  }

  async #revokeLease(id: bigint, term: Term): Promise<boolean> {
    const request = LeaseRevokeRequest.encode({ ID: id }).finish()
    const command = { kind: 'lease-revoke', requestId: this.nextRequestId(), request } as const
    // Never carried to another leader: it has extended the lease.
    const outcome = await this.proposeCommand(command, onlyInTerm(term))
    return outcome.kind === 'applied' && outcome.result.ok
  }

  #onConfigChange(entry: Entry, change: ConfigChange): void {
    const result = applyConfigChange(this.#raft, entry.index, change)
    if (!result.ok || change.kind === 'none') return
    const { voters, learners } = result.value
    const ids = (members: readonly MemberId[]): string[] => members.map((id) => id.toString(16))
    this.options.log.info({ index: entry.index, voters: ids(voters), learners: ids(learners) }, 'configuration')
  }

  #onMembersChanged(): void {
    if (this.#isRemoved) return
    this.#transport?.setPeers(new Map(this.members().map(({ id, peerURLs }) => [id, peerURLs])))
  }

  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#onFatal(error)
    }
  }
}
