/** Majorities, alone and joint (Raft §5.2, §6; thesis §4.3). */
import { assert } from '../../lib/assert.ts'
import type { MemberId } from '../../lib/ids.ts'
import type { Configuration } from './message.ts'

export type VoteResult = 'won' | 'lost' | 'pending'

/** Highest value that a majority of `voters` has reached; members without a value count as 0. */
export function majorityValue(voters: readonly MemberId[], valueOf: (id: MemberId) => number): number {
  assert(voters.length > 0, 'a configuration has at least one voter')
  const ascending = voters.map(valueOf).toSorted((a, b) => a - b)
  const value = ascending[voters.length - (Math.floor(voters.length / 2) + 1)]
  assert(value !== undefined, 'the index of the majority lies inside')
  return value
}

/** The same for a configuration: in a joint one both majorities must have reached the value. */
export function quorumValue(configuration: Configuration, valueOf: (id: MemberId) => number): number {
  const incoming = majorityValue(configuration.voters, valueOf)
  if (configuration.votersOutgoing.length === 0) return incoming
  return Math.min(incoming, majorityValue(configuration.votersOutgoing, valueOf))
}

export function voteResult(configuration: Configuration, votes: ReadonlyMap<MemberId, boolean>): VoteResult {
  const incoming = majorityVote(configuration.voters, votes)
  if (configuration.votersOutgoing.length === 0) return incoming
  const outgoing = majorityVote(configuration.votersOutgoing, votes)
  if (incoming === 'lost' || outgoing === 'lost') return 'lost'
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending'
}

function majorityVote(voters: readonly MemberId[], votes: ReadonlyMap<MemberId, boolean>): VoteResult {
  const quorum = Math.floor(voters.length / 2) + 1
  const granted = voters.filter((id) => votes.get(id) === true).length
  const missing = voters.filter((id) => !votes.has(id)).length
  if (granted >= quorum) return 'won'
  return granted + missing >= quorum ? 'pending' : 'lost'
}

export function isVoter(configuration: Configuration, id: MemberId): boolean {
  return configuration.voters.includes(id) || configuration.votersOutgoing.includes(id)
}

export function isLearner(configuration: Configuration, id: MemberId): boolean {
  return configuration.learners.includes(id)
}

/** Everybody that receives the log: voters of both halves and learners, each once. */
export function membersOf(configuration: Configuration): MemberId[] {
  return [...new Set([...configuration.voters, ...configuration.votersOutgoing, ...configuration.learners])]
}
