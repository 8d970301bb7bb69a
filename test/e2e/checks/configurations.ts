/** The members' own record of configurations, checked for "at most one membership change in flight". Pure. */
import type { ConfigHistoryRow } from '../../../lib/admin-api.ts'

/** `member` is who told it; rows are oldest first. */
export interface ToldHistory {
  readonly member: string
  readonly rows: readonly ConfigHistoryRow[]
}

/** One history out of what all members told at all times; the problems are where two of them disagree. */
export function mergeHistories(told: readonly ToldHistory[]): { rows: ConfigHistoryRow[]; problems: string[] } {
  const byIndex = new Map<number, { readonly member: string; readonly row: ConfigHistoryRow }>()
  const problems = new Set<string>()
  for (const { member, rows } of told) {
    for (const row of rows) {
      const known = byIndex.get(row.index)
      if (known === undefined) byIndex.set(row.index, { member, row })
      else if (describe(known.row) !== describe(row)) {
        problems.add(`at index ${row.index} ${known.member} has ${describe(known.row)}, ${member} has ${describe(row)}`)
      }
    }
  }
  const rows = [...byIndex.values()].map(({ row }) => row).toSorted((a, b) => a.index - b.index)
  return { rows, problems: [...problems] }
}

/** Each configuration differs from the one before by one member: added, promoted or removed, by an operation of its own. */
export function checkConfigurations(rows: readonly ConfigHistoryRow[]): string[] {
  const problems: string[] = []
  const operations = new Set<string>()
  for (const [position, row] of rows.entries()) {
    const previous = rows[position - 1]
    if (row.votersOutgoing.length > 0)
      problems.push(`index ${row.index}: a joint configuration, though members are changed one by one`)
    if (row.voters.length === 0) problems.push(`index ${row.index}: no voters`)
    if (row.operationId !== '' && operations.has(row.operationId)) {
      problems.push(`index ${row.index}: operation ${row.operationId} took effect twice`)
    }
    operations.add(row.operationId)
    if (previous === undefined) continue
    const changed = changedMembers(previous, row)
    if (changed.length !== 1) {
      problems.push(
        `from ${describe(previous)} to ${describe(row)} ${changed.length} members changed: ${changed.join(', ')}`,
      )
    }
    for (const id of row.voters) {
      const isNew = !previous.voters.includes(id)
      if (isNew && !previous.learners.includes(id))
        problems.push(`index ${row.index}: ${id} became a voter without having been a learner`)
    }
  }
  return problems
}

/** IDs of members that a configuration has no longer, by the index of the configuration that dropped them. */
export function removals(rows: readonly ConfigHistoryRow[]): { readonly id: string; readonly index: number }[] {
  return rows.flatMap((row, position) => {
    const previous = rows[position - 1]
    if (previous === undefined) return []
    const now = new Set([...row.voters, ...row.learners])
    return [...previous.voters, ...previous.learners]
      .filter((id) => !now.has(id))
      .map((id) => ({ id, index: row.index }))
  })
}

function changedMembers(before: ConfigHistoryRow, after: ConfigHistoryRow): string[] {
  const ids = new Set([...before.voters, ...before.learners, ...after.voters, ...after.learners])
  return [...ids].filter((id) => standing(before, id) !== standing(after, id))
}

function standing(row: ConfigHistoryRow, id: string): string {
  return row.voters.includes(id) ? 'voter' : row.learners.includes(id) ? 'learner' : 'absent'
}

function describe(row: ConfigHistoryRow): string {
  const list = (ids: readonly string[]): string => `[${ids.toSorted().join(' ')}]`
  return `${row.index}: voters ${list(row.voters)} learners ${list(row.learners)} by ${row.operationId || 'nobody'}`
}
