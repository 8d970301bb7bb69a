import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex } from '../../../lib/ids.ts'
import { cutOf, type KeptLog } from './log-cut.ts'

const OPTIONS = { snapshotCount: 10, catchUpEntries: 3 }
const LIMITS = { idleMs: 1000, sizeBytes: 500 }

function cut(base: number, durable: number, ...kept: readonly (Partial<KeptLog> & { after: LogIndex })[]): number {
  const all = kept.map((one) => ({ idleMs: 0, sizeBytes: 0, ...one }))
  return cutOf(LogIndex(base), LogIndex(durable), OPTIONS, all, LIMITS) ?? base
}

test('without a snapshot on its way the log is cut once it is long enough, but for what slow followers get', () => {
  for (let durable = 0; durable <= 30; durable++) assert.equal(cut(0, durable), durable < 13 ? 0 : durable - 3)
  assert.equal(cut(5, 17), 5)
  assert.equal(cut(5, 18), 15)
})

test('what a peer with a snapshot on its way will need stays, and of several peers the one that needs most counts', () => {
  const after = (index: number): { after: LogIndex } => ({ after: LogIndex(index) })
  for (let needed = 0; needed <= 40; needed++) {
    const expected = Math.min(needed, 27)
    assert.equal(cut(0, 30, after(needed)), expected < 10 ? 0 : expected, `after ${needed}`)
  }
  assert.equal(cut(0, 30, after(25), after(14), after(20)), 14)
  assert.equal(cut(5, 30, after(14), after(25)), 5, 'one that is not worth it yet')
})

test('it stays up to a bound: of time, of bytes, and as long as it is of use', () => {
  const after = LogIndex(4)
  assert.equal(cut(0, 30, { after, idleMs: 1000, sizeBytes: 500 }), 0)
  assert.equal(cut(0, 30, { after, idleMs: 1001 }), 27)
  assert.equal(cut(0, 30, { after, sizeBytes: 501 }), 27)
  assert.equal(cut(5, 30, { after }), 27, 'entry 5 is gone already')
  assert.equal(cut(4, 30, { after }), 4)
  assert.equal(cut(0, 30, { after, idleMs: 1001 }, { after: LogIndex(12) }), 12)
})

test('with no entries between two cuts, nothing is cut twice', () => {
  const none = { snapshotCount: 0, catchUpEntries: 0 }
  assert.equal(cutOf(LogIndex(7), LogIndex(7), none, [], LIMITS), undefined)
  assert.equal(cutOf(LogIndex(7), LogIndex(8), none, [], LIMITS), 8)
})
