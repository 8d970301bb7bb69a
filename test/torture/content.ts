/**
 * What the torture writes: everything follows from a commit's description, in the parent that keeps the model and in the
 * process that is tortured alike. Pure.
 *
 * The tables' shapes bound what a store holds: 25 MB when all keys are there, on average.
 */
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import type { Write } from '../../node-server/mvcc/backend.ts'

export const SHAPES = {
  /** Several in a page. */
  current: { keys: 20_000, maxValueBytes: 600 },
  /** Some in a page, some in pages of their own. */
  revisions: { keys: 2_000, maxValueBytes: 9_000 },
  history: { keys: 20, maxValueBytes: 1024 ** 2 },
} as const

export type TorturedTable = keyof typeof SHAPES
export const TORTURED_TABLES = ['current', 'revisions', 'history'] as const satisfies readonly TorturedTable[]

export interface Commit {
  /** Of its keys, sizes and values; no two commits of a run have the same. */
  readonly seed: number
  readonly tables: readonly TorturedTable[]
  /** At most so many keys of each table. */
  readonly writes: number
  /** Neighbours, or all over the table. */
  readonly isOrdered: boolean
  /** Share of the writes that remove their key, and share of the puts whose key is written once more at once. */
  readonly removed: number
  readonly repeated: number
}

export function writesOf(commit: Commit): readonly Write[] {
  const random = seeded(commit.seed)
  return commit.tables.flatMap((table) => {
    const { keys } = SHAPES[table]
    const first = random.below(keys)
    return Array.from({ length: Math.min(commit.writes, keys) }, (_, i) => {
      const index = commit.isOrdered ? (first + i) % keys : random.below(keys)
      const isRepeated = random.chance(commit.repeated)
      return [anyWrite(table, index, commit, random), ...(isRepeated ? [anyWrite(table, index, commit, random)] : [])]
    }).flat()
  })
}

function anyWrite(table: TorturedTable, index: number, { removed }: Commit, random: Random): Write {
  const value = random.chance(removed) ? undefined : anyValue(1 + random.below(SHAPES[table].maxValueBytes), random)
  return { table, key: keyOf(index), value }
}

/** No two places of it look alike, so that a page in another's place is seen. */
function anyValue(sizeBytes: number, random: Random): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4))
  let word = random.below(2 ** 32)
  for (let i = 0; i < words.length; i++) words[i] = word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0
  return new Uint8Array(words.buffer, 0, sizeBytes)
}

export function keyOf(index: number): Uint8Array {
  return Buffer.from(`key ${String(index).padStart(8, '0')}`)
}

export function indexOf(key: Uint8Array): number {
  return Number(Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString().slice(4))
}
