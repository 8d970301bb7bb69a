/** All that can be said of a history: an order of the operations, and watches that told just that. */
import { checkLinearizable, type CheckOptions } from './linearizability.ts'
import type { History } from './json-lines.ts'
import type { Operation } from './operation.ts'
import type { Sighting } from './prepare.ts'
import { watchProblem } from './watches.ts'

/** Undefined when all is well. */
export function historyProblem(
  { operations, watches }: History,
  options: Partial<CheckOptions> = {},
): string | undefined {
  const evidence: Sighting[] = watches.flatMap(({ responses }) =>
    responses.flatMap((response) =>
      response.events.map(({ kind, kv: { key, value, modRevision } }) => ({
        revision: modRevision,
        key,
        value: kind === 'put' ? value : undefined,
      })),
    ),
  )
  const verdict = checkLinearizable(operations, { evidence, ...options })
  if (verdict.kind === 'violation') return verdict.explanation
  if (verdict.kind === 'gave-up') return 'the search for an order of the operations was given up'
  for (const watch of watches) {
    const problem = watchProblem(watch, verdict.states, mayBeCompacted(operations))
    if (problem !== undefined) return `a watch is wrong: ${problem}`
  }
  return undefined
}

function mayBeCompacted(operations: readonly Operation[]): number {
  const revisions = operations.map(({ request, outcome }) =>
    request.kind === 'compact' && outcome.kind === 'unknown' ? request.revision : 0,
  )
  return Math.max(0, ...revisions)
}
