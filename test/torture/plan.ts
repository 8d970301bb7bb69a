/** What is done to a store, from a seed alone: an endless sequence of steps. Pure. */
import { unreachable } from '../../lib/assert.ts'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import { SHAPES, TORTURED_TABLES, type Commit } from './content.ts'

export type Step = {
  readonly number: number
  /** The process is killed so long after the step has begun, if the step has not ended by then. */
  readonly killAfterMs: number | undefined
} & StepDetail

export type StepDetail =
  | { readonly kind: 'commits'; readonly commits: readonly Commit[] }
  /** A copy that is looked at and removed; commits go on while it is made. */
  | { readonly kind: 'copy'; readonly commits: readonly Commit[] }
  /** As a snapshot is installed: a copy becomes the store. */
  | { readonly kind: 'move' }
  /** Commits go on meanwhile. */
  | { readonly kind: 'defragment'; readonly commits: readonly Commit[] }
  | { readonly kind: 'reopen' }
  | { readonly kind: 'restart' }
  /** The store is pinned, and that is read only so many steps later: its files must not be gone. */
  | { readonly kind: 'hold'; readonly steps: number }

export type StepKind = StepDetail['kind']

const WEIGHTS: readonly (readonly [StepKind, number])[] = [
  ['commits', 40],
  ['copy', 15],
  ['move', 15],
  ['defragment', 10],
  ['reopen', 8],
  ['restart', 4],
  ['hold', 8],
]
const KILLED = 0.15
const MAX_KILL_DELAY_MS = 60
const MAX_COMMITS = 6
const MAX_HELD_STEPS = 12

export function* steps(seed: number): Generator<Step, never> {
  const random = seeded(seed)
  for (let number = 1; ; number++) {
    const killAfterMs = random.chance(KILLED) ? random.below(MAX_KILL_DELAY_MS) : undefined
    yield { number, killAfterMs, ...detail(anyKind(random), random) }
  }
}

function anyKind(random: Random): StepKind {
  let at = random.below(WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0))
  for (const [kind, weight] of WEIGHTS) {
    if (at < weight) return kind
    at -= weight
  }
  return 'commits'
}

function detail(kind: StepKind, random: Random): StepDetail {
  switch (kind) {
    case 'commits':
    case 'copy':
    case 'defragment':
      return { kind, commits: Array.from({ length: 1 + random.below(MAX_COMMITS) }, () => anyCommit(random)) }
    case 'hold':
      return { kind, steps: 1 + random.below(MAX_HELD_STEPS) }
    case 'move':
    case 'reopen':
    case 'restart':
      return { kind }
    default:
      return unreachable(kind)
  }
}

/** A few writes, a page of them, some thousands, or all there is: as often as each other. */
const WRITES = [3, 60, 1000, 5000, SHAPES.current.keys]

function anyCommit(random: Random): Commit {
  const isOfOne = random.chance(0.6)
  return {
    seed: random.below(2 ** 32),
    tables: isOfOne ? [random.pick(TORTURED_TABLES) ?? 'current'] : TORTURED_TABLES,
    writes: 1 + random.below(random.pick(WRITES) ?? 1),
    isOrdered: random.chance(0.5),
    removed: random.pick([0, 0, 0.1, 0.5, 1]) ?? 0,
    repeated: random.pick([0, 0, 0.3]) ?? 0,
  }
}
