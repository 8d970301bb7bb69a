import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigHistoryRow } from '../../../lib/admin-api.ts'
import { checkConfigurations, mergeHistories, removals } from './configurations.ts'

const row = (
  index: number,
  voters: string,
  learners = '',
  votersOutgoing = '',
  operationId = `op${index}`,
): ConfigHistoryRow => ({
  index,
  voters: voters.split(' ').filter(Boolean),
  learners: learners.split(' ').filter(Boolean),
  votersOutgoing: votersOutgoing.split(' ').filter(Boolean),
  operationId,
})

const GROWN = [row(1, 'a', '', '', ''), row(5, 'a', 'b'), row(7, 'a b'), row(9, 'a b', 'c'), row(12, 'a b c')]

test('one member at a time, as a learner first, one removal at a time', () => {
  assert.deepEqual(checkConfigurations([...GROWN, row(20, 'a c'), row(21, 'a')]), [])
})

for (const [title, rows, problem] of [
  ['two added at once', [row(1, 'a'), row(2, 'a', 'b c')], /2 members changed: b, c/],
  ['one added, one removed', [row(1, 'a b'), row(2, 'a', 'c')], /2 members changed/],
  ['no learner first', [row(1, 'a'), row(2, 'a b')], /b became a voter without having been a learner/],
  ['a joint configuration', [row(1, 'a'), row(2, 'a', 'b', 'a')], /joint/],
  [
    'an operation applied twice',
    [row(1, 'a'), row(2, 'a', 'b', '', 'x'), row(3, 'a b', '', '', 'x')],
    /x took effect twice/,
  ],
  ['a configuration that changes nothing', [row(1, 'a'), row(2, 'a')], /0 members changed/],
] as const) {
  test(`found out: ${title}`, () => assert.match(checkConfigurations(rows).join('\n'), problem))
}

test('what members tell is one history; a disagreement is found out', () => {
  const told = [
    { member: 'a', rows: GROWN.slice(0, 3) },
    { member: 'b', rows: GROWN.slice(2) },
  ]
  assert.deepEqual(mergeHistories(told), { rows: GROWN, problems: [] })
  const { problems } = mergeHistories([...told, { member: 'c', rows: [row(7, 'a c')] }])
  assert.match(problems.join('\n'), /at index 7 a has .*, c has/)
})

test('removals are named by the configuration that dropped the member', () => {
  assert.deepEqual(removals([...GROWN, row(20, 'a c')]), [{ id: 'b', index: 20 }])
})
