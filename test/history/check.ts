/** All that can be said of a history: an order of the operations, and watches that told just that. */
import { checkLinearizable, type CheckOptions } from './linearizability.ts'
import type { History } from './json-lines.ts'
import type { Operation } from './operation.ts'
import type { Sighting } from './prepare.ts'
import { watchProblem, type WatchEvent } from './watches.ts'

/** Undefined when all is well. */
export function historyProblem(
  { operations, watches }: History,
  options: Partial<CheckOptions> = {},
): string | undefined {
  const evidence = watches.flatMap(({ responses }) => responses.flatMap(({ events }) => events.flatMap(sightings)))
  const verdict = checkLinearizable(operations, { evidence, ...options })
  if (verdict.kind === 'violation') return verdict.explanation
  if (verdict.kind === 'gave-up') return 'the search for an order of the operations was given up'
  for (const watch of watches) {
    const problem = watchProblem(watch, verdict.states, mayBeCompacted(operations))
    if (problem !== undefined) return `a watch is wrong: ${problem}`
  }
  return undefined
}

/** What was there before counts as well: whoever is told of deletions only hears in no other way what they removed. */
function sightings({ kind, kv, prevKv }: WatchEvent): Sighting[] {
  const { key, value, modRevision } = kv
  const told = { revision: modRevision, key, value: kind === 'put' ? value : undefined }
  return prevKv === undefined ? [told] : [told, { revision: prevKv.modRevision, key, value: prevKv.value }]
}

function mayBeCompacted(operations: readonly Operation[]): number {
  const revisions = operations.map(({ request, outcome }) =>
    request.kind === 'compact' && outcome.kind === 'unknown' ? request.revision : 0,
  )
  return Math.max(0, ...revisions)
}
