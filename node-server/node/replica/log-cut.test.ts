import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, Term } from '../../../lib/ids.ts'
import { createLog, lastIndex, type Log } from '../../raft/log.ts'
import { entrySizeBytes } from '../../raft/message.ts'
import { entry } from '../../raft/testing/group.ts'
import { cutOf, usualCut, type Cutting, type KeptLog } from './log-cut.ts'

const OPTIONS = { snapshotCount: 10, catchUpEntries: 3 }
const LIMITS = { usualSizeBytes: 1000, sizeBytes: 5000, idleMs: 1000 }
const HEAD_SIZE_BYTES = entrySizeBytes({ data: Buffer.alloc(0) })

/** Behind `base`, entries of that size each up to `last`, all of them applied. */
function logOf(base: number, last: number, eachSizeBytes = HEAD_SIZE_BYTES): Log {
  const data = Buffer.alloc(eachSizeBytes - HEAD_SIZE_BYTES)
  const entries = Array.from({ length: last - base }, (_, i) => ({ ...entry(base + 1 + i, 1), data }))
  return createLog({ index: LogIndex(base), term: Term(1) }, entries, LogIndex(last), LogIndex(last))
}

type Peer = ReturnType<Cutting['peers']>[number]
const peer = (match: number, state: Peer['state'] = 'replicate'): Peer => ({ match: LogIndex(match), state })

function cutting(log: Log, peers: readonly Peer[] = [], options = OPTIONS, durable = lastIndex(log)): Cutting {
  return { log, durable, options, peers: () => peers, limits: LIMITS }
}

function cutLog(log: Log, peers: readonly Peer[], kept: readonly KeptLog[] = [], options = OPTIONS): number {
  return cutOf(cutting(log, peers, options), () => kept) ?? log.base.index
}

function cut(base: number, durable: number, ...kept: readonly (Partial<KeptLog> & { after: LogIndex })[]): number {
  return cutLog(
    logOf(base, durable),
    [],
    kept.map((one) => ({ idleMs: 0, sizeBytes: 0, ...one })),
  )
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
  assert.equal(cut(0, 30, { after, idleMs: 1000, sizeBytes: 5000 }), 0)
  assert.equal(cut(0, 30, { after, idleMs: 1001 }), 27)
  assert.equal(cut(0, 30, { after, sizeBytes: 5001 }), 27)
  assert.equal(cut(5, 30, { after }), 27, 'entry 5 is gone already')
  assert.equal(cut(4, 30, { after }), 4)
  assert.equal(cut(0, 30, { after, idleMs: 1001 }, { after: LogIndex(12) }), 12)
})

test('with no entries between two cuts, nothing is cut twice', () => {
  const none = { snapshotCount: 0, catchUpEntries: 0 }
  assert.equal(cutLog(logOf(7, 7), [], [], none), 7)
  assert.equal(cutLog(logOf(7, 8), [], [], none), 8)
})

const FEW = { snapshotCount: 1000, catchUpEntries: 1000 }

test('of large entries as many stay as fit the usual size, and an eighth of them goes at once', () => {
  for (let last = 0; last <= 100; last++) {
    const expected = last * 100 * (7 / 8) > 1000 ? last - 10 : 0
    assert.equal(cutLog(logOf(0, last, 100), [], [], FEW), expected, `${last} entries`)
  }
  assert.equal(cutLog(logOf(0, 3, 4000), [], [], FEW), 3, 'one that does not fit by itself')
})

test('what the store has not on disk stays, however large', () => {
  const log = logOf(0, 40, 100)
  assert.equal(
    cutOf(cutting(log, [], FEW, LogIndex(8)), () => []),
    8,
  )
  assert.equal(
    cutOf(cutting(log, [], FEW, LogIndex(0)), () => []),
    undefined,
  )
})

test('for a peer that is behind large entries stay, up to the wider bound and as long as they are of use', () => {
  const log = logOf(0, 40, 100)
  assert.equal(cutLog(log, [peer(40), peer(20)], [], FEW), 20)
  assert.equal(cutLog(log, [peer(40), peer(20, 'probe')], [], FEW), 20)
  assert.equal(cutLog(log, [peer(40), peer(0)], [], FEW), 0)
  assert.equal(cutLog(log, [peer(4)], [], FEW), 0, 'an eighth of all is not there')
  assert.equal(cutLog(log, [peer(40), peer(20, 'snapshot')], [], FEW), 30, 'what a snapshot needs is kept for it')
  assert.equal(cutLog(logOf(5, 45, 100), [peer(45), peer(4)], [], FEW), 35, 'entry 5 is gone already')
  assert.equal(cutLog(logOf(0, 50, 100), [peer(20)], [], FEW), 20)
  assert.equal(cutLog(logOf(0, 51, 100), [peer(20)], [], FEW), 41, 'over the wider bound')
})

test('where the log would be cut moves no further than for peers that are behind', () => {
  const log = logOf(0, 40, 100)
  assert.equal(usualCut(cutting(log, [peer(20)], FEW)), 20)
  assert.equal(usualCut(cutting(log, [peer(20)], { ...FEW, catchUpEntries: 10 })), 30)
})
