/** Following a leader: accept what it sends, acknowledge after the fsync (Raft §5.3, §7). */
import { unreachable } from '../../lib/assert.ts'
import { LogIndex, type MemberId } from '../../lib/ids.ts'
import { appendAfterMatch, commitTo, continueBehind, findConflict, hasConfigEntry, resetTo, termAt } from './log.ts'
import type { Message } from './message.ts'
import { send, type Raft } from './state.ts'

type FromLeader = Extract<Message, { kind: 'append-request' | 'heartbeat-request' | 'snapshot-request' }>

/** A message that only the leader of this term sends: its receiver follows it. */
export function followLeader(raft: Raft, message: FromLeader): void {
  if (raft.role.kind !== 'follower' || raft.role.leader !== message.from)
    raft.role = { kind: 'follower', leader: message.from }
  raft.electionElapsed = 0
  switch (message.kind) {
    case 'append-request':
      handleAppend(raft, message)
      return
    case 'heartbeat-request': {
      // At most what this member acknowledged: if the log lacks that, its disk lost data or was swapped, and commitTo fails.
      commitTo(raft.log, message.commit)
      answerHeartbeat(raft, message)
      return
    }
    case 'snapshot-request':
      handleSnapshot(raft, message)
      return
    default:
      unreachable(message)
  }
}

/**
 * At once, also while the disk is busy: a leader must not miss it. Only an answer that reports a committed membership change
 * waits until that is durable: a removed leader leaves once it has heard so.
 */
function answerHeartbeat(raft: Raft, { from: to, readBatch }: Extract<Message, { kind: 'heartbeat-request' }>): void {
  const { log, options, term, durableHardState } = raft
  const answer = { kind: 'heartbeat-response', from: options.id, to, term, readBatch } as const
  if (needsSnapshot(raft)) acceptUpTo(raft, to, log.committed)
  if (hasConfigEntry(log, durableHardState.commit, log.committed)) raft.promises.push(answer)
  else send(raft, answer)
}

function handleAppend(raft: Raft, message: Extract<Message, { kind: 'append-request' }>): void {
  const { log } = raft
  if (message.prevIndex < log.committed) return acceptUpTo(raft, message.from, log.committed)
  if (termAt(log, message.prevIndex) !== message.prevTerm) return reject(raft, message)
  const last = LogIndex(message.prevIndex + message.entries.length)
  appendAfterMatch(log, message.entries)
  commitTo(log, LogIndex(Math.min(message.commit, last)))
  acceptUpTo(raft, message.from, last)
}

function acceptUpTo(raft: Raft, to: MemberId, index: LogIndex): void {
  const none = { hintIndex: LogIndex(0), hintTerm: raft.log.base.term }
  const answer = { isRejected: false, needsSnapshot: needsSnapshot(raft), index, ...none }
  send(raft, { kind: 'append-response', from: raft.options.id, to, term: raft.term, ...answer })
}

/** Not while a snapshot is already about to become the store. */
function needsSnapshot({ isStoreLost, pendingSnapshot }: Raft): boolean {
  return isStoreLost && pendingSnapshot === undefined
}

function reject(raft: Raft, message: Extract<Message, { kind: 'append-request' }>): void {
  const hint = findConflict(raft.log, message.prevIndex, message.prevTerm)
  send(raft, {
    kind: 'append-response',
    from: raft.options.id,
    to: message.from,
    term: raft.term,
    isRejected: true,
    needsSnapshot: needsSnapshot(raft),
    index: message.prevIndex,
    hintIndex: hint.index,
    hintTerm: hint.term,
  })
}

/** Raft §7. The bytes are on disk already; the store takes them over when the Ready is carried out. */
function handleSnapshot(raft: Raft, message: Extract<Message, { kind: 'snapshot-request' }>): void {
  const { snapshot } = message
  const { log } = raft
  const isInLog = termAt(log, snapshot.index) === snapshot.term
  if (needsSnapshot(raft) && snapshot.index >= log.applied) {
    if (isInLog) continueBehind(log, snapshot.index)
    else resetTo(log, snapshot.index, snapshot.term)
  } else {
    if (snapshot.index <= log.committed) return acceptUpTo(raft, message.from, log.committed)
    if (isInLog) {
      commitTo(log, snapshot.index)
      return acceptUpTo(raft, message.from, log.committed)
    }
    resetTo(log, snapshot.index, snapshot.term)
  }
  raft.configuration = snapshot.configuration
  raft.configIndex = snapshot.configIndex
  raft.pendingSnapshot = snapshot
  acceptUpTo(raft, message.from, log.committed)
}
