import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Term } from '../../lib/ids.ts'
import { answeredTo, callRoll, propose, status, step, tick, type Raft } from './raft.ts'
import { drain, ELECTION_TICKS, four, groupOf, one, three, two } from './testing/group.ts'

const VOTERS = [one, two, three]

const activeOf = (leader: Raft): unknown[] =>
  status(leader)
    .peers.filter(({ isActive }) => isActive)
    .map(({ id }) => id)

test('a new leader calls no member active that has not answered it, and yet does not step down for that', () => {
  const group = groupOf(VOTERS)
  group.isolate(three)
  const leader = group.elect(one)
  assert.deepEqual(activeOf(leader), [two], 'it has answered the first append')
  for (let i = 0; i < ELECTION_TICKS; i++) tick(leader) // nobody answers
  assert.equal(leader.role.kind, 'leader')
  group.mail = []
  group.tickAll(1)
  assert.deepEqual(activeOf(leader), [two])
})

test('a member that was added is active from its first answer on', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.change(one, { kind: 'simple', step: { kind: 'add-voter', memberId: four } })
  group.settle()
  group.tickAll(1)
  assert.deepEqual(activeOf(leader), [two, three])
})

test('a roll call is answered by those who are there now, whoever answered a moment before', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.tickAll(3)
  group.isolate(two)
  const roll = callRoll(leader)
  assert.ok(roll !== undefined)
  assert.deepEqual(answeredTo(leader, roll), new Set([one]))
  group.settle()
  assert.deepEqual(activeOf(leader), [two, three])
  assert.deepEqual(answeredTo(leader, roll), new Set([one, three]))
  group.rejoin()
  group.tickAll(1)
  assert.deepEqual(answeredTo(leader, roll), new Set([one, two, three]), 'the next heartbeat asks again')
})

test('an answer to a heartbeat from before the roll call, or to an append, does not count', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  tick(leader)
  const before = drain(leader).filter(({ to }) => to === two)
  const roll = callRoll(leader)
  assert.ok(roll !== undefined)
  drain(leader)
  propose(leader, [{ kind: 'normal', data: Buffer.from('a') }])
  for (const message of [...before, ...drain(leader).filter(({ to }) => to === two)]) step(group.get(two), message)
  for (const message of drain(group.get(two))) step(leader, message)
  assert.deepEqual(answeredTo(leader, roll), new Set([one]))
})

test('a roll call ends with the term it was called in, and a follower calls none', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  assert.equal(callRoll(group.get(two)), undefined)
  const roll = callRoll(leader)
  assert.ok(roll !== undefined)
  assert.equal(answeredTo(leader, { ...roll, term: Term(roll.term + 1) }), undefined)
  group.isolate(one)
  group.tickAll(3 * ELECTION_TICKS)
  assert.equal(answeredTo(leader, roll), undefined)
})
