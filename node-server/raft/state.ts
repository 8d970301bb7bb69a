/**
 * The state of one Raft participant, and what every role may do with it. Role-only facts live in that role's data.
 */
import { unreachable } from '../../lib/assert.ts'
import { NOBODY, type LogIndex, type MemberId, type Term } from '../../lib/ids.ts'
import { hasConfigEntry, type Log } from './log.ts'
import type { Configuration, Entry, HardState, Message, SnapshotMeta } from './message.ts'
import type { Progress } from './progress.ts'
import { isVoter } from './quorum.ts'

export interface RaftOptions {
  readonly id: MemberId
  /** Ticks without a leader before an election; each one waits a random time between this and twice this. */
  readonly electionTicks: number
  readonly heartbeatTicks: number
  readonly maxMessageSizeBytes: number
  readonly maxInflightMessages: number
  readonly maxInflightSizeBytes: number
  /** Proposals are refused while more than this is proposed and not applied on the leader. */
  readonly maxUncommittedSizeBytes: number
  readonly maxCommittedSizeBytesPerReady: number
  /** In [0, 1); a seeded one makes a run repeatable. */
  readonly random: () => number
}

/** A ReadIndex batch: the requests that one round of heartbeats confirms together. */
export interface ReadBatch {
  readonly number: number
  readonly index: LogIndex
  readonly requests: readonly ReadRequest[]
}

export interface ReadRequest {
  readonly from: MemberId
  readonly requestId: number
}

export interface Follower {
  readonly kind: 'follower'
  readonly leader: MemberId
}

export interface PreCandidate {
  readonly kind: 'pre-candidate'
  readonly votes: Map<MemberId, boolean>
}

export interface Candidate {
  readonly kind: 'candidate'
  readonly votes: Map<MemberId, boolean>
}

export interface Leader {
  readonly kind: 'leader'
  readonly progress: Map<MemberId, Progress>
  /** Index of the last configuration change in the log; another may be proposed once this one is applied. */
  pendingConfigIndex: LogIndex
  transfer: { readonly target: MemberId; readonly startTick: number } | undefined
  /** How many voters were asked to take over since this leader stopped being a voter. */
  handOverAttempts: number
  /** The round of heartbeats after that, which told the voters of it: a voter that answers it may take over. */
  farewell: { readonly round: number; readonly told: readonly MemberId[] } | undefined
  uncommittedSizeBytes: number
  heartbeatElapsed: number
  quorumCheckElapsed: number
  /** Reads that the next round will confirm. */
  waitingReads: ReadRequest[]
  /** Rounds under way, oldest first. */
  readBatches: ReadBatch[]
  /** Requests in both of the above. */
  readCount: number
  /** Number of the last round of heartbeats that somebody waits for: reads, and roll calls. */
  lastReadBatch: number
  /** New entries or a new commit index: tell the peers with the next Ready. */
  isBroadcastDue: boolean
}

export type Role = Follower | PreCandidate | Candidate | Leader

export interface ReadState {
  readonly requestId: number
  readonly index: LogIndex
}

/** To be made durable, in this order, and then promised. */
export interface Append {
  /** To be installed first, once the store has finished its piece; the bytes are on disk already. */
  readonly snapshot: SnapshotMeta | undefined
  /** They replace everything from the first one's index on. */
  readonly entries: readonly Entry[]
  /** Set when it changed. */
  readonly hardState: HardState | undefined
  /**
   * Something was promised: hardState's term or vote, or entries. A mere commit index may wait for the next fsync, unless a
   * membership change is committed with it: a removed member may be gone for good once it is applied, and a member that then
   * forgot the commit would wait for their votes forever.
   */
  readonly mustSync: boolean
  /** Votes and acknowledgements: they leave once all of the above is durable, since a crash before could forget it. */
  readonly promises: readonly Message[]
}

export interface Raft {
  readonly options: RaftOptions
  term: Term
  vote: MemberId
  readonly log: Log
  configuration: Configuration
  configIndex: LogIndex
  role: Role
  /** Ticks since the start, and since the leader was heard or an election began. */
  tickCount: number
  electionElapsed: number
  randomizedElectionTicks: number
  /** Messages that promise nothing, and those that wait for the disk. */
  messages: Message[]
  promises: Message[]
  /** Reads that this follower's leader was asked about: ID on the wire → the caller's ID. */
  readonly forwardedReads: Map<number, number>
  nextForwardedRead: number
  readStates: ReadState[]
  readsDropped: number[]
  pendingSnapshot: SnapshotMeta | undefined
  /**
   * The store cannot be used any more, but the log holds what it promised. Nothing is applied until a snapshot has become the
   * store. Others should lead: this member stands for election only when nobody else has, since others may need its log.
   */
  isStoreLost: boolean
  /** What the last Ready had, so that the next has only changes. */
  toldHardState: HardState
  toldSoftState: SoftState
  /** The hard state that a restart would find. */
  durableHardState: HardState
  /** On its way to the disk, with the hard state that the disk has once it is through. */
  appendOut: { readonly append: Append; readonly hardState: HardState } | undefined
  /** Committed entries are on their way into the store. */
  isApplyOut: boolean
}

export interface SoftState {
  readonly role: Role['kind']
  readonly leader: MemberId
  readonly term: Term
}

export function leaderOf(raft: Raft): MemberId {
  if (raft.role.kind === 'leader') return raft.options.id
  return raft.role.kind === 'follower' ? raft.role.leader : NOBODY
}

/**
 * May stand for election: a voter of the configuration in force, with its log in place, that has applied every membership
 * change it knows to be committed. With an older configuration it could win by a majority that shares no member with the
 * one that counts today: two changes on, majorities need not overlap (thesis §4.1).
 */
export function isPromotable(raft: Raft): boolean {
  return (
    isVoter(raft.configuration, raft.options.id) &&
    raft.pendingSnapshot === undefined &&
    !hasConfigEntry(raft.log, raft.log.applied, raft.log.committed)
  )
}

/** Messages that promise something wait until that is durable; all others leave with the next Ready. */
export function send(raft: Raft, message: Message): void {
  if (isPromise(message)) raft.promises.push(message)
  else raft.messages.push(message)
}

/**
 * A vote, also that of a candidate for itself, and entries that are acknowledged (Raft §5: "updated on stable storage before
 * responding"). A refusal or the answer to a heartbeat binds its sender to nothing: a vote in a later term is
 * durable before it is sent, and the leader of this term was elected by such votes.
 */
function isPromise(message: Message): boolean {
  switch (message.kind) {
    case 'vote-request':
      return true
    case 'vote-response':
      return message.isGranted
    case 'append-response':
      return !message.isRejected
    case 'append-request':
    case 'heartbeat-request':
    case 'heartbeat-response':
    case 'snapshot-request':
    case 'propose-request':
    case 'pre-vote-request':
    case 'pre-vote-response':
    case 'read-index-request':
    case 'read-index-response':
    case 'timeout-now-request':
    case 'transfer-leader-request':
      return false
    default:
      return unreachable(message)
  }
}

export function resetElectionTimer(raft: Raft): void {
  raft.electionElapsed = 0
  raft.randomizedElectionTicks =
    raft.options.electionTicks + Math.floor(raft.options.random() * raft.options.electionTicks)
}

/** Enters a term, forgetting the vote of an older one (Raft §5.1). The term never goes back. */
export function enterTerm(raft: Raft, term: Term): void {
  if (raft.term === term) return
  raft.term = term
  raft.vote = NOBODY
}
