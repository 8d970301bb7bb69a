import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { LogIndex, Term } from '../../lib/ids.ts'
import {
  append,
  appendAfterMatch,
  commitTo,
  compact,
  createLog,
  findConflict,
  hasConfigEntry,
  isUpToDate,
  lastIndex,
  lastTerm,
  resetTo,
  slice,
  tailOf,
  termAt,
  type Log,
} from './log.ts'
import { entrySizeBytes, type Entry } from './message.ts'
import { entry } from './testing/group.ts'

const NOTHING = { index: LogIndex(0), term: Term(0) }
const logOf = (...terms: number[]): Log =>
  createLog(
    NOTHING,
    terms.map((term, i) => entry(i + 1, term)),
    LogIndex(0),
    LogIndex(0),
  )
const termsOf = (log: Log): (number | undefined)[] =>
  Array.from({ length: lastIndex(log) }, (_, i) => termAt(log, LogIndex(i + 1)))

test('Raft §5.3: what conflicts goes with all that follows it, what matches stays', () => {
  const cases: [number[], number, number[], number[], number][] = [
    // log, prevIndex, terms sent, terms after, first to be made durable
    [[1, 1, 1], 3, [1, 2], [1, 1, 1, 1, 2], 4],
    [[1, 1, 1], 1, [1], [1, 1, 1], 4],
    [[1, 1, 1], 1, [], [1, 1, 1], 4],
    [[1, 2, 2], 1, [3], [1, 3], 2],
    [[1, 2, 2], 1, [2, 3], [1, 2, 3], 3],
    [[1, 1], 0, [1, 1, 2], [1, 1, 2], 3],
  ]
  for (const [terms, prevIndex, sent, after, unstableFrom] of cases) {
    const log = logOf(...terms)
    appendAfterMatch(
      log,
      sent.map((term, i) => entry(prevIndex + 1 + i, term)),
    )
    assert.deepEqual(termsOf(log), after)
    assert.equal(log.unstableFrom, unstableFrom)
  }
})

test('Raft §5.4.3: a committed entry is never overwritten; a bug that tries is stopped', () => {
  const log = logOf(1, 1, 1)
  commitTo(log, LogIndex(2))
  assert.throws(() => appendAfterMatch(log, [entry(2, 2)]), /2 is committed/)
})

test('the commit index never goes back, and never beyond the log', () => {
  const log = logOf(1, 1)
  assert.equal(commitTo(log, LogIndex(2)), true)
  assert.equal(commitTo(log, LogIndex(1)), false)
  assert.equal(log.committed, 2)
  assert.throws(() => commitTo(log, LogIndex(3)), /was the log lost/)
})

test('Raft §5.4.1: the later last term wins, then the longer log (all small logs)', () => {
  for (const terms of [[], [1], [1, 1], [1, 2], [2, 2, 2]]) {
    const log = logOf(...terms)
    for (let index = 0; index <= 4; index++) {
      for (let term = 0; term <= 3; term++) {
        const own = terms.at(-1) ?? 0
        const expected = term !== own ? term > own : index >= terms.length
        assert.equal(isUpToDate(log, LogIndex(index), Term(term)), expected)
      }
    }
  }
})

const ascendingTerms = fc
  .array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 })
  .map((terms) => terms.toSorted((a, b) => a - b))

test('Raft §5.3: a conflict hint skips no entry that could match, and ends in as many rounds as there are terms', () => {
  fc.assert(
    fc.property(ascendingTerms, ascendingTerms, (leaderTerms, followerTerms) => {
      const leader = logOf(...leaderTerms)
      const follower = logOf(...followerTerms)
      // Logs that began alike are alike up to the last common (index, term); beyond, an equal pair would be a lie.
      const same = leaderTerms.findIndex((term, i) => followerTerms[i] !== term)
      const common = same === -1 ? Math.min(leaderTerms.length, followerTerms.length) : same
      const lies = leaderTerms.some((term, i) => i >= common && followerTerms[i] === term)
      fc.pre(!lies)
      let probe = lastIndex(leader)
      let rounds = 0
      while (termAt(follower, probe) !== termAt(leader, probe)) {
        const hint = findConflict(follower, probe, termAt(leader, probe) ?? Term(0))
        const next = findConflict(leader, hint.index, hint.term).index
        assert.ok(next < probe, 'each round goes back')
        assert.ok(next >= common, `the probe went to ${next}, but the logs match up to ${common}`)
        probe = next
        rounds += 1
      }
      assert.ok(rounds <= new Set([...leaderTerms, ...followerTerms]).size + 1, `${rounds} rounds`)
    }),
    { numRuns: 2000 },
  )
})

/** The naive twin: every entry there ever was, and a number. */
interface Twin {
  terms: number[]
  base: number
}

test('a log that is appended to, overwritten, compacted and reset reads like a plain array', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 1500 }) }),
    fc.record({ kind: fc.constant('overwrite' as const), back: fc.integer({ min: 0, max: 5 }) }),
    fc.record({ kind: fc.constant('compact' as const), keep: fc.integer({ min: 0, max: 10 }) }),
    fc.record({ kind: fc.constant('reset' as const), ahead: fc.integer({ min: 1, max: 10 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const log = logOf()
      const twin: Twin = { terms: [0], base: 0 }
      let term = 1
      for (const step of steps) {
        const last = twin.terms.length - 1
        if (step.kind === 'append') {
          append(
            log,
            Array.from({ length: step.count }, (_, i) => entry(last + 1 + i, term)),
          )
          for (let i = 0; i < step.count; i++) twin.terms.push(term)
        } else if (step.kind === 'overwrite') {
          term += 1
          const from = Math.max(log.committed + 1, last - step.back + 1)
          appendAfterMatch(log, [entry(from, term)])
          twin.terms.length = from
          twin.terms.push(term)
        } else if (step.kind === 'compact') {
          const index = LogIndex(Math.max(twin.base, last - step.keep))
          commitTo(log, index)
          log.applied = log.committed
          compact(log, index)
          twin.base = index
        } else {
          const index = LogIndex(last + step.ahead)
          resetTo(log, index, Term(term))
          twin.terms = Array.from({ length: index + 1 }, () => term)
          twin.base = index
        }
        assert.equal(lastIndex(log), twin.terms.length - 1)
        assert.equal(lastTerm(log), twin.terms.at(-1))
        assert.equal(log.base.index, twin.base)
        for (let index = twin.base; index <= twin.terms.length; index += 1 + (index >> 3))
          assert.equal(termAt(log, LogIndex(index)), twin.terms[index])
        if (twin.base > 0) assert.equal(termAt(log, LogIndex(twin.base - 1)), undefined)
      }
    }),
    { numRuns: 100 },
  )
})

test('compaction forgets what is cut, and the log knows the size of what it has', () => {
  const log = logOf()
  append(
    log,
    Array.from({ length: 100 }, (_, i) => entry(i + 1, 1, 100 + i)),
  )
  const sizeOf = (entries: readonly Entry[]): number => entries.reduce((sum, one) => sum + entrySizeBytes(one), 0)
  commitTo(log, LogIndex(60))
  log.applied = log.committed
  for (const index of [1, 2, 30, 30, 60]) {
    compact(log, LogIndex(index))
    assert.deepEqual([log.entries.length, log.entries[0]?.index], [100 - index, index + 1])
    assert.equal(log.sizeBytes, sizeOf(log.entries))
  }
  assert.throws(() => compact(log, LogIndex(61)), /ahead of the applied index/)
  appendAfterMatch(log, [entry(70, 1, 169), entry(71, 2, 5), entry(72, 2, 7)])
  assert.deepEqual([log.entries.length, lastIndex(log)], [12, 72])
  assert.equal(log.sizeBytes, sizeOf(log.entries))
  assert.equal(createLog(log.base, log.entries, log.committed, log.applied).sizeBytes, log.sizeBytes)
  resetTo(log, LogIndex(80), Term(2))
  assert.equal(log.sizeBytes, 0)
})

test('the tail of the log is the most that fits a size', () => {
  const log = createLog(
    { index: LogIndex(5), term: Term(1) },
    [10, 20, 30].map((size, i) => entry(6 + i, 1, size)),
    LogIndex(8),
    LogIndex(5),
  )
  const [, second = 0, third = 0] = log.entries.map(entrySizeBytes)
  assert.equal(tailOf(log, log.sizeBytes), 5)
  assert.equal(tailOf(log, log.sizeBytes - 1), 6)
  assert.equal(tailOf(log, second + third), 6)
  assert.equal(tailOf(log, third), 7)
  assert.equal(tailOf(log, third - 1), 8)
  assert.equal(tailOf(createLog(NOTHING, [], LogIndex(0), LogIndex(0)), 0), 0)
})

test('a slice is cut by bytes, but never empty while there is an entry', () => {
  const log = createLog(
    NOTHING,
    [10, 20, 30].map((size, i) => entry(i + 1, 1, size)),
    LogIndex(0),
    LogIndex(0),
  )
  const indexes = (entries: readonly Entry[]): number[] => entries.map(({ index }) => index)
  assert.deepEqual(indexes(slice(log, LogIndex(1), LogIndex(3), 60 + 3 * 21)), [1, 2, 3])
  assert.deepEqual(indexes(slice(log, LogIndex(1), LogIndex(3), 59 + 3 * 21)), [1, 2])
  assert.deepEqual(indexes(slice(log, LogIndex(1), LogIndex(2), 1000)), [1, 2])
  assert.deepEqual(indexes(slice(log, LogIndex(3), LogIndex(3), 1)), [3])
  assert.deepEqual(indexes(slice(log, LogIndex(4), LogIndex(3), 1)), [])
})

test('membership changes are found in exactly the range that was asked for', () => {
  const log = logOf(1, 1)
  append(log, [{ ...entry(3, 1), kind: 'config' }, entry(4, 1)])
  for (let after = 0; after <= 4; after++)
    for (let to = after; to <= 4; to++)
      assert.equal(hasConfigEntry(log, LogIndex(after), LogIndex(to)), after < 3 && to >= 3)
})
