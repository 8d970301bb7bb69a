import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { lineOf, outdated, parseSegmentName, resumePoints, segmentName, walk, type SegmentName } from './chain.ts'

const FIRST = '20261130T000000Z'
const SECOND = '20261130T010000Z'
const at = (line: string): number => Date.parse(line === FIRST ? '2026-11-30T00:30:00Z' : '2026-11-30T01:30:00Z')

function segment(after: number, last: number, line = FIRST): SegmentName {
  const parts = { line, after, last, fromMs: Date.UTC(2026, 10, 30) }
  return { ...parts, name: segmentName('c1', parts) }
}
const full = (revision: number, line = FIRST): { revision: number; takenAtMs: number } => ({
  revision,
  takenAtMs: at(line),
})
const spans = (segments: Iterable<SegmentName>): readonly string[] =>
  [...segments].map(({ after, last }) => `${after}-${last}`)

test('a name says what is in a segment; other names are none', () => {
  const one = segment(4, 19)
  assert.equal(one.name, `changes/c1/${FIRST}/0000000000000004-0000000000000019-20261130T000000Z.seg`)
  assert.deepEqual(parseSegmentName(one.name), one)
  for (const name of ['changes/c1/tip.json', one.name.slice(1), `${one.name}.unfinished`, one.name.replace('c1', 'x')])
    assert.equal(parseSegmentName(name), undefined)
})

test('the way through segments that overlap, are there twice or begin in the middle', () => {
  const segments = [segment(8, 12), segment(2, 5), segment(2, 8), segment(2, 8), segment(12, 13), segment(20, 30)]
  assert.deepEqual(spans(walk(segments, 2)), ['2-8', '8-12', '12-13'])
  assert.deepEqual(spans(walk(segments, 4)), ['2-8', '8-12', '12-13'])
  assert.deepEqual(spans(walk(segments, 13)), [])
  assert.deepEqual(spans(walk(segments, 25)), ['20-30'])
  assert.deepEqual(spans(walk(segments, 1)), [])
})

test('it is gone on with where a hole begins, and else where all ends', () => {
  const ends = (...revisions: readonly number[]) => resumePoints(revisions.map((revision) => full(revision)), [segment(2, 8), segment(8, 12)]).map(({ revision }) => revision) // prettier-ignore
  assert.deepEqual(ends(), [])
  assert.deepEqual(ends(2), [12])
  assert.deepEqual(ends(2, 10), [12])
  assert.deepEqual(ends(2, 15), [12, 15])
  assert.deepEqual(ends(1, 2, 15, 20), [1, 12, 15, 20])
})

test('segments stay as long as a backup of their line that they follow', () => {
  const segments = [segment(2, 8), segment(8, 12), segment(12, 20), segment(9, 14, SECOND)]
  const gone = (...fulls: Parameters<typeof outdated>[2][number][]): readonly string[] =>
    spans(outdated([FIRST, SECOND], segments, fulls))
  assert.deepEqual(gone(full(2), full(10, SECOND)), [])
  assert.deepEqual(gone(full(12), full(10, SECOND)), ['2-8', '8-12'])
  assert.deepEqual(gone(full(10), full(15), full(10, SECOND)), ['2-8'])
  assert.deepEqual(
    gone(full(10, SECOND)),
    ['2-8', '8-12', '12-20'],
    'nothing of a line that has no backup can be restored',
  )
  assert.deepEqual(gone(full(2)), [], 'the last line may not have its backup yet')
})

const drawnSpan = fc.record({
  line: fc.constantFrom(FIRST, SECOND),
  after: fc.integer({ min: 0, max: 40 }),
  length: fc.integer({ min: 1, max: 12 }),
})
const drawnFull = fc.record({
  line: fc.constantFrom(FIRST, SECOND),
  revision: fc.integer({ min: 0, max: 40 }),
  isKept: fc.boolean(),
})

test('whatever backups go, each that stays can be restored to as far as before, and nothing is left that none of them needs', () => {
  fc.assert(
    fc.property(fc.array(drawnSpan, { maxLength: 20 }), fc.array(drawnFull, { maxLength: 6 }), (spans, fulls) => {
      const lines = [FIRST, SECOND]
      const segments = spans.map(({ line, after, length }) => segment(after, after + length, line))
      const kept = fulls.filter(({ isKept }) => isKept).map(({ revision, line }) => full(revision, line))
      const gone = new Set(outdated(lines, segments, kept))
      const left = segments.filter((one) => !gone.has(one))
      const of = (some: readonly SegmentName[], line: string): readonly SegmentName[] =>
        some.filter((one) => one.line === line)
      const endOf = (some: readonly SegmentName[], from: number): number => [...walk(some, from)].at(-1)?.last ?? from
      for (const one of kept) {
        const line = lineOf(lines, one) ?? ''
        assert.equal(endOf(of(left, line), one.revision), endOf(of(segments, line), one.revision))
      }
      for (const line of lines) {
        const oldest = Math.min(...kept.filter((one) => lineOf(lines, one) === line).map(({ revision }) => revision))
        if (oldest !== Infinity) assert.ok(of(left, line).every(({ last }) => last > oldest))
      }
    }),
    { numRuns: 2000, seed: 7 },
  )
})
