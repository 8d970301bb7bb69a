import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeFollowStatus, encodeFollowStatus, type FollowStatus } from './follow-status.ts'

const AT = '2026-11-30T12:00:00.000Z'
const WHOLE: FollowStatus = {
  place: 's3://backups/kv/',
  clusterId: 'c1',
  kept: { revision: 41, at: AT },
  lastSegment: { name: 'changes/c1/x.seg', storedBytes: 17 },
  gap: { at: AT, message: 'compacted', isClosed: true },
  failure: { at: AT, message: 'no such bucket' },
}

test('a status is read as it was written, with all or with nothing to tell', () => {
  for (const status of [WHOLE, { place: 'file:///backups' }, { place: 'p', kept: { revision: 0 } }])
    assert.deepEqual(decodeFollowStatus(encodeFollowStatus(status)), status)
})

test('what does not fit is no status, and long words are cut', () => {
  const wrong = [
    '',
    'null',
    '{}',
    encodeFollowStatus(WHOLE).slice(0, -1),
    JSON.stringify({ ...WHOLE, kept: { revision: -1 } }),
    JSON.stringify({ ...WHOLE, kept: { revision: 1, at: 'today' } }),
    JSON.stringify({ ...WHOLE, clusterId: '../x' }),
    JSON.stringify({ ...WHOLE, gap: { at: AT, message: 'x' } }),
  ]
  for (const answer of wrong) assert.equal(decodeFollowStatus(answer), undefined, answer)
  const long = { ...WHOLE, failure: { at: AT, message: 'x'.repeat(5000) } }
  assert.equal(decodeFollowStatus(encodeFollowStatus(long))?.failure?.message.length, 1000)
})
