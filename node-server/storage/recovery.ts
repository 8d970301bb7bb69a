/**
 * What a start does with what is on the disk. Pure: a table of every combination, which a test enumerates.
 *
 * The log is the truth: the store may lag behind it and is replayed forward, but it never knows of entries that the log
 * does not have, or has of another term, unless the log lost what it promised.
 */
import { assert, unreachable } from '../../lib/assert.ts'
import { LogIndex, type Term } from '../../lib/ids.ts'
import type { LogPosition } from '../mvcc/store.ts'
import type { WalContents } from './wal-replay.ts'

export interface Found {
  readonly log: FoundLog
  readonly store: FoundStore
  /** Snapshots that were received and are intact, by index. */
  readonly snapshots: readonly LogIndex[]
}

export interface FoundLog {
  /** The log begins behind it. */
  readonly baseIndex: LogIndex
  readonly lastIndex: LogIndex
  /** Of the last entry; that of the base when there is none. */
  readonly lastTerm: Term
  readonly commitIndex: LogIndex
  /** Of the hard state. */
  readonly term: Term
}

export type FoundStore =
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly problem: string }
  /** It is known to be damaged, while the log is whole: what the member has promised is there. */
  | { readonly kind: 'damaged'; readonly problem: string }
  | {
      readonly kind: 'there'
      readonly appliedIndex: LogIndex
      /** False: the log has the last applied entry with another term. */
      readonly isOfLog: boolean
    }

export type Recovery =
  | { readonly kind: 'run'; readonly commitIndex: LogIndex }
  /** A snapshot was accepted, and the crash came before the store was replaced by it. */
  | { readonly kind: 'install-snapshot'; readonly index: LogIndex }
  /** It votes and acknowledges, and serves nobody until the leader has sent it another store. */
  | { readonly kind: 'run-without-store'; readonly commitIndex: LogIndex; readonly damage: string }
  | { readonly kind: 'refuse'; readonly reason: string }

/** The advice of a refusal: nothing on this disk can be trusted any more, and the cluster has all of it. */
export const REPLACE_MEMBER = 'remove the member from the cluster and add it again with an empty directory'

export function recover({ log, store, snapshots }: Found): Recovery {
  const { baseIndex, lastIndex, lastTerm, commitIndex, term } = log
  if (commitIndex > lastIndex)
    return refuse(
      `the log says that the entries up to ${commitIndex} are committed, but it ends at ${lastIndex}: promised entries are gone`,
    )
  // Only a base may be of a later term: its snapshot was accepted, and the crash came before the term was written.
  if (lastIndex > baseIndex && lastTerm > term)
    return refuse(
      `the log has entry ${lastIndex} of term ${lastTerm}, but knows of no term after ${term}: what it promised since is gone`,
    )
  if (store.kind !== 'there' || store.appliedIndex < baseIndex) {
    if (snapshots.includes(baseIndex)) return { kind: 'install-snapshot', index: baseIndex }
    if (store.kind === 'damaged') return { kind: 'run-without-store', commitIndex, damage: store.problem }
    return refuse(
      `${stateOf(store)}, and the log begins only behind entry ${baseIndex}: what is before it is not on this disk`,
    )
  }
  const { appliedIndex, isOfLog } = store
  if (appliedIndex > lastIndex)
    return refuse(`the store has entry ${appliedIndex}, but the log ends at ${lastIndex}: promised entries are gone`)
  if (!isOfLog)
    return refuse(
      `the store has another entry ${appliedIndex} than the log: they are of different times or members, and one of them has lost what it promised`,
    )
  // The commit index is written late; what is applied was committed.
  return { kind: 'run', commitIndex: appliedIndex > commitIndex ? appliedIndex : commitIndex }
}

function stateOf(store: FoundStore): string {
  switch (store.kind) {
    case 'missing':
      return 'the store is missing'
    case 'unreadable':
    case 'damaged':
      return `the store cannot be read (${store.problem})`
    case 'there':
      return `the store ends at entry ${store.appliedIndex}`
    default:
      return unreachable(store)
  }
}

function refuse(problem: string): Recovery {
  return { kind: 'refuse', reason: `${problem}; ${REPLACE_MEMBER}` }
}

export function foundLog({ state, entries }: WalContents): FoundLog {
  const { base, hardState } = state
  return {
    baseIndex: base.index,
    lastIndex: LogIndex(base.index + entries.length),
    lastTerm: entries.at(-1)?.term ?? base.term,
    commitIndex: LogIndex(Math.max(base.index, hardState.commit)),
    term: hardState.term,
  }
}

/** `applied`: the last entry whose effect the store has. */
export function foundStore(contents: WalContents, applied: LogPosition): FoundStore {
  const term = termInLog(contents, applied.index)
  return { kind: 'there', appliedIndex: applied.index, isOfLog: term === undefined || term === applied.term }
}

/** Undefined for what the log does not have. */
export function termInLog({ state, entries }: WalContents, index: number): Term | undefined {
  const { base } = state
  if (index === base.index) return base.term
  const entry = entries[index - base.index - 1]
  assert(entry === undefined || entry.index === index, () => `entry ${index} stands at the place of another`)
  return entry?.term
}
