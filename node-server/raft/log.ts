/**
 * The log as the core sees it: the entries after a snapshot point, in memory (Raft §5.3, §7).
 *
 * Invariants: base.index ≤ applied ≤ committed ≤ last index; durableTo < unstableFrom ≤ last index + 1; entries are
 * contiguous.
 */
import { assert } from '../../lib/assert.ts'
import { LogIndex, Term } from '../../lib/ids.ts'
import { entrySizeBytes, type Entry } from './message.ts'

export interface Log {
  /** The last entry that is no longer here. Index 0 and term 0: nothing was ever compacted. */
  base: { readonly index: LogIndex; readonly term: Term }
  /** From index base.index + 1 on. */
  entries: Entry[]
  /** Of `entries`. */
  sizeBytes: number
  committed: LogIndex
  applied: LogIndex
  /** Entries up to here are on this member's disk; while a snapshot waits to be installed, this says nothing. */
  durableTo: LogIndex
  /** The first index that was not yet handed out to be made durable. */
  unstableFrom: LogIndex
  /** Of all entries that have come in since the start: what has come since a moment is the difference. */
  appendedSizeBytes: number
}

export function createLog(
  base: { index: LogIndex; term: Term },
  entries: readonly Entry[],
  committed: LogIndex,
  applied: LogIndex,
): Log {
  const log: Log = {
    base,
    entries: [...entries],
    sizeBytes: sizeOf(entries),
    committed,
    applied,
    durableTo: LogIndex(base.index + entries.length),
    unstableFrom: LogIndex(base.index + entries.length + 1),
    appendedSizeBytes: 0,
  }
  entries.forEach((entry, i) =>
    assert(entry.index === base.index + i + 1, () => `entry ${entry.index} does not follow ${base.index + i}`),
  )
  assert(
    applied >= base.index && committed >= applied,
    () => `applied ${applied} lies outside ${base.index}..${committed}`,
  )
  assert(committed <= lastIndex(log), () => `commit index ${committed} is beyond the last entry ${lastIndex(log)}`)
  return log
}

export function lastIndex(log: Log): LogIndex {
  return LogIndex(log.base.index + log.entries.length)
}

export function lastTerm(log: Log): Term {
  return termAt(log, lastIndex(log)) ?? Term(0)
}

/** Undefined when the entry is compacted or not there yet. */
export function termAt(log: Log, index: LogIndex): Term | undefined {
  if (index === log.base.index) return log.base.term
  return entryAt(log, index)?.term
}

export function entryAt(log: Log, index: LogIndex): Entry | undefined {
  if (index <= log.base.index) return undefined
  return log.entries[index - log.base.index - 1]
}

/** Entries from `from` on, at least one if there is one, then as many as fit `maxSizeBytes`, up to `to` inclusive. */
export function slice(log: Log, from: LogIndex, to: LogIndex, maxSizeBytes: number): Entry[] {
  assert(from > log.base.index, () => `entry ${from} is compacted up to ${log.base.index}`)
  const start = from - log.base.index - 1
  const end = Math.min(to - log.base.index, log.entries.length)
  let stop = start
  let sizeBytes = 0
  for (let entry = log.entries[stop]; stop < end && entry !== undefined; entry = log.entries[stop]) {
    sizeBytes += entrySizeBytes(entry)
    if (stop > start && sizeBytes > maxSizeBytes) break
    stop += 1
  }
  return log.entries.slice(start, stop)
}

/** Whether there is a membership change among the entries behind `after`, up to `to` inclusive. */
export function hasConfigEntry(log: Log, after: LogIndex, to: LogIndex): boolean {
  return firstConfigEntry(log, after, to) !== undefined
}

export function firstConfigEntry(log: Log, after: LogIndex, to: LogIndex): LogIndex | undefined {
  const start = Math.max(0, after - log.base.index)
  const end = to - log.base.index
  for (let at = start; at < end; at++) if (log.entries[at]?.kind === 'config') return log.entries[at]?.index
  return undefined
}

/** Raft §5.4.1: the log with the later last term wins, then the longer one. */
export function isUpToDate(log: Log, index: LogIndex, term: Term): boolean {
  const ownTerm = lastTerm(log)
  return term > ownTerm || (term === ownTerm && index >= lastIndex(log))
}

/** Adds entries behind the last one. */
export function append(log: Log, entries: readonly Entry[]): void {
  for (const entry of entries) {
    assert(entry.index === lastIndex(log) + 1, () => `entry ${entry.index} does not follow ${lastIndex(log)}`)
    const sizeBytes = entrySizeBytes(entry)
    log.entries.push(entry)
    log.sizeBytes += sizeBytes
    log.appendedSizeBytes += sizeBytes
  }
}

/**
 * A follower takes what the leader sent after `prevIndex`, which matches. What is there already stays; the first conflict
 * and all that follows it goes (Raft §5.3). A committed entry never conflicts.
 */
export function appendAfterMatch(log: Log, entries: readonly Entry[]): void {
  const firstNew = entries.findIndex((entry) => entry.index > log.base.index && termAt(log, entry.index) !== entry.term)
  const conflict = entries[firstNew]
  if (conflict === undefined) return
  assert(conflict.index > log.committed, () => `entry ${conflict.index} conflicts, but ${log.committed} is committed`)
  if (conflict.index <= lastIndex(log)) log.sizeBytes -= sizeOf(log.entries.splice(conflict.index - log.base.index - 1))
  if (conflict.index < log.unstableFrom) log.unstableFrom = conflict.index
  if (conflict.index <= log.durableTo) log.durableTo = LogIndex(conflict.index - 1)
  append(log, entries.slice(firstNew))
}

/**
 * Where a probe that did not match should go next: the last index at or below `index` whose term is at most `term`
 * (Raft §5.3: one round a conflicting term, not one an entry).
 */
export function findConflict(log: Log, index: LogIndex, term: Term): { index: LogIndex; term: Term } {
  let at = Math.min(index, lastIndex(log))
  while (at > log.base.index) {
    const own = termAt(log, LogIndex(at))
    if (own === undefined || own <= term) break
    at -= 1
  }
  return { index: LogIndex(at), term: termAt(log, LogIndex(at)) ?? Term(0) }
}

export function commitTo(log: Log, index: LogIndex): boolean {
  if (index <= log.committed) return false
  assert(
    index <= lastIndex(log),
    () => `commit index ${index} is beyond the last entry ${lastIndex(log)}: was the log lost?`,
  )
  log.committed = index
  return true
}

/** Forgets entries up to `index`, which must be applied. */
export function compact(log: Log, index: LogIndex): void {
  if (index <= log.base.index) return
  assert(index <= log.applied, () => `compaction to ${index} is ahead of the applied index ${log.applied}`)
  const term = termAt(log, index)
  assert(term !== undefined, () => `entry ${index} is not in the log`)
  log.sizeBytes -= sizeOf(log.entries.splice(0, index - log.base.index))
  log.base = { index, term }
}

/** The first index behind which entries of no more than `sizeBytes` lie. */
export function tailOf(log: Log, sizeBytes: number): LogIndex {
  let index = log.base.index
  let left = log.sizeBytes
  for (const entry of log.entries) {
    if (left <= sizeBytes) break
    left -= entrySizeBytes(entry)
    index = entry.index
  }
  return index
}

/** Goes on behind a snapshot of an entry that is here: what comes after it stays. It may be applied already. */
export function continueBehind(log: Log, index: LogIndex): void {
  assert(index >= log.applied, () => `a snapshot of ${index}, and ${log.applied} is applied`)
  commitTo(log, index)
  log.applied = index
  compact(log, index)
  log.durableTo = LogIndex(Math.max(log.durableTo, index))
  log.unstableFrom = LogIndex(Math.max(log.unstableFrom, index + 1))
}

/** Starts again behind a snapshot. */
export function resetTo(log: Log, index: LogIndex, term: Term): void {
  log.base = { index, term }
  log.entries = []
  log.sizeBytes = 0
  log.committed = index
  log.applied = index
  log.durableTo = index
  log.unstableFrom = LogIndex(index + 1)
}

function sizeOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entrySizeBytes(entry), 0)
}
