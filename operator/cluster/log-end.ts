/** Whose log is further, where no leader is there to say it. Pure. */
import type { AdminStatus } from '../../lib/admin-api.ts'

export type LogEnd = Pick<AdminStatus, 'lastTerm' | 'lastIndex' | 'commitIndex'>

/**
 * Whether `other` may have entries that were acknowledged and `own` has not. Undefined where that cannot be told: a member
 * of an earlier version does not know the term of its last entry.
 *
 * What is committed stands in the log of every later leader, so the log with the later last term wins, then the longer one
 * (Raft §5.4.1): an old leader may have any number of entries that nobody else has. Up to its commit index a log needs no
 * comparison, since there all have the same.
 */
export function isAhead(other: LogEnd, own: LogEnd): boolean | undefined {
  if (other.commitIndex > own.lastIndex) return true
  if (other.lastIndex <= own.commitIndex) return false
  if (other.lastTerm === undefined || own.lastTerm === undefined) return undefined
  if (other.lastTerm !== own.lastTerm) return other.lastTerm > own.lastTerm
  return other.lastIndex > own.lastIndex
}

/** One that nobody is known to be ahead of. */
export function furthest<Item>(items: readonly Item[], endOf: (item: Item) => LogEnd): Item | undefined {
  const isBeaten = (item: Item): boolean => items.some((other) => isAhead(endOf(other), endOf(item)) === true)
  return items.find((item) => !isBeaten(item)) ?? items[0]
}

export function describeEnd({ lastTerm, lastIndex }: LogEnd): string {
  return `term ${lastTerm ?? 'unknown'}, index ${lastIndex}`
}
