/** Followers: take the leader's entries, answer after the disk did, and stand for election when nobody leads (Raft §5.2). */
import { NOBODY } from '../../lib/ids.ts'
import { unreachable } from '../../lib/assert.ts'
import type { Message } from './message.ts'
import { campaign } from './candidate.ts'
import { becomeFollower } from './become.ts'
import { followLeader } from './follow.ts'
import { forwardedReadAnswered } from './read-index.ts'
import { isPromotable, leaderOf, send, type Follower, type Raft } from './state.ts'

export function tickFollower(raft: Raft): void {
  raft.electionElapsed += 1
  // Who has lost its store leaves the others the time for two elections.
  if (raft.electionElapsed < raft.randomizedElectionTicks * (raft.isStoreLost ? 3 : 1)) return
  if (isPromotable(raft)) campaign(raft, 'pre-vote')
  // Who may not stand for election still stops believing in a leader that nobody hears.
  else if (leaderOf(raft) !== NOBODY) becomeFollower(raft, raft.term, NOBODY)
}

/** Messages of the follower's own term, in the role of a follower. */
export function stepFollower(raft: Raft, follower: Follower, message: Message): void {
  switch (message.kind) {
    case 'append-request':
    case 'heartbeat-request':
    case 'snapshot-request':
      followLeader(raft, message)
      return
    case 'transfer-leader-request':
      if (follower.leader !== NOBODY) send(raft, { ...message, from: raft.options.id, to: follower.leader })
      return
    case 'timeout-now-request':
      if (isPromotable(raft) && !raft.isStoreLost) campaign(raft, 'transfer')
      return
    case 'read-index-response':
      forwardedReadAnswered(raft, message.requestId, message.index)
      return
    case 'propose-request':
    case 'read-index-request':
      // Handed on once at most: who sent it here had an older idea of who leads, and hears of the new one soon.
      return
    case 'append-response':
    case 'heartbeat-response':
    case 'vote-request':
    case 'vote-response':
    case 'pre-vote-request':
    case 'pre-vote-response':
      return
    default:
      unreachable(message)
  }
}
