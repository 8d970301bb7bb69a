/** How the leader's log reaches its peers (Raft §5.3): heartbeats, entries in a pipeline, snapshots for those too far behind. */
import { LogIndex, type MemberId } from '../../lib/ids.ts'
import { lastIndex, slice, termAt } from './log.ts'
import { entrySizeBytes } from './message.ts'
import { becomeSnapshot, isAnswering, mayAppend, sent, type Progress } from './progress.ts'
import { send, type Leader, type Raft } from './state.ts'

export function broadcastHeartbeat(raft: Raft, leader: Leader): void {
  for (const [id, progress] of leader.progress) if (id !== raft.options.id) sendHeartbeat(raft, leader, id, progress)
}

export function sendHeartbeat(raft: Raft, leader: Leader, to: MemberId, progress: Progress): void {
  const { lastReadBatch: readBatch } = leader
  // Never more than the peer is known to have: its log may differ behind that.
  const commit = LogIndex(Math.min(progress.match, raft.log.committed))
  send(raft, { kind: 'heartbeat-request', from: raft.options.id, to, term: raft.term, commit, readBatch })
}

export function broadcastAppend(raft: Raft, leader: Leader): void {
  leader.isBroadcastDue = false
  for (const [id, progress] of leader.progress) {
    if (id !== raft.options.id) sendAppends(raft, id, progress, true)
  }
}

/**
 * Sends what flow control allows; with `evenEmpty` at least the commit index. Behind a full pipeline that shows whether it
 * arrived: an append that follows one that was lost is rejected, and then the peer is probed.
 */
export function sendAppends(raft: Raft, to: MemberId, progress: Progress, evenEmpty: boolean): void {
  let mustSend = evenEmpty
  for (;;) {
    const hasRoom = mayAppend(progress, raft.options)
    if (!hasRoom && !(mustSend && progress.state === 'replicate')) return
    const prevIndex = LogIndex(progress.next - 1)
    const prevTerm = termAt(raft.log, prevIndex)
    if (prevTerm === undefined || prevIndex < raft.log.base.index) return sendSnapshot(raft, to, progress)
    const entries = hasRoom ? slice(raft.log, progress.next, lastIndex(raft.log), raft.options.maxMessageSizeBytes) : []
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
      entries.reduce((size, entry) => size + entrySizeBytes(entry), 0),
    )
    mustSend = false
    if (progress.state === 'probe' || entries.length === 0) return
  }
}

/**
 * The log no longer reaches back far enough (Raft §7). To a peer that is away it would only pile up. The message names the
 * least that the snapshot must hold; who carries it puts in what the snapshot really holds.
 */
function sendSnapshot(raft: Raft, to: MemberId, progress: Progress): void {
  const { tickCount, options } = raft
  if (!isAnswering(progress, tickCount, options.electionTicks)) return
  becomeSnapshot(progress)
  askForSnapshot(raft, to, progress)
}

/** To a peer whose store is lost it goes beside the log, which it goes on acknowledging. */
export function askForSnapshot(raft: Raft, to: MemberId, progress: Progress): void {
  progress.isSnapshotOut = true
  const snapshot = { ...raft.log.base, configuration: raft.configuration, configIndex: raft.configIndex }
  send(raft, { kind: 'snapshot-request', from: raft.options.id, to, term: raft.term, snapshot })
}
