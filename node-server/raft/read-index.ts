/**
 * Linearizable reads without a log entry (thesis §6.4): the leader notes its commit index, then has a quorum confirm that
 * it still leads; no clock is trusted. All reads that wait share a round of heartbeats. A follower asks its leader.
 */
import { NOBODY, type LogIndex } from '../../lib/ids.ts'
import { termAt } from './log.ts'
import { beginRound } from './liveness.ts'
import { quorumValue } from './quorum.ts'
import { leaderOf, send, type Leader, type Raft, type ReadRequest } from './state.ts'

/** Reads that one participant holds on to; a caller that batches its readers needs one at a time. */
const MAX_READS = 4096

/** False when too many wait already. */
export function addRead(leader: Leader, request: ReadRequest): boolean {
  if (leader.readCount >= MAX_READS) return false
  leader.waitingReads.push(request)
  leader.readCount += 1
  return true
}

/**
 * Asks the leader on behalf of a reader here. The ID on the wire is our own and starts at a random place: an answer to a
 * request from before a restart then matches nothing; otherwise it would let a later read see an older index.
 */
export function forwardRead(raft: Raft, requestId: number): boolean {
  const leader = leaderOf(raft)
  if (leader === NOBODY) return false
  const oldest = raft.forwardedReads.entries().next().value
  if (raft.forwardedReads.size >= MAX_READS && oldest !== undefined) {
    raft.forwardedReads.delete(oldest[0])
    raft.readsDropped.push(oldest[1])
  }
  raft.nextForwardedRead += 1
  const wireId = raft.nextForwardedRead
  raft.forwardedReads.set(wireId, requestId)
  send(raft, { kind: 'read-index-request', from: raft.options.id, to: leader, term: raft.term, requestId: wireId })
  return true
}

export function forwardedReadAnswered(raft: Raft, wireId: number, index: LogIndex): void {
  const requestId = raft.forwardedReads.get(wireId)
  if (requestId === undefined) return
  raft.forwardedReads.delete(wireId)
  raft.readStates.push({ requestId, index })
}

/** With the leader go the reads that only it could have confirmed; the askers here are told. */
export function dropReads(raft: Raft): void {
  raft.readsDropped.push(...raft.forwardedReads.values())
  raft.forwardedReads.clear()
  if (raft.role.kind !== 'leader') return
  const requests = [...raft.role.readBatches.flatMap((batch) => batch.requests), ...raft.role.waitingReads]
  for (const request of requests) if (request.from === raft.options.id) raft.readsDropped.push(request.requestId)
}

/** Before the first commit of its term a leader does not know the commit index (thesis §6.4, step 1): reads wait for that. */
export function mayStartReadRound(raft: Raft, leader: Leader): boolean {
  return leader.waitingReads.length > 0 && termAt(raft.log, raft.log.committed) === raft.term
}

/** All reads that wait share one round of heartbeats. */
export function startReadRound(raft: Raft, leader: Leader): void {
  if (!mayStartReadRound(raft, leader)) return
  const number = beginRound(raft, leader)
  leader.readBatches.push({ number, index: raft.log.committed, requests: leader.waitingReads })
  leader.waitingReads = []
  releaseReads(raft, leader)
}

export function releaseReads(raft: Raft, leader: Leader): void {
  if (leader.readBatches.length === 0) return
  const own = raft.options.id
  const confirmed = quorumValue(raft.configuration, (id) =>
    id === own ? leader.lastReadBatch : (leader.progress.get(id)?.readBatch ?? 0),
  )
  let done = 0
  for (const batch of leader.readBatches) {
    if (batch.number > confirmed) break
    done += 1
    leader.readCount -= batch.requests.length
    for (const { from, requestId } of batch.requests) {
      if (from === own) raft.readStates.push({ requestId, index: batch.index })
      else
        send(raft, { kind: 'read-index-response', from: own, to: from, term: raft.term, requestId, index: batch.index })
    }
  }
  leader.readBatches.splice(0, done)
}
