/**
 * The leader: replicates, commits what a quorum has on disk, confirms reads, hands over (Raft §5.3, §5.4; thesis §3.10,
 * §6.4). It steps down when a quorum is out of reach, so that a cut-off leader does not go on believing in itself.
 */
import { assert, unreachable } from '../../lib/assert.ts'
import { LogIndex, NOBODY, type MemberId } from '../../lib/ids.ts'
import { commitTo, findConflict, lastIndex, termAt } from './log.ts'
import type { Message } from './message.ts'
import { appendEntries, becomeFollower } from './become.ts'
import { becomeProbe, becomeReplicate, createProgress, heard, matched, rejected, type Progress } from './progress.ts'
import { isVoter, membersOf, quorumValue } from './quorum.ts'
import { beginRound, hasQuorum, isActive } from './liveness.ts'
import { addRead, releaseReads } from './read-index.ts'
import { askForSnapshot, broadcastAppend, broadcastHeartbeat, sendAppends } from './replication.ts'
import { send, type Leader, type Raft } from './state.ts'

export function tickLeader(raft: Raft, leader: Leader): void {
  leader.quorumCheckElapsed += 1
  if (leader.quorumCheckElapsed >= raft.options.electionTicks) {
    leader.quorumCheckElapsed = 0
    if (!hasQuorum(raft, leader)) return becomeFollower(raft, raft.term, NOBODY)
  }
  // Thesis §3.10: a target that has not taken over within an election timeout will not; go on leading.
  if (leader.transfer !== undefined && raft.tickCount - leader.transfer.startTick >= raft.options.electionTicks)
    leader.transfer = undefined
  if (isLeaving(raft, leader)) handOver(raft, leader)
  else if (raft.isStoreLost && leader.transfer === undefined) handOverToAny(raft, leader)
  leader.heartbeatElapsed += 1
  if (leader.heartbeatElapsed >= raft.options.heartbeatTicks) {
    leader.heartbeatElapsed = 0
    broadcastHeartbeat(raft, leader)
  }
}

/** Messages of the leader's own term. */
export function stepLeader(raft: Raft, leader: Leader, message: Message): void {
  switch (message.kind) {
    case 'propose-request':
      if (proposalProblem(raft, leader) !== undefined) return
      // Membership changes are checked against facts that only a leader has, so they are not forwarded like this.
      appendEntries(
        raft,
        leader,
        message.entries.filter((entry) => entry.kind === 'normal'),
      )
      return
    case 'read-index-request':
      // Refused ones get no answer: the asker has its own time limit.
      addRead(leader, { from: message.from, requestId: message.requestId })
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
      assert(false, () => `two leaders in term ${raft.term}: ${raft.options.id} and ${message.from}`)
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

/** Why this leader accepts no proposals now. */
export function proposalProblem(raft: Raft, leader: Leader): 'removed' | 'transferring' | 'overloaded' | undefined {
  if (!leader.progress.has(raft.options.id)) return 'removed'
  if (leader.transfer !== undefined || raft.isStoreLost || !isVoter(raft.configuration, raft.options.id))
    return 'transferring'
  return leader.uncommittedSizeBytes > raft.options.maxUncommittedSizeBytes ? 'overloaded' : undefined
}

function stepAnswer(
  raft: Raft,
  leader: Leader,
  message: Extract<Message, { kind: 'append-response' | 'heartbeat-response' }>,
): void {
  const progress = leader.progress.get(message.from)
  if (progress === undefined) return // a member that is gone, or one that this leader does not know yet
  progress.answeredAtTick = raft.tickCount
  if (message.kind === 'heartbeat-response') {
    progress.readBatch = Math.max(progress.readBatch, message.readBatch)
    heard(progress)
    if (progress.match < lastIndex(raft.log) || progress.state === 'probe')
      sendAppends(raft, message.from, progress, true)
    releaseReads(raft, leader)
    if (isLeaving(raft, leader)) handOver(raft, leader)
    // The request to take over may have been lost, or have come before the target had applied a membership change.
    urgeTarget(raft, leader, message.from, progress)
    return
  }
  progress.wantsSnapshot = message.needsSnapshot
  if (progress.wantsSnapshot && !progress.isSnapshotOut) askForSnapshot(raft, message.from, progress)
  if (message.isRejected) {
    // Skip the terms that the follower's hint rules out, on our side of the comparison too.
    const hint =
      message.hintTerm > 0 ? findConflict(raft.log, message.hintIndex, message.hintTerm).index : message.hintIndex
    if (!rejected(progress, message.index, hint)) return
    if (progress.state === 'replicate') becomeProbe(progress)
    sendAppends(raft, message.from, progress, true)
    return
  }
  // Nobody can have more of this term's log than its leader.
  if (message.index <= lastIndex(raft.log)) stepAccepted(raft, leader, message.from, progress, message.index)
}

function stepAccepted(raft: Raft, leader: Leader, from: MemberId, progress: Progress, index: LogIndex): void {
  const isNews = matched(progress, index)
  // An old answer adds nothing, but one that confirms what is known already ends a probe.
  if (!isNews && !(progress.state === 'probe' && index === progress.match)) return
  const isPastSnapshot = progress.state === 'snapshot' && progress.match >= raft.log.base.index
  if (progress.state === 'probe' || isPastSnapshot) becomeReplicate(progress)
  if (maybeCommit(raft, leader)) leader.isBroadcastDue = true
  else sendAppends(raft, from, progress, false)
  urgeTarget(raft, leader, from, progress)
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

/** False when the target is no voter. It gets everything first, then the word to begin. */
export function transferTo(raft: Raft, leader: Leader, target: MemberId): boolean {
  if (target === raft.options.id) {
    leader.transfer = undefined
    return true
  }
  const progress = leader.progress.get(target)
  if (progress === undefined || !isVoter(raft.configuration, target)) return false
  if (leader.transfer?.target === target) return true
  leader.transfer = { target, startTick: raft.tickCount }
  if (progress.match < lastIndex(raft.log)) sendAppends(raft, target, progress, true)
  urgeTarget(raft, leader, target, progress)
  return true
}

/** Thesis §3.10: the target of a transfer begins its election once it has everything. */
function urgeTarget(raft: Raft, leader: Leader, to: MemberId, progress: Progress): void {
  if (leader.transfer?.target !== to || progress.match !== lastIndex(raft.log)) return
  send(raft, { kind: 'timeout-now-request', from: raft.options.id, to, term: raft.term })
}

/** A configuration took effect: peers come and go, the quorum may have become smaller, or this leader is out of it. */
export function configurationChanged(raft: Raft, leader: Leader): void {
  const members = new Set(membersOf(raft.configuration))
  const next = LogIndex(lastIndex(raft.log) + 1)
  for (const id of members) if (!leader.progress.has(id)) leader.progress.set(id, createProgress(next, raft.tickCount))
  for (const [id, progress] of leader.progress) {
    if (members.has(id)) continue
    // A last message, so that the removed member learns of it.
    if (id !== raft.options.id) sendAppends(raft, id, progress, true)
    leader.progress.delete(id)
  }
  if (leader.transfer !== undefined && !isVoter(raft.configuration, leader.transfer.target)) leader.transfer = undefined
  if (isLeaving(raft, leader)) handOver(raft, leader)
  if (maybeCommit(raft, leader)) leader.isBroadcastDue = true
  releaseReads(raft, leader)
  broadcastAppend(raft, leader)
}

/** It has to hand over, and no voter has been asked to take over yet. */
function isLeaving(raft: Raft, leader: Leader): boolean {
  return leader.transfer === undefined && !isVoter(raft.configuration, raft.options.id)
}

/**
 * A leader that is no voter any more takes no proposals and leads only until another does, or until the quorum, which is
 * without it, is out of reach. If it went at once, a voter that has not heard of the change might need its vote, and not
 * get it for having the shorter log: nobody could be elected again (thesis §4.2.2). For the same reason it asks only those
 * to take over who have answered a heartbeat that told them that the change is committed.
 */
function handOver(raft: Raft, leader: Leader): void {
  const matchOf = (id: MemberId): number => leader.progress.get(id)?.match ?? 0
  const told = raft.configuration.voters.filter((id) => matchOf(id) >= raft.configIndex)
  if (leader.farewell === undefined || told.some((id) => leader.farewell?.told.includes(id) === false)) {
    leader.farewell = { round: beginRound(raft, leader), told }
  }
  const { round } = leader.farewell
  const informed = leader.farewell.told
    .filter((id) => (leader.progress.get(id)?.readBatch ?? 0) >= round && isActive(raft, leader, id))
    .toSorted((a, b) => matchOf(b) - matchOf(a))
  const target = informed[leader.handOverAttempts % informed.length]
  if (target === undefined) return
  leader.handOverAttempts += 1
  transferTo(raft, leader, target)
}

/** A leader whose store is lost cannot lead beyond its log: it asks the active voters to take over, one after the other. */
function handOverToAny(raft: Raft, leader: Leader): void {
  const matchOf = (id: MemberId): number => leader.progress.get(id)?.match ?? 0
  const there = raft.configuration.voters
    .filter((id) => id !== raft.options.id && isActive(raft, leader, id))
    .filter((id) => leader.progress.get(id)?.wantsSnapshot === false)
    .toSorted((a, b) => matchOf(b) - matchOf(a))
  const target = there[leader.handOverAttempts % there.length]
  if (target === undefined) return
  leader.handOverAttempts += 1
  transferTo(raft, leader, target)
}
