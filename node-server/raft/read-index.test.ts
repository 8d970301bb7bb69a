import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, Term } from '../../lib/ids.ts'
import type { Message } from './message.ts'
import { campaign, readIndex, step, tick, transferLeader, type ReadState } from './raft.ts'
import { drain, five, four, groupOf, one, startRaft, three, two, type Group } from './testing/group.ts'

const VOTERS = [one, two, three]
const configuration = { voters: VOTERS }

const readsOf = (group: Group, id: typeof one): ReadState[] =>
  group.works.get(id)?.flatMap((work) => work.readStates) ?? []
const droppedBy = (group: Group, id: typeof one): number[] =>
  group.works.get(id)?.flatMap((work) => work.readsDropped) ?? []

test('thesis §6.4: a read is answered with the commit index once a majority has confirmed the leader', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  assert.ok(readIndex(leader, 7).ok)
  drain(leader, ({ readStates }) => assert.deepEqual(readStates, [], 'not before anybody answered'))
  group.tickAll(1)
  assert.deepEqual(readsOf(group, one), [{ requestId: 7, index: LogIndex(1) }])
})

test('thesis §6.4: a cut-off leader answers no read', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(one)
  assert.ok(readIndex(leader, 7).ok)
  group.settle()
  assert.deepEqual(readsOf(group, one), [])
  group.tick(one, 30)
  group.settle()
  assert.notEqual(leader.role.kind, 'leader')
  assert.deepEqual(droppedBy(group, one), [7], 'the asker is told')
})

test('thesis §6.4: learners confirm nothing', () => {
  const group = groupOf(VOTERS, [four, five])
  const leader = group.elect(one)
  group.isolate(two, three)
  assert.ok(readIndex(leader, 7).ok)
  group.settle()
  assert.deepEqual(readsOf(group, one), [])
})

test('thesis §6.4: an answer to an earlier heartbeat confirms no later read', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  tick(leader)
  drain(leader)
  readIndex(leader, 7)
  drain(leader)
  step(leader, { kind: 'heartbeat-response', from: two, to: one, term: Term(1), readBatch: 0 })
  drain(leader, ({ readStates }) => assert.deepEqual(readStates, []))
  let answered: readonly ReadState[] = []
  step(leader, { kind: 'heartbeat-response', from: two, to: one, term: Term(1), readBatch: 1 })
  drain(leader, ({ readStates }) => (answered = [...answered, ...readStates]))
  assert.equal(answered.length, 1)
})

test('thesis §6.4: answers to the heartbeats of an earlier term confirm no read of a later one', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  for (let round = 1; round <= 3; round++) {
    readIndex(leader, round)
    drain(leader)
  }
  for (const [from, to] of [
    [one, two],
    [two, one],
  ] as const) {
    transferLeader(group.get(from), to)
    group.settle()
  }
  group.tickAll(1)
  assert.deepEqual([leader.role.kind, leader.term], ['leader', 3])
  const answer = { kind: 'heartbeat-response', from: two, to: one, term: Term(1), readBatch: 3 } as const
  step(leader, answer)
  assert.ok(readIndex(leader, 7).ok)
  step(leader, answer)
  drain(leader, ({ readStates }) => assert.deepEqual(readStates, []))
})

test('thesis §6.4, step 1: what a leader is asked before it has committed in its own term waits for that', () => {
  const group = groupOf(VOTERS)
  const raft = group.get(one)
  campaign(raft)
  step(raft, { kind: 'pre-vote-response', from: two, to: one, term: Term(1), isGranted: true })
  drain(raft)
  step(raft, { kind: 'vote-response', from: two, to: one, term: Term(1), isGranted: true })
  assert.equal(raft.role.kind, 'leader')
  const [other, news] = [group.get(three), drain(raft)]
  for (const message of news) if (message.to === three) step(other, message)
  assert.ok(readIndex(raft, 1).ok && readIndex(other, 2).ok)
  const said = drain(other)
  for (const message of said) if (message.kind === 'read-index-request') step(raft, message)
  assert.deepEqual(drain(raft), [], 'no round is begun')
  group.mail.push(...said.filter(({ kind }) => kind !== 'read-index-request'))
  group.settle()
  assert.deepEqual(readsOf(group, one), [{ requestId: 1, index: LogIndex(1) }])
  assert.deepEqual(readsOf(group, three), [{ requestId: 2, index: LogIndex(1) }])
})

test('all reads that wait share one round of heartbeats', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  for (let requestId = 1; requestId <= 100; requestId++) readIndex(leader, requestId)
  const messages = drain(leader)
  assert.equal(messages.filter(({ kind }) => kind === 'heartbeat-request').length, 2)
  group.mail.push(...messages)
  group.settle()
  assert.equal(readsOf(group, one).length, 100)
})

test('a single voter answers its reads in the same turn', () => {
  const raft = startRaft(one, { configuration: { voters: [one] } })
  campaign(raft)
  drain(raft)
  assert.ok(readIndex(raft, 1).ok)
  let reads = 0
  drain(raft, ({ readStates }) => (reads += readStates.length))
  assert.equal(reads, 1)
})

test('a follower asks its leader', () => {
  const group = groupOf(VOTERS)
  group.elect(one)
  group.tickAll(1)
  assert.ok(readIndex(group.get(two), 5).ok)
  group.settle()
  assert.deepEqual(readsOf(group, two), [{ requestId: 5, index: LogIndex(1) }])
})

test('a follower without a leader says so, and one that loses its leader gives up what it asked', () => {
  const raft = startRaft(one, { configuration })
  assert.deepEqual(readIndex(raft, 1), { ok: false, error: 'no-leader' })
  const group = groupOf(VOTERS)
  group.elect(one)
  group.isolate(one)
  readIndex(group.get(two), 5)
  group.tick(two, 20)
  group.settle()
  assert.deepEqual(droppedBy(group, two), [5])
})

test('an answer to a question from before a restart answers no later one', () => {
  const asked = (random: number): { raft: ReturnType<typeof startRaft>; wire: Message | undefined } => {
    const raft = startRaft(two, { configuration, term: 1 }, { random: () => random })
    step(raft, { kind: 'heartbeat-request', from: one, to: two, term: Term(1), commit: LogIndex(0), readBatch: 0 })
    readIndex(raft, 1)
    return { raft, wire: drain(raft).find(({ kind }) => kind === 'read-index-request') }
  }
  const before = asked(0.1)
  const after = asked(0.2)
  assert.ok(before.wire?.kind === 'read-index-request')
  const { requestId } = before.wire
  step(after.raft, { kind: 'read-index-response', from: one, to: two, term: Term(1), requestId, index: LogIndex(0) })
  drain(after.raft, ({ readStates }) => assert.deepEqual(readStates, []))
})

test('reads that nobody answers are bounded: the oldest give way on a follower, new ones are refused on a leader', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.tickAll(1)
  const follower = group.get(two)
  for (let requestId = 1; requestId <= 5000; requestId++) assert.ok(readIndex(follower, requestId).ok)
  assert.equal(follower.forwardedReads.size, 4096)
  assert.equal(follower.readsDropped.length, 5000 - 4096)
  const answers = Array.from({ length: 5000 }, (_, requestId) => readIndex(leader, requestId).ok)
  assert.equal(answers.filter((isTaken) => isTaken).length, 4096)
})
