import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RUN_SIZES } from '../../limits.ts'
import type { Run, RunFile } from './manifest.ts'
import { chooseMerge } from './policy.ts'

/** Of rows of the index, not of values. */
const INDEX_KEY = Buffer.of(1)
const VALUE_KEY = Buffer.of(0)

function file(first: Buffer, sizeBytes: number, rows: number, removals = 0): RunFile {
  return { id: 0, sizeBytes, rows, removals, footerChecksum: 0, first, last: first }
}

const run = (sizeKib: number, rows = 100, removals = 0): Run => [file(INDEX_KEY, sizeKib * 1024, rows, removals)]
const ALL = { isAll: true, removalsFollow: false }
const choose = (runs: readonly Run[], scope = ALL): unknown => chooseMerge(runs, scope, RUN_SIZES)

test('the first rule that applies counts', () => {
  assert.equal(choose([]), undefined)
  assert.equal(choose([run(1, 20_000, 20_000)]), undefined, 'one run is what a merge of all makes')
  assert.equal(choose([run(900), run(900), run(900)]), undefined, 'too few')
  assert.deepEqual(choose([run(900), run(900), run(900), run(900)]), { from: 0, to: 4 })
  assert.deepEqual(choose([run(900), run(900), run(900), run(4000)]), { from: 0, to: 4 }, 'the oldest may be larger')
  assert.equal(choose([run(900), run(900), run(900), run(9000)]), undefined)
  assert.deepEqual(choose([run(1), run(900), run(900), run(900), run(900), run(99_000)]), { from: 1, to: 5 })
  const removing = [run(100, 12_000, 12_000), run(9000, 50_000)]
  assert.deepEqual(choose(removing), { from: 0, to: 2 }, 'more than 35 % are removals or removed')
  assert.equal(choose(removing, { ...ALL, isAll: false }), undefined, 'not beside another merge')
  assert.equal(choose([run(100, 9000, 9000), run(9000, 10_000)]), undefined, 'too little to be worth it')
  const following = { ...ALL, removalsFollow: true }
  assert.equal(choose(removing, following), undefined, 'what it writes would be removed in part before long')
  assert.deepEqual(choose([run(100, 51_000, 51_000), run(9000, 100_000)], following), { from: 0, to: 2 })
})

test('when runs become many the cheapest neighbours are merged, whatever their sizes', () => {
  const runs = Array.from({ length: RUN_SIZES.maxRuns - 3 }, (_, i) => run(1000 * 3 ** i))
  assert.deepEqual(choose(runs), { from: 0, to: 2 })
  assert.equal(choose(runs.slice(1)), undefined)
})

test('what does not fit the room is not chosen; values that a merge takes over as they are need none', () => {
  const within = (roomKib: number, runs: readonly Run[]): unknown => chooseMerge(runs, ALL, RUN_SIZES, roomKib * 1024)
  const four = [run(900), run(900), run(900), run(900)]
  assert.deepEqual(within(3600, four), { from: 0, to: 4 })
  assert.equal(within(3599, four), undefined)
  assert.deepEqual(within(3700, [run(1), ...four, run(99_000)]), { from: 1, to: 5 })
  const removing = [run(100, 12_000, 12_000), run(9000, 50_000)]
  assert.deepEqual(within(9100, removing), { from: 0, to: 2 })
  assert.equal(within(9099, removing), undefined)
  const many = Array.from({ length: RUN_SIZES.maxRuns }, (_, i) => run(1000 * 3 ** i))
  assert.deepEqual(within(4000, many), { from: 0, to: 2 })
  assert.equal(within(3999, many), undefined)
  const values = file(VALUE_KEY, RUN_SIZES.smallFileSizeBytes, 100)
  const withValues = four.map((of): Run => [values, ...of])
  assert.deepEqual(within(3600, withValues), { from: 0, to: 4 })
  const withRemoved = withValues.map((of, i): Run => (i === 0 ? [{ ...values, removals: 1 }, ...of.slice(1)] : of))
  assert.equal(within(3600, withRemoved), undefined)
})

/** A store as the policy sees it: how many rows there are, of which table, and how many removals for them. */
interface SimulatedRun {
  readonly values: number
  readonly index: number
  readonly removals: number
}

const VALUE_BYTES = 330
const INDEX_BYTES = 60
const REMOVAL_BYTES = 20

interface Year {
  readonly rewritesOfIndex: number
  readonly rewritesOfValues: number
  readonly deadShare: number
  readonly mostRuns: number
}

/**
 * A year of commits, one a second while there is something to write, of which `commits` stand for all once it repeats itself:
 * `keys` live ones are overwritten evenly, and a compaction every `compactedEvery` commits removes what was overwritten.
 * Merges take no time here.
 */
function simulateYear(keys: number, commitRows: number, compactedEvery: number, commits: number): Year {
  const runs: SimulatedRun[] = [{ values: keys, index: keys, removals: 0 }]
  let written = 0
  let rewrittenIndex = 0
  let rewrittenValues = 0
  let deadShare = 0
  let mostRuns = 0
  let sinceCompaction = 0
  for (let commit = 1; commit <= commits; commit++) {
    // An overwrite: a value, a row of the key, one of its history; the compaction takes the older value and the history.
    let removals = 0
    sinceCompaction += commitRows
    if (commit % compactedEvery === 0) {
      removals = 2 * sinceCompaction
      sinceCompaction = 0
    }
    runs.unshift({ values: commitRows, index: 2 * commitRows, removals })
    written += commitRows
    for (;;) {
      const choice = chooseMerge(runs.map(asRun), ALL, RUN_SIZES)
      if (choice === undefined) break
      const merged = runs.slice(choice.from, choice.to)
      const isAll = choice.to === runs.length
      const sum = (of: (run: SimulatedRun) => number): number => merged.reduce((total, run) => total + of(run), 0)
      const removed = isAll ? sum(({ removals }) => removals) : 0
      rewrittenIndex += sum(({ index }) => index)
      // Values move when something between them is removed: then, of evenly overwritten keys, all do.
      if (removed > 0) rewrittenValues += sum(({ values }) => values) - removed / 2
      const live = keys + sinceCompaction
      const result: SimulatedRun = isAll
        ? { values: live, index: keys + sinceCompaction, removals: 0 }
        : {
            values: sum(({ values }) => values),
            index: sum(({ index }) => index),
            removals: sum(({ removals }) => removals),
          }
      runs.splice(choice.from, merged.length, result)
    }
    mostRuns = Math.max(mostRuns, runs.length)
    if (commit > commits / 2) {
      const bytes = runs.reduce(
        (total, run) => total + asRun(run).reduce((size, { sizeBytes }) => size + sizeBytes, 0),
        0,
      )
      const live = (keys + sinceCompaction) * (VALUE_BYTES + INDEX_BYTES) + sinceCompaction * INDEX_BYTES
      deadShare = Math.max(deadShare, 1 - live / bytes)
    }
  }
  return {
    rewritesOfIndex: rewrittenIndex / (2 * written),
    rewritesOfValues: rewrittenValues / written,
    deadShare,
    mostRuns,
  }
}

function asRun({ values, index, removals }: SimulatedRun): Run {
  const files = [file(VALUE_KEY, values * VALUE_BYTES, values)]
  if (index + removals > 0)
    files.push(file(INDEX_KEY, index * INDEX_BYTES + removals * REMOVAL_BYTES, index + removals, removals))
  return files
}

const YEARS: readonly (readonly [keys: number, commitRows: number, compactedEvery: number, rewrites: number])[] = [
  [10_000, 100, 300, 6],
  [200_000, 3000, 300, 6],
  [1_000_000, 3000, 30, 6],
  [1_000_000, 3000, 300, 6],
  [1_000_000, 3000, 3000, 6.1],
  [10_000_000, 3000, 300, 7.1],
]

test('over a year a row is rewritten a few times, and little of the disk is held by what is removed', () => {
  for (const [keys, commitRows, compactedEvery, rewrites] of YEARS) {
    const year = simulateYear(keys, commitRows, compactedEvery, 20_000)
    const of = JSON.stringify({ keys, commitRows, compactedEvery, ...year })
    assert.ok(year.rewritesOfIndex <= rewrites, of)
    assert.ok(year.rewritesOfValues <= 3, of)
    assert.ok(year.deadShare <= 0.3, of)
    assert.ok(year.mostRuns < RUN_SIZES.maxRuns, of)
  }
})
