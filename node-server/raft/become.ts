/** The changes of role (Raft §5.2, figure 4), each with what it forgets and what it begins. */
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import { LogIndex, Term, type MemberId } from '../../lib/ids.ts'
import { append, lastIndex } from './log.ts'
import type { Entry, ProposedEntry } from './message.ts'
import { createProgress, type Progress } from './progress.ts'
import { membersOf } from './quorum.ts'
import { dropReads } from './read-index.ts'
import { enterTerm, resetElectionTimer, type Leader, type Raft } from './state.ts'

export function becomeFollower(raft: Raft, term: Term, leader: MemberId): void {
  dropReads(raft)
  enterTerm(raft, term)
  raft.role = { kind: 'follower', leader }
  resetElectionTimer(raft)
}

/** Changes neither term nor vote: nothing is claimed yet. */
export function becomePreCandidate(raft: Raft): void {
  dropReads(raft)
  raft.role = { kind: 'pre-candidate', votes: new Map() }
  resetElectionTimer(raft)
}

export function becomeCandidate(raft: Raft): void {
  dropReads(raft)
  enterTerm(raft, Term(raft.term + 1))
  raft.vote = raft.options.id
  raft.role = { kind: 'candidate', votes: new Map() }
  resetElectionTimer(raft)
}

export function becomeLeader(raft: Raft): void {
  const next = LogIndex(lastIndex(raft.log) + 1)
  const progress = new Map<MemberId, Progress>()
  for (const id of membersOf(raft.configuration)) progress.set(id, createProgress(next, raft.tickCount))
  const leader: Leader = {
    kind: 'leader',
    progress,
    // A change that an earlier leader left in the log may still take effect: none of our own until all of it is applied.
    pendingConfigIndex: lastIndex(raft.log),
    transfer: undefined,
    handOverAttempts: 0,
    farewell: undefined,
    uncommittedSizeBytes: 0,
    heartbeatElapsed: 0,
    quorumCheckElapsed: 0,
    waitingReads: [],
    readBatches: [],
    readCount: 0,
    lastReadBatch: 0,
    isBroadcastDue: true,
  }
  raft.role = leader
  resetElectionTimer(raft)
  // Entries of older terms are committed by way of this one (Raft §5.4.2).
  appendEntries(raft, leader, [{ kind: 'normal', data: EMPTY_BYTES }])
}

/** Puts entries behind the log's end, in the leader's term. */
export function appendEntries(raft: Raft, leader: Leader, proposed: readonly ProposedEntry[]): void {
  let index = lastIndex(raft.log)
  const entries = proposed.map((entry): Entry => {
    index = LogIndex(index + 1)
    leader.uncommittedSizeBytes += entry.data.length
    if (entry.kind === 'config') leader.pendingConfigIndex = index
    return { term: raft.term, index, kind: entry.kind, data: entry.data }
  })
  append(raft.log, entries)
  leader.isBroadcastDue = true
}
