import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { LogIndex } from '../../lib/ids.ts'
import {
  becomeProbe,
  becomeReplicate,
  becomeSnapshot,
  createProgress,
  heard,
  matched,
  mayAppend,
  rejected,
  sent,
  snapshotDelivered,
  type Progress,
} from './progress.ts'

const LIMITS = { maxInflightMessages: 3, maxInflightSizeBytes: 100 }

function replicating(match: number): Progress {
  const progress = createProgress(LogIndex(match + 1), 0)
  matched(progress, LogIndex(match))
  becomeReplicate(progress)
  return progress
}

test('probe: one message, then silence until an answer or a heartbeat answer', () => {
  const progress = createProgress(LogIndex(5), 0)
  assert.equal(mayAppend(progress, LIMITS), true)
  sent(progress, LogIndex(9), 10)
  assert.equal(progress.next, 5, 'a probe does not run ahead')
  assert.equal(mayAppend(progress, LIMITS), false)
  heard(progress)
  assert.equal(mayAppend(progress, LIMITS), true)
  sent(progress, undefined, 0)
  assert.equal(rejected(progress, LogIndex(4), LogIndex(2)), true)
  assert.equal(progress.next, 3)
  assert.equal(mayAppend(progress, LIMITS), true)
})

test('replicate: the pipeline is bounded by messages', () => {
  const progress = replicating(0)
  for (let i = 1; i <= 3; i++) {
    assert.equal(mayAppend(progress, LIMITS), true)
    sent(progress, LogIndex(i), 1)
  }
  assert.equal(mayAppend(progress, LIMITS), false)
  matched(progress, LogIndex(2))
  assert.equal(progress.inflight.length, 1)
  assert.equal(mayAppend(progress, LIMITS), true)
})

test('replicate: the pipeline is bounded by bytes, which one message may overshoot', () => {
  const progress = replicating(0)
  sent(progress, LogIndex(1), 150)
  assert.equal(mayAppend(progress, LIMITS), false)
  matched(progress, LogIndex(1))
  assert.equal(progress.inflightSizeBytes, 0)
  assert.equal(mayAppend(progress, LIMITS), true)
})

test('old rejections are ignored: in replicate those at or below match, in probe all but the last probe', () => {
  const replicate = replicating(5)
  assert.equal(rejected(replicate, LogIndex(5), LogIndex(1)), false)
  assert.equal(rejected(replicate, LogIndex(6), LogIndex(1)), true)
  assert.equal(replicate.next, 6)
  const probe = createProgress(LogIndex(9), 0)
  assert.equal(rejected(probe, LogIndex(7), LogIndex(1)), false)
  assert.equal(probe.next, 9)
})

test('snapshot: nothing is sent; delivered, it goes on behind the snapshot; failed, where it was', () => {
  const delivered = createProgress(LogIndex(4), 0)
  becomeSnapshot(delivered)
  assert.equal(mayAppend(delivered, LIMITS), false)
  snapshotDelivered(delivered, LogIndex(10))
  assert.equal(delivered.next, 11)
  const failed = createProgress(LogIndex(4), 0)
  becomeSnapshot(failed)
  becomeProbe(failed)
  assert.equal(failed.next, 1)
  assert.equal(failed.state, 'probe')
})

test('whatever is answered in whatever order: match < next, match only grows, the bytes in flight add up', () => {
  const index = fc.integer({ min: 0, max: 30 })
  const event = fc.oneof(
    fc.record({ kind: fc.constant('matched' as const), index }),
    fc.record({ kind: fc.constant('rejected' as const), index, hint: index }),
    fc.record({ kind: fc.constant('send' as const), count: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ kind: fc.constantFrom('heard', 'probe', 'replicate', 'snapshot', 'delivered') }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const progress = createProgress(LogIndex(10), 0)
      let match = 0
      for (const event of events) {
        if (event.kind === 'matched') matched(progress, LogIndex(event.index))
        else if (event.kind === 'rejected') rejected(progress, LogIndex(event.index), LogIndex(event.hint))
        else if (event.kind === 'send') {
          if (!mayAppend(progress, LIMITS)) continue
          sent(progress, event.count === 0 ? undefined : LogIndex(progress.next + event.count - 1), 40 * event.count)
        } else if (event.kind === 'heard') heard(progress)
        else if (event.kind === 'probe') becomeProbe(progress)
        else if (event.kind === 'replicate') becomeReplicate(progress)
        else if (event.kind === 'snapshot') becomeSnapshot(progress)
        else snapshotDelivered(progress, LogIndex(20))
        assert.ok(progress.match < progress.next)
        assert.ok(progress.match >= match)
        match = progress.match
        assert.ok(progress.inflight.length <= LIMITS.maxInflightMessages)
        assert.equal(
          progress.inflightSizeBytes,
          progress.inflight.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        )
      }
    }),
    { numRuns: 2000 },
  )
})
