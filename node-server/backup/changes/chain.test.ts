import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outdated, parseSegmentName, resumePoints, segmentName, walk, type SegmentName } from './chain.ts'

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
