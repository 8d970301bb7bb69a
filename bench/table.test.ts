import assert from 'node:assert/strict'
import { test } from 'node:test'
import { look, type Load } from './stage.ts'
import { printed, rowsOf } from './table.ts'

const LOAD: Load = {
  kind: 'load',
  name: 'put',
  what: 'puts',
  program: 'benchmark',
  args: [],
  total: 1,
  rate: { atLeast: 2 },
  p99: { atMost: 0.6 },
}
const LOOK = look({
  name: 'memory',
  measures: { peak: { what: 'peak', unit: 'MB', goal: { atMost: 1.2 } }, other: { what: 'other', unit: 'MB' } },
  run: () => Promise.resolve({ peak: 0, other: 0 }),
})
const figures = (perSecond: number, p99Ms: number) => ({
  perSecond,
  p50Ms: 0.5,
  p99Ms,
  leaderMicros: 40,
  followerMicros: 10,
  clientMicros: 50,
})

test('ratios are of the medians, and goals are judged by them', () => {
  const ours = new Map([['put', [figures(100, 5), figures(20_000, 9), figures(21_000, 8)]]])
  const etcd = new Map([['put', [figures(10_000, 10), figures(9000, 10), figures(11_000, 10)]]])
  const rows = rowsOf([LOAD], ours, etcd)
  assert.deepEqual(
    rows.map(({ figure, ratio, isReached }) => [figure, ratio, isReached]),
    [
      ['perSecond', 2, true],
      ['p50Ms', 1, undefined],
      ['p99Ms', 0.8, false],
      ['leaderMicros', 1, undefined],
      ['followerMicros', 1, undefined],
      ['clientMicros', 1, undefined],
    ],
  )
})

test('what one server lacks has no ratio and is not judged', () => {
  const rows = rowsOf([LOOK], new Map([['memory', [{ peak: 3 }]]]), new Map())
  assert.deepEqual(
    rows.map(({ ours, etcd, ratio, isReached }) => ({ ours, etcd, ratio, isReached })),
    [
      { ours: [3], etcd: [], ratio: undefined, isReached: undefined },
      { ours: [], etcd: [], ratio: undefined, isReached: undefined },
    ],
  )
})

test('what a load keeps of the rate of another is judged by ours alone', () => {
  const keeps = { of: 'put', what: 'kept', atLeast: 0.75 }
  const tls: Load = { ...LOAD, name: 'tls-put', keeps }
  const etcd = new Map([
    ['put', [figures(10_000, 10)]],
    ['tls-put', [figures(9000, 10)]],
  ])
  const kept = (rate: number) => {
    const ours = new Map([
      ['put', [figures(20_000, 5)]],
      ['tls-put', [figures(rate, 5)]],
    ])
    return rowsOf([tls], ours, etcd).flatMap(({ figure, ours, etcd, isReached }) =>
      figure === 'kept' ? { ours, etcd, isReached } : [],
    )
  }
  assert.deepEqual(kept(15_000), [{ ours: [0.75], etcd: [0.9], isReached: true }])
  assert.deepEqual(kept(14_000), [{ ours: [0.7], etcd: [0.9], isReached: false }])
  assert.deepEqual(rowsOf([tls], new Map([['tls-put', [figures(1, 5)]]]), new Map()).at(-1)?.isReached, undefined)
})

test('a table of loads, a line each, and one of figures, both aligned', () => {
  const ours = new Map<string, readonly Readonly<Record<string, number>>[]>([
    ['put', [figures(20_500, 8)]],
    ['memory', [{ peak: 364, other: 78.25 }]],
  ])
  const etcd = new Map<string, readonly Readonly<Record<string, number>>[]>([
    ['put', [figures(10_000, 10)]],
    ['memory', [{ peak: 118 }]],
  ])
  assert.equal(
    printed(rowsOf([LOAD, LOOK], ours, etcd)),
    [
      '| load (ours / etcd) | a second        | ratio | asked                    | p50, ms     | p99, ms     | leader, µs CPU each | a follower  | client      |',
      '|--------------------|-----------------|-------|--------------------------|-------------|-------------|---------------------|-------------|-------------|',
      '| puts               | 20,500 / 10,000 | 2.05  | ≥ 2 ✓, p99 ≤ 0.6: 0.80 ✗ | 0.50 / 0.50 | 8.00 / 10.0 | 40.0 / 40.0         | 10.0 / 10.0 | 50.0 / 50.0 |',
      '',
      '| figure | ours    | etcd   | ratio | asked   |',
      '|--------|---------|--------|-------|---------|',
      '| peak   | 364 MB  | 118 MB | 3.08  | ≤ 1.2 ✗ |',
      '| other  | 78.3 MB | –      |       |         |',
    ].join('\n'),
  )
})
