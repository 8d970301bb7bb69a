/**
 * Histories as files, for other checkers and for later: one JSON object a line, an {@link Operation} or, with the field
 * `watch`, a {@link WatchHistory}. Instants are milliseconds of one clock; docs/proof.md tells of the fields.
 */
import { assert } from '../../lib/assert.ts'
import type { Operation } from './operation.ts'
import type { WatchHistory } from './watches.ts'

export interface History {
  readonly operations: readonly Operation[]
  readonly watches: readonly WatchHistory[]
}

export function toLines({ operations, watches }: History): string {
  const lines = [...operations, ...watches.map((watch) => ({ watch }))]
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('')
}

/** Throws on what is not a line of a history. */
export function fromLines(text: string): History {
  const operations: Operation[] = []
  const watches: WatchHistory[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue
    const parsed: unknown = JSON.parse(line)
    if (isWatchLine(parsed)) watches.push(parsed.watch)
    else {
      assert(isOperation(parsed), `line ${index + 1} is neither an operation nor a watch`)
      operations.push(parsed)
    }
  }
  return { operations, watches }
}

function isWatchLine(value: unknown): value is { watch: WatchHistory } {
  return typeof value === 'object' && value !== null && 'watch' in value
}

function isOperation(value: unknown): value is Operation {
  return typeof value === 'object' && value !== null && 'request' in value && 'outcome' in value && 'call' in value
}
