import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeEnd, furthest, isAhead, type LogEnd } from './log-end.ts'

const end = (lastTerm: number | undefined, lastIndex: number, commitIndex = 0): LogEnd => ({
  lastTerm,
  lastIndex,
  commitIndex,
})

test('the later last term wins, then the longer log (Raft §5.4.1)', () => {
  assert.equal(isAhead(end(2, 160), end(3, 104)), false)
  assert.equal(isAhead(end(3, 104), end(2, 160)), true)
  assert.equal(isAhead(end(3, 105), end(3, 104)), true)
  assert.equal(isAhead(end(3, 104), end(3, 104)), false)
})

test('without a term: what is committed decides, or nothing does', () => {
  assert.equal(isAhead(end(undefined, 104, 100), end(3, 104, 104)), false)
  assert.equal(isAhead(end(undefined, 110, 105), end(3, 104, 104)), true)
  assert.equal(isAhead(end(undefined, 110, 100), end(3, 104, 104)), undefined)
  assert.equal(isAhead(end(3, 110, 100), end(undefined, 104, 104)), undefined)
})

test('the furthest is one that nobody is ahead of, the first of equals', () => {
  const ends = [end(2, 160, 100), end(3, 103, 100), end(3, 104, 103), end(3, 104, 104)]
  assert.equal(
    furthest(ends, (item) => item),
    ends[2],
  )
  assert.equal(
    furthest([], (item: LogEnd) => item),
    undefined,
  )
  assert.equal(describeEnd(end(3, 104)), 'term 3, index 104')
})
