import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FollowStatus } from '../../../lib/follow-status.ts'
import type { FollowNews } from './follow-options.ts'
import { statusAfter } from './follow-state.ts'

const START_MS = Date.parse('2026-11-30T12:00:00Z')
const at = (second: number): string => new Date(START_MS + 1000 * second).toISOString()
const kept = (revision: number, second?: number): FollowNews => ({
  kind: 'kept',
  clusterId: 'c1',
  revision,
  atMs: second === undefined ? undefined : START_MS + 1000 * second,
  segment: undefined,
})

/** One a second. */
function after(...news: readonly FollowNews[]): FollowStatus {
  return news.reduce<FollowStatus>((status, one, second) => statusAfter(status, one, START_MS + 1000 * second), {
    place: 'p',
  })
}

test('what is kept goes on, and its time stays while it catches up', () => {
  assert.deepEqual(after(kept(5, 0)), { place: 'p', clusterId: 'c1', kept: { revision: 5, at: at(0) } })
  assert.deepEqual(after(kept(5, 0), kept(9)).kept, { revision: 9, at: at(0) })
  assert.deepEqual(after(kept(9)).kept, { revision: 9 })
  const other: FollowNews = { ...kept(2), kind: 'kept', clusterId: 'c2' } as FollowNews
  assert.deepEqual(after(kept(5, 0), other).kept, { revision: 2 }, "the time is another cluster's")
  const segment = { name: 's', storedBytes: 3 }
  assert.deepEqual(after({ ...kept(5, 0), segment } as FollowNews, kept(5, 1)).lastSegment, segment)
})

test('a failure is told until something is kept, and a gap is told for good, closed by what is kept after it', () => {
  const failed: FollowNews = { kind: 'failed', message: 'no such bucket' }
  assert.deepEqual(after(kept(5, 0), failed).failure, { at: at(1), message: 'no such bucket' })
  assert.equal(after(kept(5, 0), failed, kept(6, 2)).failure, undefined)
  const gap: FollowNews = { kind: 'gap', message: 'compacted' }
  assert.deepEqual(after(kept(5, 0), gap, failed).gap, { at: at(1), message: 'compacted', isClosed: false })
  assert.deepEqual(after(kept(5, 0), gap, kept(9, 2)).gap, { at: at(1), message: 'compacted', isClosed: true })
  assert.equal(after({ kind: 'first' }).gap, undefined, 'where nothing was kept yet nothing is missing')
})
