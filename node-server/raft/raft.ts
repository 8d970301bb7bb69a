/**
 * The Raft core: what one participant decides, as a state machine without disk, socket, clock or randomness of its own.
 *
 * The caller steps messages and ticks in, and carries out what {@link ready} returns, in this order: send `appends`;
 * install `snapshot`; make `hardState` and `entries` durable; send `promises`; apply `committed` (config entries through
 * {@link applyConfigChange}); then {@link advance}, before the next ready(). Entries and votes count, and are answered,
 * only once they are durable.
 *
 * Invariants: the term and the commit index never go back; one vote a term; a leader never overwrites its own entries;
 * only entries of the own term are committed by counting; at most one configuration change is under way.
 * Sources: the Raft paper (extended version) and Ongaro's thesis; each rule names its section.
 */
import { assert } from '../../lib/assert.ts'
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import { LogIndex, NOBODY, Term, type MemberId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { PeerState } from '../../lib/admin-api.ts'
import { campaign as startCampaign, stepCandidate, tickCandidate } from './candidate.ts'
import { appendEntries, becomeFollower } from './become.ts'
import { stepFollower, tickFollower } from './follower.ts'
import {
  broadcastAppend,
  canConfirmReads,
  configurationChanged,
  isActive,
  isOverloaded,
  ownEntriesDurable,
  startReadRound,
  stepLeader,
  tickLeader,
  transferTo,
} from './leader.ts'
import { compact as compactLog, createLog, isUpToDate, lastIndex, slice, termAt } from './log.ts'
import { changeConfiguration } from './membership.ts'
import type { ConfigChange, Configuration, Entry, HardState, Message, ProposedEntry, SnapshotMeta } from './message.ts'
import { becomeProbe, snapshotFailed } from './progress.ts'
import { isVoter } from './quorum.ts'
import {
  isPromotable,
  leaderOf,
  resetElectionTimer,
  send,
  type Raft,
  type RaftOptions,
  type ReadState,
  type SoftState,
} from './state.ts'

export type { Raft, RaftOptions, ReadState, SoftState } from './state.ts'

export interface RaftStart {
  readonly hardState: HardState
  /** The log begins behind it; index 0 for a member that joins with nothing. */
  readonly base: { readonly index: LogIndex; readonly term: Term }
  /** In force at `applied`. */
  readonly configuration: Configuration
  readonly configIndex: LogIndex
  readonly entries: readonly Entry[]
  readonly applied: LogIndex
}

export interface Ready {
  /** Set when it changed. */
  readonly hardState: HardState | undefined
  /** To be made durable; they replace everything from the first one's index on. */
  readonly entries: readonly Entry[]
  /** To be installed first; its bytes are on disk already. */
  readonly snapshot: SnapshotMeta | undefined
  readonly appends: readonly Message[]
  readonly promises: readonly Message[]
  readonly committed: readonly Entry[]
  readonly readStates: readonly ReadState[]
  /** Reads of this member that will get no answer: ask again. */
  readonly readsDropped: readonly number[]
  readonly softState: SoftState | undefined
  /** Something was promised: hardState's term or vote, or entries. A mere commit index may wait for the next fsync. */
  readonly mustSync: boolean
}

export type ProposalProblem = 'no-leader' | 'change-pending' | 'overloaded' | 'transferring' | 'removed'

export function createRaft(options: RaftOptions, start: RaftStart): Raft {
  const { hardState } = start
  const raft: Raft = {
    options,
    term: hardState.term,
    vote: hardState.vote,
    log: createLog(start.base, start.entries, LogIndex(Math.max(hardState.commit, start.base.index)), start.applied),
    configuration: start.configuration,
    configIndex: start.configIndex,
    role: { kind: 'follower', leader: NOBODY },
    tickCount: 0,
    electionElapsed: 0,
    randomizedElectionTicks: options.electionTicks,
    appends: [],
    promises: [],
    readStates: [],
    readsDropped: [],
    pendingSnapshot: undefined,
    toldHardState: hardState,
    toldSoftState: { role: 'follower', leader: NOBODY, term: hardState.term },
    isReadyOut: false,
  }
  resetElectionTimer(raft)
  return raft
}

/** One unit of time went by. */
export function tick(raft: Raft): void {
  raft.tickCount += 1
  switch (raft.role.kind) {
    case 'leader':
      return tickLeader(raft, raft.role)
    case 'follower':
      return tickFollower(raft)
    case 'candidate':
    case 'pre-candidate':
      return tickCandidate(raft)
  }
}

/** Stands for election now; for a member that is the only voter this makes it leader at once. */
export function campaign(raft: Raft): void {
  if (raft.role.kind !== 'leader' && isPromotable(raft)) startCampaign(raft, 'pre-vote')
}

export function step(raft: Raft, message: Message): void {
  if (message.term > raft.term && !stepHigherTerm(raft, message)) return
  if (message.term < raft.term && message.kind !== 'pre-vote-request') return stepLowerTerm(raft, message)
  if (message.kind === 'vote-request' || message.kind === 'pre-vote-request') return stepVoteRequest(raft, message)
  switch (raft.role.kind) {
    case 'leader':
      return stepLeader(raft, raft.role, message)
    case 'follower':
      return stepFollower(raft, raft.role, message)
    case 'candidate':
    case 'pre-candidate':
      return stepCandidate(raft, raft.role, message)
  }
}

/** Raft §5.1: a higher term is entered at once. False when the message must not do that and goes no further. */
function stepHigherTerm(raft: Raft, message: Message): boolean {
  if (message.kind === 'vote-request' || message.kind === 'pre-vote-request') {
    const isForced = message.kind === 'vote-request' && message.isTransfer
    // Thesis §4.2.3: while a leader is heard from, nobody can be talked out of following it.
    if (!isForced && leaderOf(raft) !== NOBODY && raft.electionElapsed < raft.options.electionTicks) return false
  }
  if (message.kind === 'pre-vote-request') return true // asks about a term, does not start it
  if (message.kind === 'pre-vote-response' && message.isGranted) return true // names the term that we would start
  const isFromLeader =
    message.kind === 'append-request' || message.kind === 'heartbeat-request' || message.kind === 'snapshot-request'
  becomeFollower(raft, message.term, isFromLeader ? message.from : NOBODY)
  return true
}

/** Whoever is behind is told the term by any answer; what it asked for is ignored. */
function stepLowerTerm(raft: Raft, message: Message): void {
  const isFromOldLeader =
    message.kind === 'append-request' || message.kind === 'heartbeat-request' || message.kind === 'snapshot-request'
  if (!isFromOldLeader) return
  const at = { isRejected: false, index: LogIndex(0), hintIndex: LogIndex(0), hintTerm: Term(0) }
  send(raft, { kind: 'append-response', from: raft.options.id, to: message.from, term: raft.term, ...at })
}

/** Raft §5.2, §5.4.1: one vote a term, and only for a log at least as complete as one's own. */
function stepVoteRequest(raft: Raft, message: Extract<Message, { kind: 'vote-request' | 'pre-vote-request' }>): void {
  const own = raft.options.id
  const isPreVote = message.kind === 'pre-vote-request'
  const mayVote = isPreVote
    ? message.term > raft.term
    : raft.vote === message.from || (raft.vote === NOBODY && leaderOf(raft) === NOBODY)
  const isGranted = mayVote && isUpToDate(raft.log, message.lastIndex, message.lastTerm)
  if (isPreVote) {
    const term = isGranted ? message.term : raft.term
    return send(raft, { kind: 'pre-vote-response', from: own, to: message.from, term, isGranted })
  }
  if (isGranted) {
    raft.vote = message.from
    raft.electionElapsed = 0
  }
  send(raft, { kind: 'vote-response', from: own, to: message.from, term: raft.term, isGranted })
}

/** Takes entries for the log, here or through the leader. What is handed to a leader may get lost; nobody repeats it. */
export function propose(raft: Raft, entries: readonly ProposedEntry[]): Result<void, ProposalProblem> {
  const { role } = raft
  if (role.kind !== 'leader') {
    const leader = leaderOf(raft)
    if (leader === NOBODY) return err('no-leader')
    assert(
      entries.every((entry) => entry.kind === 'normal'),
      'membership changes are proposed on the leader',
    )
    send(raft, { kind: 'propose-request', from: raft.options.id, to: leader, term: raft.term, entries })
    return ok(undefined)
  }
  if (!role.progress.has(raft.options.id)) return err('removed')
  if (role.transfer !== undefined) return err('transferring')
  if (isOverloaded(raft, role)) return err('overloaded')
  if (entries.some((entry) => entry.kind === 'config')) {
    assert(entries.length === 1, 'a membership change is proposed alone')
    if (isChangePending(raft)) return err('change-pending')
  }
  appendEntries(raft, role, entries)
  return ok(undefined)
}

/** A change is in the log and not applied, or the configuration is joint. Known on the leader only. */
export function isChangePending(raft: Raft): boolean {
  if (raft.role.kind !== 'leader') return false
  return raft.role.pendingConfigIndex > raft.log.applied || raft.configuration.votersOutgoing.length > 0
}

/** Asks for the index at which a linearizable read may be served; the answer comes in `readStates`, or never. */
export function readIndex(raft: Raft, requestId: number): Result<void, 'no-leader' | 'not-ready'> {
  const { role } = raft
  const own = raft.options.id
  if (role.kind === 'leader') {
    if (!canConfirmReads(raft)) return err('not-ready')
    role.waitingReads.push({ from: own, requestId })
    return ok(undefined)
  }
  const leader = leaderOf(raft)
  if (leader === NOBODY) return err('no-leader')
  send(raft, { kind: 'read-index-request', from: own, to: leader, term: raft.term, requestId })
  return ok(undefined)
}

/** Only on the leader. It stops taking proposals until the target leads or an election timeout went by. */
export function transferLeader(raft: Raft, target: MemberId): Result<void, 'not-leader' | 'not-a-voter'> {
  if (raft.role.kind !== 'leader') return err('not-leader')
  return transferTo(raft, raft.role, target) ? ok(undefined) : err('not-a-voter')
}

export function hasReady(raft: Raft): boolean {
  if (raft.isReadyOut) return false
  const { role, log } = raft
  return (
    raft.appends.length > 0 ||
    raft.promises.length > 0 ||
    raft.pendingSnapshot !== undefined ||
    log.unstableFrom <= lastIndex(log) ||
    log.committed > log.applied ||
    raft.readStates.length > 0 ||
    raft.readsDropped.length > 0 ||
    (role.kind === 'leader' && (role.isBroadcastDue || role.waitingReads.length > 0)) ||
    changedHardState(raft) !== undefined ||
    changedSoftState(raft) !== undefined
  )
}

function changedHardState(raft: Raft): HardState | undefined {
  const { term, vote, toldHardState: told } = raft
  const commit = raft.log.committed
  return term === told.term && vote === told.vote && commit === told.commit ? undefined : { term, vote, commit }
}

function changedSoftState(raft: Raft): SoftState | undefined {
  const now: SoftState = { role: raft.role.kind, leader: leaderOf(raft), term: raft.term }
  const told = raft.toldSoftState
  return now.role === told.role && now.leader === told.leader && now.term === told.term ? undefined : now
}

export function ready(raft: Raft): Ready {
  assert(!raft.isReadyOut, 'the last Ready has not been advanced')
  const { role, log } = raft
  if (role.kind === 'leader') {
    startReadRound(raft, role)
    if (role.isBroadcastDue) broadcastAppend(raft, role)
  }
  const hardState = changedHardState(raft)
  const entries = log.unstableFrom <= lastIndex(log) ? slice(log, log.unstableFrom, lastIndex(log), Infinity) : []
  const committed =
    log.committed > log.applied
      ? slice(log, LogIndex(log.applied + 1), log.committed, raft.options.maxCommittedSizeBytesPerReady)
      : []
  const work: Ready = {
    hardState,
    entries,
    snapshot: raft.pendingSnapshot,
    appends: raft.appends,
    promises: raft.promises,
    committed,
    readStates: raft.readStates,
    readsDropped: raft.readsDropped,
    softState: changedSoftState(raft),
    mustSync:
      entries.length > 0 ||
      (hardState !== undefined &&
        (hardState.term !== raft.toldHardState.term || hardState.vote !== raft.toldHardState.vote)),
  }
  raft.appends = []
  raft.promises = []
  raft.readStates = []
  raft.readsDropped = []
  if (hardState !== undefined) raft.toldHardState = hardState
  if (work.softState !== undefined) raft.toldSoftState = work.softState
  log.unstableFrom = LogIndex(lastIndex(log) + 1)
  raft.isReadyOut = true
  return work
}

/** Everything of the Ready was carried out. */
export function advance(raft: Raft, work: Ready): void {
  assert(raft.isReadyOut, 'there is no Ready to advance')
  raft.isReadyOut = false
  const { log } = raft
  if (work.snapshot !== undefined && raft.pendingSnapshot?.index === work.snapshot.index)
    raft.pendingSnapshot = undefined
  const lastApplied = work.committed.at(-1)
  if (lastApplied !== undefined && lastApplied.index > log.applied) log.applied = lastApplied.index
  const { role } = raft
  if (role.kind !== 'leader') return
  const size = work.committed.reduce((sum, entry) => sum + entry.data.length, 0)
  role.uncommittedSizeBytes = Math.max(0, role.uncommittedSizeBytes - size)
  const lastDurable = work.entries.at(-1)
  // What was overwritten meanwhile is not what became durable, hence the look at the term.
  if (lastDurable !== undefined && termAt(log, lastDurable.index) === lastDurable.term)
    ownEntriesDurable(raft, role, lastDurable.index)
  leaveJointWhenApplied(raft)
}

/** Thesis §4.3: C_old,new is left by a second entry, proposed as soon as the first is applied. It carries no data. */
function leaveJointWhenApplied(raft: Raft): void {
  const { role, configuration, log } = raft
  if (role.kind !== 'leader' || !configuration.autoLeave || configuration.votersOutgoing.length === 0) return
  if (role.pendingConfigIndex > log.applied || role.transfer !== undefined) return
  appendEntries(raft, role, [{ kind: 'config', data: EMPTY_BYTES }])
}

/**
 * A config entry is applied: the configuration changes now, on every member at the same index. `none` for one that was
 * refused. A change that makes no sense is treated as `none`; the answer tells why.
 */
export function applyConfigChange(raft: Raft, index: LogIndex, change: ConfigChange): Result<Configuration, string> {
  const changed = changeConfiguration(raft.configuration, change)
  if (!changed.ok || change.kind === 'none') return changed
  raft.configuration = changed.value
  raft.configIndex = index
  if (raft.role.kind === 'leader') configurationChanged(raft, raft.role)
  else if (!isVoter(raft.configuration, raft.options.id) && raft.role.kind !== 'follower')
    becomeFollower(raft, raft.term, NOBODY)
  return changed
}

/** Forgets log entries up to `index`, which must be applied, and durable in the store. */
export function compact(raft: Raft, index: LogIndex): void {
  compactLog(raft.log, index)
}

/** Messages to that member were lost: go back to probing. */
export function reportUnreachable(raft: Raft, id: MemberId): void {
  if (raft.role.kind !== 'leader') return
  const progress = raft.role.progress.get(id)
  if (progress?.state === 'replicate') becomeProbe(progress)
}

/** A snapshot stream ended. It must be called once for each snapshot-request, or the peer waits for ever. */
export function reportSnapshot(raft: Raft, id: MemberId, isDelivered: boolean): void {
  if (raft.role.kind !== 'leader') return
  const progress = raft.role.progress.get(id)
  if (progress?.state !== 'snapshot') return
  if (isDelivered) becomeProbe(progress)
  else snapshotFailed(progress)
  // Whatever the outcome, give the peer a heartbeat's time before the next try.
  progress.isProbeSent = true
}

export interface PeerStatus {
  readonly id: MemberId
  readonly match: LogIndex
  readonly state: PeerState
  readonly isActive: boolean
}

export interface RaftStatus {
  readonly role: SoftState['role']
  readonly term: Term
  readonly leader: MemberId
  readonly committed: LogIndex
  readonly applied: LogIndex
  readonly lastIndex: LogIndex
  readonly configuration: Configuration
  readonly configIndex: LogIndex
  readonly isChangePending: boolean
  readonly isTransferring: boolean
  /** On the leader, without itself; otherwise empty. */
  readonly peers: readonly PeerStatus[]
}

export function status(raft: Raft): RaftStatus {
  const { role, log } = raft
  const peers: PeerStatus[] = []
  if (role.kind === 'leader') {
    for (const [id, { match, state }] of role.progress) {
      if (id !== raft.options.id) peers.push({ id, match, state, isActive: isActive(raft, role, id) })
    }
  }
  return {
    role: role.kind,
    term: raft.term,
    leader: leaderOf(raft),
    committed: log.committed,
    applied: log.applied,
    lastIndex: lastIndex(log),
    configuration: raft.configuration,
    configIndex: raft.configIndex,
    isChangePending: isChangePending(raft),
    isTransferring: role.kind === 'leader' && role.transfer !== undefined,
    peers,
  }
}
