/**
 * What the core wants done, handed out one piece at a time, and what follows once that is done. Messages may be stepped in
 * between; what they cause goes into the next Ready.
 */
import { assert } from '../../lib/assert.ts'
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import { LogIndex } from '../../lib/ids.ts'
import { appendEntries } from './become.ts'
import { ownVoteDurable } from './candidate.ts'
import { ownEntriesDurable } from './leader.ts'
import { hasConfigEntry, lastIndex, slice, termAt } from './log.ts'
import type { Entry, HardState, Message, SnapshotMeta } from './message.ts'
import { startReadRound } from './read-index.ts'
import { broadcastAppend } from './replication.ts'
import { leaderOf, type Raft, type ReadState, type SoftState } from './state.ts'

export interface Ready {
  /** Set when it changed. */
  readonly hardState: HardState | undefined
  /** To be made durable; they replace everything from the first one's index on. */
  readonly entries: readonly Entry[]
  /** To be installed first; its bytes are on disk already. */
  readonly snapshot: SnapshotMeta | undefined
  readonly appends: readonly Message[]
  readonly promises: readonly Message[]
  readonly committed: readonly Entry[]
  readonly readStates: readonly ReadState[]
  /** Reads of this member that will get no answer: ask again. */
  readonly readsDropped: readonly number[]
  readonly softState: SoftState | undefined
  /**
   * Something was promised: hardState's term or vote, or entries. A mere commit index may wait for the next fsync, unless a
   * membership change is committed with it: those who go may be gone for good once it is applied, and a member that then
   * forgot the commit would wait for their votes for ever.
   */
  readonly mustSync: boolean
}

export function hasReady(raft: Raft): boolean {
  if (raft.isReadyOut) return false
  const { role, log } = raft
  return (
    raft.appends.length > 0 ||
    raft.promises.length > 0 ||
    raft.pendingSnapshot !== undefined ||
    log.unstableFrom <= lastIndex(log) ||
    log.committed > log.applied ||
    raft.readStates.length > 0 ||
    raft.readsDropped.length > 0 ||
    (role.kind === 'leader' && (role.isBroadcastDue || role.waitingReads.length > 0)) ||
    changedHardState(raft) !== undefined ||
    changedSoftState(raft) !== undefined
  )
}

function changedHardState(raft: Raft): HardState | undefined {
  const { term, vote, toldHardState: told } = raft
  const commit = raft.log.committed
  return term === told.term && vote === told.vote && commit === told.commit ? undefined : { term, vote, commit }
}

function changedSoftState(raft: Raft): SoftState | undefined {
  const now: SoftState = { role: raft.role.kind, leader: leaderOf(raft), term: raft.term }
  const told = raft.toldSoftState
  return now.role === told.role && now.leader === told.leader && now.term === told.term ? undefined : now
}

export function ready(raft: Raft): Ready {
  assert(!raft.isReadyOut, 'the last Ready has not been advanced')
  const { role, log } = raft
  if (role.kind === 'leader') {
    startReadRound(raft, role)
    if (role.isBroadcastDue) broadcastAppend(raft, role)
  }
  const hardState = changedHardState(raft)
  const entries = log.unstableFrom <= lastIndex(log) ? slice(log, log.unstableFrom, lastIndex(log), Infinity) : []
  const committed =
    log.committed > log.applied
      ? slice(log, LogIndex(log.applied + 1), log.committed, raft.options.maxCommittedSizeBytesPerReady)
      : []
  const work: Ready = {
    hardState,
    entries,
    snapshot: raft.pendingSnapshot,
    appends: raft.appends,
    promises: raft.promises,
    committed,
    readStates: raft.readStates,
    readsDropped: raft.readsDropped,
    softState: changedSoftState(raft),
    mustSync: entries.length > 0 || (hardState !== undefined && isPromise(raft, hardState)),
  }
  raft.appends = []
  raft.promises = []
  raft.readStates = []
  raft.readsDropped = []
  if (hardState !== undefined) raft.toldHardState = hardState
  if (work.softState !== undefined) raft.toldSoftState = work.softState
  log.unstableFrom = LogIndex(lastIndex(log) + 1)
  raft.isReadyOut = true
  return work
}

function isPromise({ log, toldHardState: told }: Raft, { term, vote, commit }: HardState): boolean {
  return term !== told.term || vote !== told.vote || hasConfigEntry(log, told.commit, commit)
}

/** Everything of the Ready was carried out. */
export function advance(raft: Raft, work: Ready): void {
  assert(raft.isReadyOut, 'there is no Ready to advance')
  raft.isReadyOut = false
  const { log } = raft
  if (work.snapshot !== undefined && raft.pendingSnapshot?.index === work.snapshot.index)
    raft.pendingSnapshot = undefined
  const lastApplied = work.committed.at(-1)
  if (lastApplied !== undefined && lastApplied.index > log.applied) log.applied = lastApplied.index
  ownVoteDurable(raft)
  const { role } = raft
  if (role.kind !== 'leader') return
  const size = work.committed.reduce((sum, entry) => sum + entry.data.length, 0)
  role.uncommittedSizeBytes = Math.max(0, role.uncommittedSizeBytes - size)
  const lastDurable = work.entries.at(-1)
  // What was overwritten meanwhile is not what became durable, hence the look at the term.
  if (lastDurable !== undefined && termAt(log, lastDurable.index) === lastDurable.term)
    ownEntriesDurable(raft, role, lastDurable.index)
  leaveJointWhenApplied(raft)
}

/** Thesis §4.3: C_old,new is left by a second entry, proposed as soon as the first is applied. It carries no data. */
function leaveJointWhenApplied(raft: Raft): void {
  const { role, configuration, log } = raft
  if (role.kind !== 'leader' || !configuration.autoLeave || configuration.votersOutgoing.length === 0) return
  if (role.pendingConfigIndex > log.applied || role.transfer !== undefined) return
  appendEntries(raft, role, [{ kind: 'config', data: EMPTY_BYTES }])
}
