/**
 * The leader: replicates, commits what a quorum has on disk, confirms reads, hands over (Raft §5.3, §5.4; thesis §3.10,
 * §6.4). It steps down when a quorum is out of reach, so that a cut-off leader does not go on believing in itself.
 */
import { assert, unreachable } from '../../lib/assert.ts'
import { LogIndex, NOBODY, type MemberId } from '../../lib/ids.ts'
import { commitTo, findConflict, lastIndex, slice, termAt } from './log.ts'
import type { Message } from './message.ts'
import { appendEntries, becomeFollower } from './become.ts'
import {
  becomeProbe,
  becomeReplicate,
  becomeSnapshot,
  createProgress,
  heard,
  matched,
  mayAppend,
  rejected,
  sent,
  type Progress,
} from './progress.ts'
import { isLearner, isVoter, membersOf, quorumValue } from './quorum.ts'
import { send, type Leader, type Raft } from './state.ts'

export function tickLeader(raft: Raft, leader: Leader): void {
  leader.quorumCheckElapsed += 1
  if (leader.quorumCheckElapsed >= raft.options.electionTicks) {
    leader.quorumCheckElapsed = 0
    if (!hasQuorum(raft, leader)) return becomeFollower(raft, raft.term, NOBODY)
    if (leader.transfer !== undefined && raft.tickCount - leader.transfer.startTick >= raft.options.electionTicks)
      leader.transfer = undefined
  }
  leader.heartbeatElapsed += 1
  if (leader.heartbeatElapsed >= raft.options.heartbeatTicks) {
    leader.heartbeatElapsed = 0
    broadcastHeartbeat(raft, leader)
  }
}

/** CheckQuorum: heard from a quorum within the last election timeout. */
function hasQuorum(raft: Raft, leader: Leader): boolean {
  return quorumValue(raft.configuration, (id) => Number(isActive(raft, leader, id))) === 1
}

export function isActive(raft: Raft, leader: Leader, id: MemberId): boolean {
  if (id === raft.options.id) return true
  const progress = leader.progress.get(id)
  return progress !== undefined && raft.tickCount - progress.heardAtTick <= raft.options.electionTicks
}

export function broadcastHeartbeat(raft: Raft, leader: Leader): void {
  for (const [id, progress] of leader.progress) {
    if (id === raft.options.id) continue
    // Never more than the peer is known to have: its log may differ behind that.
    const commit = LogIndex(Math.min(progress.match, raft.log.committed))
    send(raft, {
      kind: 'heartbeat-request',
      from: raft.options.id,
      to: id,
      term: raft.term,
      commit,
      readBatch: leader.lastReadBatch,
    })
  }
}

export function broadcastAppend(raft: Raft, leader: Leader): void {
  leader.isBroadcastDue = false
  for (const [id, progress] of leader.progress) {
    if (id !== raft.options.id) sendAppends(raft, id, progress, true)
  }
}

/** Sends what flow control allows; with `evenEmpty` at least the commit index. */
function sendAppends(raft: Raft, to: MemberId, progress: Progress, evenEmpty: boolean): void {
  let mustSend = evenEmpty
  while (mayAppend(progress, raft.options)) {
    const prevIndex = LogIndex(progress.next - 1)
    const prevTerm = termAt(raft.log, prevIndex)
    if (prevTerm === undefined || prevIndex < raft.log.base.index) return sendSnapshot(raft, to, progress)
    const entries = slice(raft.log, progress.next, lastIndex(raft.log), raft.options.maxMessageSizeBytes)
    if (entries.length === 0 && !mustSend) return
    send(raft, {
      kind: 'append-request',
      from: raft.options.id,
      to,
      term: raft.term,
      prevIndex,
      prevTerm,
      entries,
      commit: raft.log.committed,
    })
    sent(
      progress,
      entries.at(-1)?.index,
      entries.reduce((size, entry) => size + entry.data.length, 0),
    )
    mustSend = false
    if (progress.state === 'probe' || entries.length === 0) return
  }
}

/** The log no longer reaches back far enough (Raft §7). To a peer that is away it would only pile up. */
function sendSnapshot(raft: Raft, to: MemberId, progress: Progress): void {
  const { role, log } = raft
  if (role.kind !== 'leader' || !isActive(raft, role, to)) return
  becomeSnapshot(progress, log.base.index)
  const snapshot = { ...log.base, configuration: raft.configuration, configIndex: raft.configIndex }
  send(raft, { kind: 'snapshot-request', from: raft.options.id, to, term: raft.term, snapshot })
}

/** Messages of the leader's own term. */
export function stepLeader(raft: Raft, leader: Leader, message: Message): void {
  switch (message.kind) {
    case 'propose-request':
      if (leader.transfer !== undefined || isOverloaded(raft, leader)) return
      // Membership changes are checked against facts that only a leader has, so they come by another way.
      appendEntries(
        raft,
        leader,
        message.entries.filter((entry) => entry.kind === 'normal'),
      )
      return
    case 'read-index-request':
      if (canConfirmReads(raft)) leader.waitingReads.push({ from: message.from, requestId: message.requestId })
      return
    case 'transfer-leader-request':
      transferTo(raft, leader, message.target)
      return
    case 'append-response':
    case 'heartbeat-response':
      stepAnswer(raft, leader, message)
      return
    case 'append-request':
    case 'heartbeat-request':
    case 'snapshot-request':
      assert(false, `two leaders in term ${raft.term}: ${raft.options.id} and ${message.from}`)
      return
    case 'vote-request':
    case 'vote-response':
    case 'pre-vote-request':
    case 'pre-vote-response':
    case 'timeout-now-request':
    case 'read-index-response':
      return
    default:
      unreachable(message)
  }
}

export function isOverloaded(raft: Raft, leader: Leader): boolean {
  return leader.uncommittedSizeBytes > raft.options.maxUncommittedSizeBytes
}

function stepAnswer(
  raft: Raft,
  leader: Leader,
  message: Extract<Message, { kind: 'append-response' | 'heartbeat-response' }>,
): void {
  const progress = leader.progress.get(message.from)
  if (progress === undefined) return
  progress.heardAtTick = raft.tickCount
  if (message.kind === 'heartbeat-response') {
    progress.readBatch = Math.max(progress.readBatch, message.readBatch)
    heard(progress, raft.options)
    if (progress.match < lastIndex(raft.log) || progress.state === 'probe')
      sendAppends(raft, message.from, progress, true)
    releaseReads(raft, leader)
    return
  }
  if (message.isRejected) {
    // Skip the terms that the follower's hint rules out, on our side of the comparison too.
    const hint =
      message.hintTerm > 0 ? findConflict(raft.log, message.hintIndex, message.hintTerm).index : message.hintIndex
    if (!rejected(progress, message.index, hint)) return
    if (progress.state === 'replicate') becomeProbe(progress)
    sendAppends(raft, message.from, progress, true)
    return
  }
  stepAccepted(raft, leader, message.from, progress, message.index)
}

function stepAccepted(raft: Raft, leader: Leader, from: MemberId, progress: Progress, index: LogIndex): void {
  const isNews = matched(progress, index)
  if (!isNews && progress.state !== 'probe') return
  if (progress.state === 'probe') becomeReplicate(progress)
  else if (progress.state === 'snapshot' && progress.match >= raft.log.base.index) {
    becomeProbe(progress)
    becomeReplicate(progress)
  }
  if (maybeCommit(raft, leader)) leader.isBroadcastDue = true
  else sendAppends(raft, from, progress, false)
  if (leader.transfer?.target === from && progress.match === lastIndex(raft.log)) sendTimeoutNow(raft, from)
}

/** Raft §5.4.2: only an entry of the leader's own term is committed by counting. */
export function maybeCommit(raft: Raft, leader: Leader): boolean {
  const index = LogIndex(quorumValue(raft.configuration, (id) => leader.progress.get(id)?.match ?? 0))
  if (termAt(raft.log, index) !== raft.term) return false
  return commitTo(raft.log, index)
}

/** The leader's own entries count once they are durable here, like anybody's. */
export function ownEntriesDurable(raft: Raft, leader: Leader, index: LogIndex): void {
  const own = leader.progress.get(raft.options.id)
  if (own === undefined) return
  matched(own, index)
  if (maybeCommit(raft, leader)) leader.isBroadcastDue = true
}

/** Before the first commit of its term a leader does not know the commit index (thesis §6.4, step 1). */
export function canConfirmReads(raft: Raft): boolean {
  return termAt(raft.log, raft.log.committed) === raft.term
}

/** All reads that wait share one round of heartbeats. */
export function startReadRound(raft: Raft, leader: Leader): void {
  if (leader.waitingReads.length === 0) return
  leader.lastReadBatch += 1
  leader.readBatches.push({ number: leader.lastReadBatch, index: raft.log.committed, requests: leader.waitingReads })
  leader.waitingReads = []
  broadcastHeartbeat(raft, leader)
  releaseReads(raft, leader)
}

function releaseReads(raft: Raft, leader: Leader): void {
  if (leader.readBatches.length === 0) return
  const own = raft.options.id
  const confirmed = quorumValue(raft.configuration, (id) =>
    id === own ? leader.lastReadBatch : (leader.progress.get(id)?.readBatch ?? 0),
  )
  let done = 0
  for (const batch of leader.readBatches) {
    if (batch.number > confirmed) break
    done += 1
    for (const { from, requestId } of batch.requests) {
      if (from === own) raft.readStates.push({ requestId, index: batch.index })
      else
        send(raft, { kind: 'read-index-response', from: own, to: from, term: raft.term, requestId, index: batch.index })
    }
  }
  leader.readBatches.splice(0, done)
}

/** False when the target is no voter. It gets everything first, then the word to begin. */
export function transferTo(raft: Raft, leader: Leader, target: MemberId): boolean {
  if (target === raft.options.id) {
    leader.transfer = undefined
    return true
  }
  const progress = leader.progress.get(target)
  if (progress === undefined || isLearner(raft.configuration, target) || !isVoter(raft.configuration, target))
    return false
  if (leader.transfer?.target === target) return true
  leader.transfer = { target, startTick: raft.tickCount }
  if (progress.match === lastIndex(raft.log)) sendTimeoutNow(raft, target)
  else sendAppends(raft, target, progress, true)
  return true
}

function sendTimeoutNow(raft: Raft, to: MemberId): void {
  send(raft, { kind: 'timeout-now-request', from: raft.options.id, to, term: raft.term })
}

/** A configuration took effect: peers come and go, the quorum may have become smaller, or this leader is out of it. */
export function configurationChanged(raft: Raft, leader: Leader): void {
  const members = new Set(membersOf(raft.configuration))
  const next = LogIndex(lastIndex(raft.log) + 1)
  for (const id of members) if (!leader.progress.has(id)) leader.progress.set(id, createProgress(next, raft.tickCount))
  for (const [id, progress] of leader.progress) {
    if (members.has(id)) continue
    // A last word, so that the member that goes learns of it.
    if (id !== raft.options.id) sendAppends(raft, id, progress, true)
    leader.progress.delete(id)
  }
  if (leader.transfer !== undefined && !isVoter(raft.configuration, leader.transfer.target)) leader.transfer = undefined
  if (!isVoter(raft.configuration, raft.options.id)) {
    broadcastAppend(raft, leader)
    return becomeFollower(raft, raft.term, NOBODY)
  }
  if (maybeCommit(raft, leader)) leader.isBroadcastDue = true
  releaseReads(raft, leader)
  broadcastAppend(raft, leader)
}
