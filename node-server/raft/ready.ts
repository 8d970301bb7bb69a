/**
 * What the core wants done. Messages leave at once. The disk and the store each get one piece at a time, and each
 * reports when it is finished ({@link appended}, {@link applied}); neither waits for the other, and what is stepped in
 * meanwhile goes into the next piece. One piece at a time is also the batching: all that comes in during an fsync shares
 * the next one.
 */
import { assert } from '../../lib/assert.ts'
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import { LogIndex } from '../../lib/ids.ts'
import { appendEntries } from './become.ts'
import { ownVoteDurable } from './candidate.ts'
import { ownEntriesDurable } from './leader.ts'
import { firstConfigEntry, hasConfigEntry, lastIndex, slice } from './log.ts'
import type { Entry, HardState, Message } from './message.ts'
import { mayStartReadRound, startReadRound } from './read-index.ts'
import { broadcastAppend } from './replication.ts'
import { leaderOf, type Append, type Raft, type ReadState, type SoftState } from './state.ts'

export interface Ready {
  /** They promise nothing, or only what is durable already: they leave at once. */
  readonly messages: readonly Message[]
  /** For the disk; undefined while the one before is under way. */
  readonly append: Append | undefined
  /** Committed entries for the store, each durable here; empty while those before are under way. */
  readonly committed: readonly Entry[]
  readonly readStates: readonly ReadState[]
  /** Reads of this member that will get no answer: ask again. */
  readonly readsDropped: readonly number[]
  readonly softState: SoftState | undefined
}

export function hasReady(raft: Raft): boolean {
  const { role } = raft
  return (
    raft.messages.length > 0 ||
    (raft.appendOut === undefined && (raft.promises.length > 0 || hasAppend(raft))) ||
    mayApply(raft) ||
    raft.readStates.length > 0 ||
    raft.readsDropped.length > 0 ||
    (role.kind === 'leader' && (role.isBroadcastDue || mayStartReadRound(raft, role))) ||
    changedSoftState(raft) !== undefined
  )
}

export function ready(raft: Raft): Ready {
  const { role } = raft
  if (role.kind === 'leader') {
    startReadRound(raft, role)
    if (role.isBroadcastDue) broadcastAppend(raft, role)
  }
  const append = raft.appendOut === undefined ? takeAppend(raft) : undefined
  const work: Ready = {
    messages: raft.messages,
    append,
    committed: takeCommitted(raft),
    readStates: raft.readStates,
    readsDropped: raft.readsDropped,
    softState: changedSoftState(raft),
  }
  raft.messages = []
  raft.readStates = []
  raft.readsDropped = []
  if (work.softState !== undefined) raft.toldSoftState = work.softState
  return work
}

function hasAppend(raft: Raft): boolean {
  const { log } = raft
  return (
    raft.pendingSnapshot !== undefined || log.unstableFrom <= lastIndex(log) || changedHardState(raft) !== undefined
  )
}

/** Promises with nothing before them to be written are of what is durable: they become messages. */
function takeAppend(raft: Raft): Append | undefined {
  const { log, promises } = raft
  raft.promises = []
  if (!hasAppend(raft)) {
    raft.messages.push(...promises)
    return undefined
  }
  const hardState = changedHardState(raft)
  const entries = log.unstableFrom <= lastIndex(log) ? slice(log, log.unstableFrom, lastIndex(log), Infinity) : []
  const mustSync = entries.length > 0 || (hardState !== undefined && isPromise(raft, hardState))
  if (hardState !== undefined) raft.toldHardState = hardState
  log.unstableFrom = LogIndex(lastIndex(log) + 1)
  const append: Append = { snapshot: raft.pendingSnapshot, entries, hardState, mustSync, promises }
  raft.appendOut = { append, hardState: raft.toldHardState }
  return append
}

function changedHardState(raft: Raft): HardState | undefined {
  const { term, vote, toldHardState: told } = raft
  const commit = raft.log.committed
  return term === told.term && vote === told.vote && commit === told.commit ? undefined : { term, vote, commit }
}

function isPromise({ log, toldHardState: told }: Raft, { term, vote, commit }: HardState): boolean {
  return term !== told.term || vote !== told.vote || hasConfigEntry(log, told.commit, commit)
}

function takeCommitted(raft: Raft): readonly Entry[] {
  if (!mayApply(raft)) return []
  const { log, options } = raft
  raft.isApplyOut = true
  return slice(log, LogIndex(log.applied + 1), appliableTo(raft), options.maxCommittedSizeBytesPerReady)
}

function mayApply(raft: Raft): boolean {
  const isFree = !raft.isApplyOut && raft.pendingSnapshot === undefined && !raft.isStoreLost
  return isFree && appliableTo(raft) > raft.log.applied
}

/** Committed and durable here; a membership change only once it is durable that it is committed, see `mustSync`. */
function appliableTo({ log, durableHardState }: Raft): LogIndex {
  const to = LogIndex(Math.min(log.committed, log.durableTo))
  const change = firstConfigEntry(log, LogIndex(Math.max(log.applied, durableHardState.commit)), to)
  return change === undefined ? to : LogIndex(change - 1)
}

function changedSoftState(raft: Raft): SoftState | undefined {
  const now: SoftState = { role: raft.role.kind, leader: leaderOf(raft), term: raft.term }
  const told = raft.toldSoftState
  return now.role === told.role && now.leader === told.leader && now.term === told.term ? undefined : now
}

/** The piece is durable. Entries that were overwritten meanwhile will be handed out again, so they do not count. */
export function appended(raft: Raft, append: Append): void {
  const out = raft.appendOut
  assert(out?.append === append, 'this is not the append under way')
  raft.appendOut = undefined
  const { log, role } = raft
  log.durableTo = LogIndex(log.unstableFrom - 1)
  if (append.mustSync || append.snapshot !== undefined) raft.durableHardState = out.hardState
  if (append.snapshot !== undefined && raft.pendingSnapshot?.index === append.snapshot.index) {
    raft.pendingSnapshot = undefined
    raft.isStoreLost = false
  }
  if (role.kind === 'leader') ownEntriesDurable(raft, role, log.durableTo)
  ownVoteDurable(raft)
}

/** All of it is in the store; nothing, when the store was lost meanwhile. */
export function applied(raft: Raft, committed: readonly Entry[]): void {
  assert(raft.isApplyOut, 'nothing was given to the store')
  raft.isApplyOut = false
  const { log, role } = raft
  const last = committed.at(-1)
  // A snapshot that arrived meanwhile is further.
  if (last !== undefined && last.index > log.applied) log.applied = last.index
  if (role.kind !== 'leader') return
  const sizeBytes = committed.reduce((sum, entry) => sum + entry.data.length, 0)
  role.uncommittedSizeBytes = Math.max(0, role.uncommittedSizeBytes - sizeBytes)
  leaveJointWhenApplied(raft)
}

/** Thesis §4.3: C_old,new is left by a second entry, proposed as soon as the first is applied. It carries no data. */
function leaveJointWhenApplied(raft: Raft): void {
  const { role, configuration, log } = raft
  if (role.kind !== 'leader' || !configuration.autoLeave || configuration.votersOutgoing.length === 0) return
  if (role.pendingConfigIndex > log.applied || role.transfer !== undefined) return
  appendEntries(raft, role, [{ kind: 'config', data: EMPTY_BYTES }])
}
