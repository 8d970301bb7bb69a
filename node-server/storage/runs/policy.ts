/**
 * Which runs become one next: neighbours of like size, so that a row is rewritten a few times only; or all, to give space
 * back. A table of rules, the first that applies counts.
 */
import type { RunSizes } from '../../limits.ts'
import { removalsOf, rowsOf, type Run, type RunFile } from './manifest.ts'

/** Runs `from` up to and without `to`, of those that were asked about. */
export interface Choice {
  readonly from: number
  readonly to: number
}

export type PolicySizes = Pick<RunSizes, 'maxRuns' | 'minRemovals' | 'smallFileSizeBytes'>

/** So many runs of like size are merged: the oldest of them is at most half as large again as the others together. */
const FAN_OUT = 4
const LIKENESS = 1.5
/** With fewer places left before commits must wait, the cheapest neighbours are merged, whatever their sizes. */
const SPARE_RUNS = 4
/** Rows that are removals, or removed by one, beyond this share of all. */
const REMOVED_SHARE = 0.35
/** The same while removals follow: half of what is there is removed, so the store is twice as large as it need be. */
const LARGEST_REMOVED_SHARE = 2 / 3
/** What a merge costs beside its bytes: files are made, synced and named. */
const BASE_COST_BYTES = 16 * 1024

export interface Scope {
  /** No others are being merged, so all can be merged to give space back. */
  readonly isAll: boolean
  /** What a merge of all writes now would be removed soon, for a good part, and rewritten. */
  readonly removalsFollow: boolean
}

/**
 * `runs`: from the newest on, those that are not being merged. `roomBytes`: more must not be written. Undefined: nothing to
 * do, or no room for it.
 */
export function chooseMerge(
  runs: readonly Run[],
  { isAll, removalsFollow }: Scope,
  sizes: PolicySizes,
  roomBytes = Infinity,
): Choice | undefined {
  if (runs.length < 2) return undefined
  const fits = ({ from, to }: Choice): boolean => writtenBytes(runs.slice(from, to), sizes) <= roomBytes
  const all = isAll ? tooManyRemovals(runs, sizes, removalsFollow ? LARGEST_REMOVED_SHARE : REMOVED_SHARE) : undefined
  if (all !== undefined && fits(all)) return all
  const alike = likeSizes(runs, fits)
  if (alike !== undefined || runs.length + SPARE_RUNS <= sizes.maxRuns) return alike
  const cheapest = cheapestNeighbours(runs)
  return fits(cheapest) ? cheapest : undefined
}

/** By a merge of them, at most, beside what it takes over as it is: values, as long as none were removed. */
function writtenBytes(runs: readonly Run[], { smallFileSizeBytes }: PolicySizes): number {
  const files = runs.flat()
  const isValue = ({ first }: RunFile): boolean => first[0] === 0
  const areValuesKept = !files.some((file) => isValue(file) && file.removals > 0)
  const isKept = (file: RunFile): boolean => areValuesKept && isValue(file) && file.sizeBytes >= smallFileSizeBytes
  return files.reduce((sum, file) => sum + (isKept(file) ? 0 : file.sizeBytes), 0)
}

function tooManyRemovals(runs: readonly Run[], { minRemovals }: PolicySizes, share: number): Choice | undefined {
  const removals = runs.reduce((sum, run) => sum + removalsOf(run), 0)
  const rows = runs.reduce((sum, run) => sum + rowsOf(run), 0)
  return removals >= minRemovals && 2 * removals > share * rows ? { from: 0, to: runs.length } : undefined
}

function likeSizes(runs: readonly Run[], fits: (choice: Choice) => boolean): Choice | undefined {
  const costs = runs.map(mergeCost)
  for (let from = 0; from + FAN_OUT <= runs.length; from++) {
    let to = from
    let sum = 0
    for (let cost = costs[to]; cost !== undefined && (to === from || cost <= LIKENESS * sum); cost = costs[++to])
      sum += cost
    if (to - from >= FAN_OUT && fits({ from, to })) return { from, to }
  }
  return undefined
}

function cheapestNeighbours(runs: readonly Run[]): Choice {
  const costs = runs.map(mergeCost)
  let from = 0
  let least = Infinity
  for (let i = 0; i + 1 < costs.length; i++) {
    const cost = (costs[i] ?? 0) + (costs[i + 1] ?? 0)
    if (cost < least) [from, least] = [i, cost]
  }
  return { from, to: from + 2 }
}

/** Bytes that are rewritten when the run is merged: those of values stay where they are, for the most part. */
export function mergeCost(run: Run): number {
  return run.reduce((sum, { first, sizeBytes }) => sum + (first[0] === 0 ? 0 : sizeBytes), BASE_COST_BYTES)
}
