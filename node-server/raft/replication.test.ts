import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, Term } from '../../lib/ids.ts'
import { lastIndex, termAt } from './log.ts'
import type { Message } from './message.ts'
import { appended, campaign, propose, ready, status, step, tick } from './raft.ts'
import { drain, entry, groupOf, Group, one, startRaft, three, two } from './testing/group.ts'

const VOTERS = [one, two, three]
const configuration = { voters: VOTERS }

const accepted = (from: typeof one, term: number, index: number): Message => ({
  kind: 'append-response',
  from,
  to: one,
  term: Term(term),
  isRejected: false,
  needsSnapshot: false,
  index: LogIndex(index),
  hintIndex: LogIndex(0),
  hintTerm: Term(0),
})

const normal = (sizeBytes: number): { kind: 'normal'; data: Buffer } => ({
  kind: 'normal',
  data: Buffer.alloc(sizeBytes, 1),
})

const termsOf = (group: Group, id: typeof one): (number | undefined)[] => {
  const { log } = group.get(id)
  return Array.from({ length: lastIndex(log) }, (_, i) => termAt(log, LogIndex(i + 1)))
}

test('Raft §5.3: what a majority has is committed and applied everywhere, in order', () => {
  const group = groupOf(VOTERS)
  group.elect(one)
  assert.ok(group.propose(one, 'a', 'b').ok)
  group.settle()
  for (const id of VOTERS) {
    const applied = group.applied.get(id)?.map(({ index, data }) => `${index}${Buffer.from(data).toString()}`)
    assert.deepEqual(applied, ['1', '2a', '3b'])
  }
})

test('Raft §5.3, figure 7: a leader brings every kind of divergent log in line', () => {
  const logs: number[][] = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6], // (a) misses one
    [1, 1, 1, 4], // (b) misses many
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6], // (c) one too many
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], // (d) of a later term
    [1, 1, 1, 4, 4, 4, 4], // (e)
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], // (f)
  ]
  for (const terms of logs) {
    const own = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
    const group = new Group(
      new Map([
        [one, startRaft(one, { configuration, terms: own, term: 7 })],
        [two, startRaft(two, { configuration, terms, term: 7 })],
        // The third vote, so that the leader can win against (d).
        [three, startRaft(three, { configuration, term: 7 })],
      ]),
    )
    group.elect(one)
    assert.equal(group.get(one).role.kind, 'leader')
    assert.deepEqual(termsOf(group, two), [...own, 8])
    assert.deepEqual(termsOf(group, three), [...own, 8])
  }
})

test('Raft §5.4.2, figure 8: an entry of an old term is not committed by counting, but by one of the own term', () => {
  const raft = startRaft(one, { configuration, terms: [1, 2], term: 3, vote: one })
  campaign(raft)
  step(raft, { kind: 'pre-vote-response', from: two, to: one, term: Term(4), isGranted: true })
  drain(raft)
  step(raft, { kind: 'vote-response', from: two, to: one, term: Term(4), isGranted: true })
  drain(raft)
  assert.equal(raft.role.kind, 'leader')
  step(raft, accepted(two, 4, 2))
  step(raft, accepted(three, 4, 2))
  assert.equal(raft.log.committed, 0, 'entry 2 is on all members, but of term 2')
  step(raft, accepted(two, 4, 3))
  assert.equal(raft.log.committed, 3)
})

test('the leader counts itself only for what is durable; others may commit before its own disk is done', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  propose(leader, [normal(1)])
  const { messages, append } = ready(leader)
  assert.ok(append !== undefined)
  assert.equal(messages.filter(({ kind }) => kind === 'append-request').length, 2, 'sent while the disk works')
  step(leader, accepted(two, 1, 2))
  assert.equal(leader.log.committed, 1, 'one member and a disk that is not done are no majority')
  step(leader, accepted(three, 1, 2))
  assert.equal(leader.log.committed, 2)
  assert.deepEqual(ready(leader).committed, [], 'committed, and not durable here: not applied')
  appended(leader, append)
  assert.deepEqual(
    ready(leader).committed.map(({ index }) => index),
    [2],
  )
})

test('Raft §5.4: learners get everything and count for nothing', () => {
  const group = groupOf([one, two], [three])
  const leader = group.elect(one)
  group.isolate(two)
  group.propose(one, 'a')
  group.settle()
  assert.equal(lastIndex(group.get(three).log), 2)
  assert.equal(leader.log.committed, 1)
})

test('a single voter commits once its fsync is done', () => {
  const raft = startRaft(one, { configuration: { voters: [one] } })
  campaign(raft)
  drain(raft)
  propose(raft, [normal(1), normal(1)])
  const { append, committed } = ready(raft)
  assert.equal(append?.entries.length, 2)
  assert.deepEqual(committed, [])
  appended(raft, append)
  const visible = ready(raft)
  assert.deepEqual(
    visible.committed.map(({ index }) => index),
    [2, 3],
  )
})

test("an acknowledgement beyond the leader's log, or of a stranger, changes nothing", () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  step(leader, accepted(two, 1, 99))
  step(leader, { ...accepted(two, 1, 1), from: startRaft(one, {}).options.id })
  assert.equal(status(leader).peers.find(({ id }) => id === two)?.match, 1)
  group.tickAll(2)
})

test('a heartbeat never commits what the follower is not known to have', () => {
  const group = groupOf(VOTERS)
  group.elect(one)
  group.isolate(two)
  group.propose(one, 'a')
  group.settle()
  tick(group.get(one))
  const heartbeat = drain(group.get(one)).find(({ kind, to }) => kind === 'heartbeat-request' && to === two)
  assert.ok(heartbeat?.kind === 'heartbeat-request')
  assert.equal(heartbeat.commit, 1)
  assert.equal(group.get(one).log.committed, 2)
})

test('an append that matches only up to a point commits only up to there (Raft figure 2, AppendEntries 5)', () => {
  const raft = startRaft(one, { configuration, terms: [1, 1, 1], term: 2 })
  const at = { from: two, to: one, term: Term(2), prevIndex: LogIndex(1), prevTerm: Term(1) }
  step(raft, { kind: 'append-request', ...at, entries: [entry(2, 1)], commit: LogIndex(3) })
  assert.equal(raft.log.committed, 2)
})

test('entries are acknowledged only with the Ready that makes them durable', () => {
  const raft = startRaft(one, { configuration, term: 1 })
  const at = { from: two, to: one, term: Term(1), prevIndex: LogIndex(0), prevTerm: Term(0) }
  step(raft, { kind: 'append-request', ...at, entries: [entry(1, 1)], commit: LogIndex(0) })
  const { messages, append } = ready(raft)
  assert.deepEqual(messages, [])
  assert.deepEqual(append?.entries, [entry(1, 1)])
  assert.equal(append.mustSync, true)
  assert.deepEqual(append.promises, [{ ...accepted(two, 1, 1), from: one, to: two }])
})

test('a member that lost what it acknowledged stops instead of going on without it', () => {
  const group = groupOf(VOTERS)
  group.elect(one)
  group.settle()
  const amnesiac = startRaft(three, { configuration, term: 1 })
  tick(group.get(one))
  const heartbeat = drain(group.get(one)).find(({ kind, to }) => kind === 'heartbeat-request' && to === three)
  assert.ok(heartbeat !== undefined)
  assert.throws(() => step(amnesiac, heartbeat), /was the log lost/)
})
