/** A member whose store is damaged: its log goes on, its store only from a snapshot. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, NOBODY, Term } from '../../lib/ids.ts'
import { lastIndex } from './log.ts'
import type { Message } from './message.ts'
import {
  applied,
  campaign,
  hasReady,
  propose,
  ready,
  reportSnapshot,
  status,
  step,
  storeLost,
  type Raft,
} from './raft.ts'
import { carryOut, drain, ELECTION_TICKS, groupOf, one, startRaft, three, two, type Group } from './testing/group.ts'

type SnapshotRequest = Extract<Message, { kind: 'snapshot-request' }>

/** Member 1 leads three; all have five entries, the leader's first among them, committed and applied. */
function ledByOne(): { group: Group; leader: Raft } {
  const group = groupOf([one, two, three])
  const leader = group.elect(one)
  for (const text of ['a', 'b', 'c', 'd']) group.propose(one, text)
  group.settle()
  group.tickAll(1)
  assert.deepEqual(
    [...group.members.values()].map(({ log }) => log.applied),
    [5, 5, 5],
  )
  return { group, leader }
}

/** What the leader asks for while everybody talks; it is never carried out. */
function requests(group: Group, ticks: number): SnapshotRequest[] {
  const asked: SnapshotRequest[] = []
  for (let i = 0; i < ticks; i++) {
    group.tickAll(1)
    for (const works of group.works.values())
      for (const { messages } of works.splice(0))
        asked.push(...messages.filter((message) => message.kind === 'snapshot-request'))
  }
  return asked
}

const ofIndex = (raft: Raft, index: number): SnapshotRequest => ({
  kind: 'snapshot-request',
  from: one,
  to: three,
  term: raft.term,
  snapshot: {
    index: LogIndex(index),
    term: raft.term,
    configuration: raft.configuration,
    configIndex: raft.configIndex,
  },
})

test('a follower whose store is lost acknowledges entries and applies none', () => {
  const { group, leader } = ledByOne()
  const lost = group.get(three)
  storeLost(lost)
  group.isolate(two)
  group.propose(one, 'e')
  group.settle()
  assert.equal(leader.log.committed, 6, 'its acknowledgement counts')
  group.tickAll(1)
  assert.deepEqual([lost.log.committed, lost.log.applied], [6, 5])
})

test('it asks for a snapshot with its answers, also when nothing is written; one is made at a time', () => {
  const { group, leader } = ledByOne()
  storeLost(group.get(three))
  assert.deepEqual(
    requests(group, 5).map(({ to }) => to),
    [three],
  )
  const peer = status(leader).peers.find(({ id }) => id === three)
  assert.deepEqual([peer?.wantsSnapshot, peer?.state], [true, 'replicate'], 'the log goes on beside it')
  reportSnapshot(leader, three, false)
  assert.equal(requests(group, 5).length, 1, 'asked for again once the first has ended')
})

test('a snapshot of what it had applied, or later, becomes its store; its log stays, and goes on', () => {
  const { group } = ledByOne()
  const lost = group.get(three)
  storeLost(lost)
  group.propose(one, 'e', 'f')
  group.settle()
  group.tickAll(1)
  step(lost, ofIndex(lost, 4))
  drain(lost)
  assert.deepEqual([lost.isStoreLost, lost.log.base.index], [true, 0], 'one that is older is of no use')
  step(lost, ofIndex(lost, 6))
  const work = ready(lost)
  assert.deepEqual([work.append?.snapshot?.index, work.committed.length], [6, 0])
  assert.equal(lost.isStoreLost, true, 'not before it is installed')
  carryOut(lost, work)
  assert.equal(lost.isStoreLost, false)
  const next = ready(lost)
  assert.deepEqual(
    next.committed.map(({ index }) => index),
    [7],
  )
  carryOut(lost, next)
  assert.deepEqual([lost.log.base.index, lost.log.applied, lastIndex(lost.log)], [6, 7, 7])
  group.propose(one, 'g')
  group.settle()
  group.tickAll(1)
  assert.equal(lost.log.applied, 8)
})

test('one beyond the end of its log takes the place of the log too (Raft §7)', () => {
  const { group } = ledByOne()
  const lost = group.get(three)
  storeLost(lost)
  step(lost, ofIndex(lost, 9))
  drain(lost)
  assert.deepEqual([lost.isStoreLost, lost.log.base.index, lost.log.applied], [false, 9, 9])
})

test('what was being applied when the store was lost counts as not applied', () => {
  const raft = startRaft(three, { terms: [1, 1], commit: 1, applied: 1, configuration: { voters: [one, two, three] } })
  step(raft, { kind: 'heartbeat-request', from: one, to: three, term: Term(1), commit: LogIndex(2), readBatch: 0 })
  assert.equal(ready(raft).committed.length, 1)
  storeLost(raft)
  applied(raft, [])
  assert.deepEqual([raft.log.applied, ready(raft).committed], [1, []])
})

test('a leader whose store is lost takes no proposals, and hands over to one that has its own', () => {
  const { group, leader } = ledByOne()
  storeLost(group.get(two))
  group.tickAll(1)
  storeLost(leader)
  assert.deepEqual(propose(leader, [{ kind: 'normal', data: Buffer.of(1) }]), { ok: false, error: 'transferring' })
  group.tickAll(3)
  assert.equal(group.get(three).role.kind, 'leader')
  assert.equal(leader.role.kind, 'follower')
})

test('it gives its vote as before, and stands for election itself only when two others had their time', () => {
  const { group } = ledByOne()
  const lost = group.get(three)
  storeLost(lost)
  step(lost, { kind: 'timeout-now-request', from: one, to: three, term: lost.term })
  assert.equal(lost.role.kind, 'follower', 'it does not take over')
  group.isolate(one)
  group.tick(three, 2 * ELECTION_TICKS)
  drain(lost)
  assert.equal(lost.role.kind, 'follower')
  group.elect(two)
  assert.equal(group.get(two).role.kind, 'leader', 'with its vote')
  group.isolate(two)
  group.tick(three, 3 * ELECTION_TICKS)
  assert.equal(lost.role.kind, 'pre-candidate')
})

test('without a configuration, as after a start without its store, it votes and follows', () => {
  const raft = startRaft(three, { terms: [1, 1], commit: 1 })
  storeLost(raft)
  campaign(raft)
  assert.equal(hasReady(raft), false)
  const at = { lastIndex: LogIndex(2), lastTerm: Term(1) }
  step(raft, { kind: 'vote-request', from: one, to: three, term: Term(2), ...at, isTransfer: false })
  const [answer] = drain(raft)
  assert.ok(answer?.kind === 'vote-response' && answer.isGranted)
  const entries = [{ index: LogIndex(3), term: Term(2), kind: 'normal', data: Buffer.of(1) }] as const
  const append = { prevIndex: LogIndex(2), prevTerm: Term(1), entries, commit: LogIndex(3) }
  step(raft, { kind: 'append-request', from: one, to: three, term: Term(2), ...append })
  const [acknowledged] = drain(raft)
  assert.ok(acknowledged?.kind === 'append-response' && acknowledged.index === 3 && acknowledged.needsSnapshot)
  assert.deepEqual([raft.log.applied, raft.vote === NOBODY], [0, false])
})
