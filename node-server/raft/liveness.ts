/**
 * Which members are there. Three questions, three answers: CheckQuorum counts members that have had an election timeout
 * to answer; a member is active if it has answered within one; and what must not rest on the past, whether the remaining members
 * can go on after a change, asks everybody again: a roll call is a round of heartbeats, as a read has one (thesis §6.4).
 */
import type { MemberId, Term } from '../../lib/ids.ts'
import { isAnswering, mayBeThere } from './progress.ts'
import { quorumValue } from './quorum.ts'
import { broadcastHeartbeat } from './replication.ts'
import type { Leader, Raft } from './state.ts'

/** A question to all members, by the leader of that term. */
export interface RollCall {
  readonly term: Term
  readonly round: number
}

/** It has answered this leader, in this term, within the last election timeout. */
export function isActive(raft: Raft, leader: Leader, id: MemberId): boolean {
  if (id === raft.options.id) return true
  const progress = leader.progress.get(id)
  return progress !== undefined && isAnswering(progress, raft.tickCount, raft.options.electionTicks)
}

/** CheckQuorum: of a quorum it is not known that they are away. */
export function hasQuorum(raft: Raft, leader: Leader): boolean {
  const { id: own, electionTicks } = raft.options
  const isThere = (id: MemberId): boolean => {
    const progress = leader.progress.get(id)
    return id === own || (progress !== undefined && mayBeThere(progress, raft.tickCount, electionTicks))
  }
  return quorumValue(raft.configuration, (id) => Number(isThere(id))) === 1
}

/** Undefined when this member does not lead. A lost heartbeat is made good by the next: each names the newest round. */
export function callRoll(raft: Raft): RollCall | undefined {
  const { role, term } = raft
  return role.kind === 'leader' ? { term, round: beginRound(raft, role) } : undefined
}

/** Its number: a member that answers with it, or a later one, got a heartbeat that was sent now or later. */
export function beginRound(raft: Raft, leader: Leader): number {
  leader.lastReadBatch += 1
  broadcastHeartbeat(raft, leader)
  return leader.lastReadBatch
}

/** Members that have answered since, the leader among them; undefined if it no longer leads. */
export function answeredTo({ role, term, options }: Raft, roll: RollCall): ReadonlySet<MemberId> | undefined {
  if (role.kind !== 'leader' || term !== roll.term) return undefined
  const peers = [...role.progress].filter(([, { readBatch }]) => readBatch >= roll.round)
  return new Set([options.id, ...peers.map(([id]) => id)])
}
