/**
 * What to do with what is on the disk. Pure: a table over every combination, so that a test can enumerate it.
 *
 * The log is the truth: the store may lag behind it and is replayed forward, but it never knows of entries that the log
 * does not have, unless the log lost what it promised.
 */
import type { LogIndex } from '../../lib/ids.ts'

export interface Found {
  /** The log begins behind it. */
  readonly baseIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly commitIndex: LogIndex
  /** Undefined when the store is missing or cannot be read. */
  readonly appliedIndex: LogIndex | undefined
  /** Verified snapshots that are on the disk, by index. */
  readonly snapshots: readonly LogIndex[]
}

export type Recovery =
  | { readonly kind: 'run'; readonly commitIndex: LogIndex }
  /** A snapshot was accepted, and the crash came before the store was replaced by it. */
  | { readonly kind: 'install-snapshot'; readonly index: LogIndex }
  | { readonly kind: 'refuse'; readonly reason: string }

const START_ANEW = 'remove the member from the cluster and add it again with an empty directory'

export function recover(found: Found): Recovery {
  const { baseIndex, lastIndex, commitIndex, appliedIndex, snapshots } = found
  if (commitIndex > lastIndex) {
    return refuse(
      `the log says that ${commitIndex} entries are committed, but it ends at ${lastIndex}: promised entries are gone`,
    )
  }
  if (appliedIndex === undefined || appliedIndex < baseIndex) {
    const snapshot = snapshots.find((index) => index === baseIndex)
    if (snapshot !== undefined) return { kind: 'install-snapshot', index: snapshot }
    const state =
      appliedIndex === undefined ? 'the store is missing or unreadable' : `the store ends at entry ${appliedIndex}`
    return refuse(`${state}, and the log begins only behind entry ${baseIndex}`)
  }
  if (appliedIndex > lastIndex)
    return refuse(`the store has entry ${appliedIndex}, but the log ends at ${lastIndex}: promised entries are gone`)
  // The commit index is written late; what is applied was committed.
  return { kind: 'run', commitIndex: appliedIndex > commitIndex ? appliedIndex : commitIndex }
}

function refuse(problem: string): Recovery {
  return { kind: 'refuse', reason: `${problem}; ${START_ANEW}` }
}
