/**
 * The Raft core: the decisions of one participant, as a state machine without disk, socket, clock or randomness of its own.
 *
 * The caller steps messages and ticks in, and carries out what {@link ready} returns: it sends `messages` at once; it makes
 * `append` durable, then sends its promises, then calls {@link appended}; beside that it applies `committed` (config entries
 * through {@link applyConfigChange}), then calls {@link applied}. While one of the two is under way, ready() gives out no
 * other of its kind. Entries and votes count, and are answered, only once they are durable.
 *
 * Invariants: the term and the commit index never go back; one vote a term; a leader never overwrites its own entries;
 * only entries of the own term are committed by counting; at most one configuration change is under way.
 * Sources: the Raft paper (extended version) and Ongaro's thesis; each rule names its section.
 */
import { assert } from '../../lib/assert.ts'
import { LogIndex, NOBODY, Term, type MemberId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { campaign as startCampaign, stepCandidate, tickCandidate } from './candidate.ts'
import { appendEntries, becomeFollower } from './become.ts'
import { stepFollower, tickFollower } from './follower.ts'
import { configurationChanged, proposalProblem, stepLeader, tickLeader, transferTo } from './leader.ts'
import { compact as compactLog, createLog, isUpToDate } from './log.ts'
import { changeConfiguration } from './membership.ts'
import type { ConfigChange, Configuration, Entry, HardState, Message, ProposedEntry } from './message.ts'
import { becomeProbe, snapshotDelivered } from './progress.ts'
import { isVoter } from './quorum.ts'
import { addRead, forwardRead } from './read-index.ts'
import { sendHeartbeat } from './replication.ts'
import { isPromotable, leaderOf, resetElectionTimer, send, type Raft, type RaftOptions } from './state.ts'
import { isChangePending } from './status.ts'

export { answeredTo, callRoll, type RollCall } from './liveness.ts'
export { appended, applied, hasReady, ready, type Ready } from './ready.ts'
export { leaderOf, type Append, type Raft, type RaftOptions, type ReadState, type SoftState } from './state.ts'
export { isChangePending, status, type PeerStatus, type RaftStatus } from './status.ts'

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
    messages: [],
    promises: [],
    forwardedReads: new Map(),
    nextForwardedRead: Math.floor(options.random() * 2 ** 40),
    readStates: [],
    readsDropped: [],
    pendingSnapshot: undefined,
    isStoreLost: false,
    toldHardState: hardState,
    toldSoftState: { role: 'follower', leader: NOBODY, term: hardState.term },
    durableHardState: hardState,
    appendOut: undefined,
    isApplyOut: false,
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

/** Raft §5.1: a higher term is entered at once. False if the message must not cause that and is ignored. */
function stepHigherTerm(raft: Raft, message: Message): boolean {
  if (message.kind === 'vote-request' || message.kind === 'pre-vote-request') {
    const isForced = message.kind === 'vote-request' && message.isTransfer
    // Thesis §4.2.3: while a leader is heard from, no vote request makes this member leave it.
    if (!isForced && leaderOf(raft) !== NOBODY && raft.electionElapsed < raft.options.electionTicks) return false
  }
  if (message.kind === 'pre-vote-request') return true // asks about a term, does not start it
  if (message.kind === 'pre-vote-response' && message.isGranted) return true // names the term that we would start
  const isFromLeader =
    message.kind === 'append-request' || message.kind === 'heartbeat-request' || message.kind === 'snapshot-request'
  becomeFollower(raft, message.term, isFromLeader ? message.from : NOBODY)
  return true
}

/** A sender with an older term learns the new one from any answer; its request is ignored. */
function stepLowerTerm(raft: Raft, message: Message): void {
  const isFromOldLeader =
    message.kind === 'append-request' || message.kind === 'heartbeat-request' || message.kind === 'snapshot-request'
  if (!isFromOldLeader) return
  const at = { isRejected: false, needsSnapshot: false, index: LogIndex(0), hintIndex: LogIndex(0), hintTerm: Term(0) }
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

/** Accepts entries for the log, here or through the leader; membership changes only on the leader. A forwarded entry may get lost; it is never repeated. */
export function propose(raft: Raft, entries: readonly ProposedEntry[]): Result<void, ProposalProblem> {
  const { role } = raft
  if (role.kind !== 'leader') {
    const leader = leaderOf(raft)
    if (leader === NOBODY) return err('no-leader')
    // A leader checks a membership change against what only it knows; a member that just lost the lead cannot.
    if (entries.some((entry) => entry.kind === 'config')) return err('no-leader')
    send(raft, { kind: 'propose-request', from: raft.options.id, to: leader, term: raft.term, entries })
    return ok(undefined)
  }
  const problem = proposalProblem(raft, role)
  if (problem !== undefined) return err(problem)
  if (entries.some((entry) => entry.kind === 'config')) {
    assert(entries.length === 1, 'a membership change is proposed alone')
    if (isChangePending(raft)) return err('change-pending')
  }
  appendEntries(raft, role, entries)
  return ok(undefined)
}

/** It leads and accepts no proposals, because it hands over. */
export function isHandingOver(raft: Raft): boolean {
  return raft.role.kind === 'leader' && proposalProblem(raft, raft.role) === 'transferring'
}

/** Requests the index at which a linearizable read may be served; it comes in `readStates`, or never. */
export function readIndex(raft: Raft, requestId: number): Result<void, 'no-leader' | 'too-many'> {
  const { role } = raft
  if (role.kind === 'leader')
    return addRead(role, { from: raft.options.id, requestId }) ? ok(undefined) : err('too-many')
  return forwardRead(raft, requestId) ? ok(undefined) : err('no-leader')
}

/** Only on the leader. It stops taking proposals until the target leads or an election timeout went by. */
export function transferLeader(raft: Raft, target: MemberId): Result<void, 'not-leader' | 'not-a-voter'> {
  if (raft.role.kind !== 'leader') return err('not-leader')
  return transferTo(raft, raft.role, target) ? ok(undefined) : err('not-a-voter')
}

/**
 * A config entry is applied: the configuration changes now, on every member at the same index. `none` for one that was
 * refused. An impossible change is treated as `none`; the result says why.
 */
export function applyConfigChange(raft: Raft, index: LogIndex, change: ConfigChange): Result<Configuration, string> {
  // A snapshot that arrived while this entry was being applied has brought a configuration that is newer.
  if (index <= raft.log.applied) return ok(raft.configuration)
  const changed = changeConfiguration(raft.configuration, change)
  if (!changed.ok || change.kind === 'none') return changed
  raft.configuration = changed.value
  raft.configIndex = index
  if (raft.role.kind === 'leader') configurationChanged(raft, raft.role)
  else if (!isVoter(raft.configuration, raft.options.id) && raft.role.kind !== 'follower')
    becomeFollower(raft, raft.term, NOBODY)
  return changed
}

/**
 * The store is damaged. Entries that were given to it count as not applied: {@link applied} is called without it. This member goes
 * on voting and acknowledging, which is about the log alone, and asks for a snapshot with its answers; if it leads, it hands
 * over.
 */
export function storeLost(raft: Raft): void {
  raft.isStoreLost = true
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

/** A connection to that member is there, perhaps again: it hears who leads, and the leader learns what it lacks, before the next heartbeat. */
export function reportReachable(raft: Raft, id: MemberId): void {
  if (raft.role.kind !== 'leader') return
  const progress = raft.role.progress.get(id)
  if (progress !== undefined) sendHeartbeat(raft, raft.role, id, progress)
}

/** A snapshot stream ended. It must be called once for each snapshot-request, or the peer waits forever. */
export function reportSnapshot(raft: Raft, id: MemberId, isDelivered: boolean): void {
  if (raft.role.kind !== 'leader') return
  const progress = raft.role.progress.get(id)
  if (progress === undefined) return
  progress.isSnapshotOut = false
  if (progress.state !== 'snapshot') return
  if (isDelivered) snapshotDelivered(progress, raft.log.base.index)
  else becomeProbe(progress)
  // Whatever the outcome, give the peer a heartbeat's time before the next try.
  progress.isProbeSent = true
}
