/** Followers: take the leader's entries, answer after the disk did, and stand for election when nobody leads (Raft §5.2). */
import { NOBODY } from '../../lib/ids.ts'
import { unreachable } from '../../lib/assert.ts'
import type { Message } from './message.ts'
import { campaign } from './candidate.ts'
import { followLeader } from './follow.ts'
import { isPromotable, send, type Follower, type Raft } from './state.ts'

export function tickFollower(raft: Raft): void {
  raft.electionElapsed += 1
  if (raft.electionElapsed < raft.randomizedElectionTicks || !isPromotable(raft)) return
  campaign(raft, 'pre-vote')
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
      if (isPromotable(raft)) campaign(raft, 'transfer')
      return
    case 'read-index-response':
      raft.readStates.push({ requestId: message.requestId, index: message.index })
      return
    case 'propose-request':
    case 'read-index-request':
      // Handed on once at most: a follower that gets one from another member has no better idea who leads.
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
