import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failedRepeats, longestGaps, verifyWrites, type Put, type StoredKey } from './writes.ts'

const put = (number: number, sentMs: number, answeredMs: number, revision?: number): Put => ({
  writer: 0,
  number,
  mayRepeat: false,
  key: `k${number}`,
  value: `v${number}`,
  sentMs,
  answeredMs,
  ...(revision !== undefined && { revision }),
})
const stored = (number: number, revision: number, change: Partial<StoredKey> = {}): StoredKey => ({
  key: `k${number}`,
  value: `v${number}`,
  createRevision: revision,
  modRevision: revision,
  version: 1,
  ...change,
})

test('what was acknowledged is there as it was promised; an unknown outcome may be either', () => {
  const puts = [put(1, 0, 10, 2), put(2, 10, 20), put(3, 20, 30), put(4, 30, 40, 4)]
  assert.deepEqual(verifyWrites(puts, [stored(1, 2), stored(3, 3), stored(4, 4)]), [])
})

for (const [title, puts, found, problem] of [
  ['a lost write', [put(1, 0, 10, 2)], [], /k1 was acknowledged at 2 and is lost/],
  ['another value', [put(1, 0, 10, 2)], [stored(1, 2, { value: 'x' })], /has the value x/],
  ['another revision', [put(1, 0, 10, 2)], [stored(1, 3)], /acknowledged at revision 2 and is stored at 3/],
  ['a write applied twice', [put(1, 0, 10, 3)], [stored(1, 3, { version: 2, createRevision: 2 })], /version 2/],
  ['a write applied twice, unknown', [put(1, 0, 10)], [stored(1, 3, { version: 2, createRevision: 2 })], /version 2/],
  ['a key that nobody put', [], [stored(9, 2)], /k9 is stored, yet nobody put it/],
  ['a revision used twice', [put(1, 0, 10, 2), put(2, 0, 10, 2)], [stored(1, 2), stored(2, 2)], /share revision 2/],
  ['time run backwards', [put(1, 0, 10, 5), put(2, 11, 20, 4)], [stored(1, 5), stored(2, 4)], /k2 got revision 4/],
  [
    'time run backwards, unknown',
    [put(1, 0, 10, 5), put(2, 11, 20)],
    [stored(1, 5), stored(2, 4)],
    /k2 got revision 4/,
  ],
] as const) {
  test(`found out: ${title}`, () => {
    const problems = verifyWrites(puts, found)
    assert.equal(problems.length > 0, true)
    assert.match(problems.join('\n'), problem)
  })
}

test('writes that overlap in time may take their revisions in any order', () => {
  const puts = [put(1, 0, 20, 3), put(2, 10, 30, 2)]
  assert.deepEqual(verifyWrites(puts, [stored(1, 3), stored(2, 2)]), [])
})

test('a gap counts between acknowledgements only, apart when it touches the excepted interval', () => {
  const puts = [put(1, 0, 100, 2), put(2, 0, 400, 3), put(3, 0, 450), put(4, 0, 2000, 4), put(5, 0, 2100, 5)]
  assert.deepEqual(longestGaps(puts, { fromMs: 500, untilMs: 600 }), {
    outsideMs: 300,
    outsideAtMs: 100,
    insideMs: 1600,
  })
  const never = { fromMs: Number.POSITIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY }
  assert.deepEqual(longestGaps(puts, never), { outsideMs: 1600, outsideAtMs: 400, insideMs: 0 })
})

test('a put that may be repeated may be stored later and more than once, yet not be lost or go back', () => {
  const repeated = { ...put(1, 0, 10, 3), mayRepeat: true }
  assert.deepEqual(verifyWrites([repeated], [stored(1, 3, { version: 2, createRevision: 2 })]), [])
  assert.deepEqual(verifyWrites([repeated], [stored(1, 4, { version: 2, createRevision: 3 })]), [])
  assert.match(verifyWrites([repeated], []).join(), /acknowledged at 3 and is lost/)
  assert.match(verifyWrites([repeated], [stored(1, 2)]).join(), /stored at 2, before it/)
})

test('a request that failed counts where its client repeats it, but not while the leader was killed', () => {
  const failed = (number: number, sentMs: number, answeredMs: number, mayRepeat = true): Put => ({
    ...put(number, sentMs, answeredMs),
    mayRepeat,
    problem: 'no leader',
  })
  const puts = [failed(1, 0, 90), failed(2, 90, 110), failed(3, 190, 300), failed(4, 201, 300), failed(5, 0, 9, false)]
  const found = failedRepeats([...puts, { ...put(6, 0, 9, 2), mayRepeat: true }], { fromMs: 100, untilMs: 200 })
  assert.deepEqual(
    found.map(({ number }) => number),
    [1, 4],
  )
})
