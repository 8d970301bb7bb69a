/**
 * Elections (Raft §5.2, §5.4.1). A pre-candidate asks whether it could win before it disturbs anybody with a new term
 * (thesis §9.6); a candidate does so for real.
 */
import { unreachable } from '../../lib/assert.ts'
import { NOBODY, Term, type MemberId } from '../../lib/ids.ts'
import { lastIndex, lastTerm } from './log.ts'
import type { Message } from './message.ts'
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './become.ts'
import { followLeader } from './follow.ts'
import { voteResult } from './quorum.ts'
import { isPromotable, send, type Candidate, type PreCandidate, type Raft } from './state.ts'

export type CampaignKind = 'pre-vote' | 'vote' | 'transfer'

/** A transfer skips the pre-vote: the old leader asked for it, and voters need not wait for their lease to end. */
export function campaign(raft: Raft, kind: CampaignKind): void {
  if (kind === 'pre-vote') becomePreCandidate(raft)
  else becomeCandidate(raft)
  const term = kind === 'pre-vote' ? Term(raft.term + 1) : raft.term
  const own = raft.options.id
  const { role } = raft
  if (role.kind === 'pre-candidate') {
    role.votes.set(own, true)
    if (decide(raft, role)) return
  }
  for (const id of new Set([...raft.configuration.voters, ...raft.configuration.votersOutgoing])) {
    if (id === own) continue
    const base = { from: own, to: id, term, lastIndex: lastIndex(raft.log), lastTerm: lastTerm(raft.log) }
    // The candidate's own vote must be durable before others are asked, hence a promise.
    if (kind === 'pre-vote') send(raft, { kind: 'pre-vote-request', ...base })
    else send(raft, { kind: 'vote-request', ...base, isTransfer: kind === 'transfer' })
  }
}

/**
 * The candidate's vote for itself counts once it is on disk, like anybody's: a member that needs no other vote could
 * otherwise lead, send entries, crash, and lead the same term again with other entries.
 */
export function ownVoteDurable(raft: Raft): void {
  const { role, durableHardState: durable } = raft
  if (role.kind !== 'candidate' || durable.term !== raft.term || durable.vote !== raft.options.id) return
  recordVote(raft, role, raft.options.id, true)
}

export function tickCandidate(raft: Raft): void {
  raft.electionElapsed += 1
  if (raft.electionElapsed < raft.randomizedElectionTicks) return
  if (isPromotable(raft)) campaign(raft, 'pre-vote')
  else becomeFollower(raft, raft.term, NOBODY)
}

/** Messages of the candidate's own term; for a pre-candidate also grants for the term that it would start. */
export function stepCandidate(raft: Raft, candidate: PreCandidate | Candidate, message: Message): void {
  switch (message.kind) {
    case 'append-request':
    case 'heartbeat-request':
    case 'snapshot-request':
      becomeFollower(raft, message.term, message.from)
      followLeader(raft, message)
      return
    case 'pre-vote-response':
      // A grant names the term it is for; one for an earlier attempt says nothing about this one.
      if (candidate.kind === 'pre-candidate' && (!message.isGranted || message.term === raft.term + 1))
        recordVote(raft, candidate, message.from, message.isGranted)
      return
    case 'vote-response':
      if (candidate.kind === 'candidate') recordVote(raft, candidate, message.from, message.isGranted)
      return
    case 'timeout-now-request':
      if (candidate.kind === 'pre-candidate' && isPromotable(raft)) campaign(raft, 'transfer')
      return
    case 'read-index-response':
    case 'vote-request':
    case 'pre-vote-request':
    case 'append-response':
    case 'heartbeat-response':
    case 'transfer-leader-request':
    case 'propose-request':
    case 'read-index-request':
      return
    default:
      unreachable(message)
  }
}

function recordVote(raft: Raft, candidate: PreCandidate | Candidate, from: MemberId, isGranted: boolean): void {
  if (!candidate.votes.has(from)) candidate.votes.set(from, isGranted)
  decide(raft, candidate)
}

/** True when the election is over. */
function decide(raft: Raft, candidate: PreCandidate | Candidate): boolean {
  const result = voteResult(raft.configuration, candidate.votes)
  if (result === 'pending') return false
  if (result === 'lost') becomeFollower(raft, raft.term, NOBODY)
  else if (candidate.kind === 'pre-candidate') campaign(raft, 'vote')
  else becomeLeader(raft)
  return true
}
