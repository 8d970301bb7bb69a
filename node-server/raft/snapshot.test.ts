/** Raft §7: peers whose entries are gone from the log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, Term } from '../../lib/ids.ts'
import { lastIndex } from './log.ts'
import type { Message } from './message.ts'
import {
  appended,
  applied,
  applyConfigChange,
  compact,
  ready,
  reportSnapshot,
  reportUnreachable,
  status,
  step,
} from './raft.ts'
import { drain, groupOf, one, startRaft, three, two } from './testing/group.ts'

const VOTERS = [one, two, three]
const configuration = { voters: VOTERS }

const rejected = (from: typeof one, index: number): Message => ({
  kind: 'append-response',
  from,
  to: one,
  term: Term(1),
  isRejected: true,
  needsSnapshot: false,
  index: LogIndex(index),
  hintIndex: LogIndex(0),
  hintTerm: Term(0),
})

test('Raft §7: a peer whose entries are gone gets a snapshot, and goes on behind it', () => {
  const group = groupOf(VOTERS)
  group.isolate(three)
  const leader = group.elect(one)
  group.propose(one, 'a', 'b', 'c')
  group.settle()
  compact(leader, LogIndex(4))
  const follower = group.get(three)
  step(leader, { kind: 'heartbeat-response', from: three, to: one, term: Term(1), readBatch: 0 })
  step(leader, rejected(three, 0))
  const request = drain(leader).find(({ kind }) => kind === 'snapshot-request')
  assert.ok(request?.kind === 'snapshot-request')
  assert.equal(request.snapshot.index, 4)
  assert.equal(status(leader).peers.find(({ id }) => id === three)?.state, 'snapshot')
  step(follower, request)
  const { append } = ready(follower)
  assert.equal(append?.snapshot?.index, 4)
  assert.deepEqual(append.hardState, { term: 1, vote: 0n, commit: 4 })
  assert.ok(append.promises.some((promise) => promise.kind === 'append-response' && promise.index === 4))
  group.mail.push(...append.promises)
  appended(follower, append)
  group.rejoin()
  group.settle()
  reportSnapshot(leader, three, true)
  group.propose(one, 'd')
  group.settle()
  group.tickAll(2)
  assert.equal(lastIndex(follower.log), 5)
  assert.equal(follower.log.committed, 5)
})

test('Raft §7: a snapshot that failed is offered again', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(three)
  group.propose(one, 'a', 'b')
  group.settle()
  compact(leader, LogIndex(3))
  const isOffered = (): boolean => drain(leader).some(({ kind }) => kind === 'snapshot-request')
  reportUnreachable(leader, three)
  step(leader, { kind: 'heartbeat-response', from: three, to: one, term: Term(1), readBatch: 0 })
  step(leader, rejected(three, 3))
  assert.equal(isOffered(), true)
  step(leader, { kind: 'heartbeat-response', from: three, to: one, term: Term(1), readBatch: 0 })
  assert.equal(isOffered(), false, 'one at a time')
  reportSnapshot(leader, three, false)
  assert.equal(isOffered(), false, 'not at once')
  step(leader, { kind: 'heartbeat-response', from: three, to: one, term: Term(1), readBatch: 0 })
  assert.equal(isOffered(), true)
})

test('a snapshot that has arrived is gone on from, also when the log was cut up to it meanwhile', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(three)
  group.propose(one, 'a', 'b')
  group.settle()
  compact(leader, LogIndex(2))
  const probe = (): Message[] => {
    step(leader, { kind: 'heartbeat-response', from: three, to: one, term: Term(1), readBatch: 0 })
    return drain(leader)
  }
  reportUnreachable(leader, three)
  step(leader, rejected(three, 1))
  assert.ok(probe().some(({ kind }) => kind === 'snapshot-request'))
  compact(leader, LogIndex(3))
  reportSnapshot(leader, three, true)
  const [message, ...more] = probe()
  assert.deepEqual(more, [])
  assert.ok(message?.kind === 'append-request')
  assert.equal(message.prevIndex, 3)
})

test('a snapshot that the log reaches already only moves the commit index', () => {
  const raft = startRaft(one, { configuration, terms: [1, 1, 1], term: 1 })
  const snapshot = { index: LogIndex(2), term: Term(1), configuration: raft.configuration, configIndex: LogIndex(0) }
  step(raft, { kind: 'snapshot-request', from: two, to: one, term: Term(1), snapshot })
  assert.equal(raft.pendingSnapshot, undefined)
  assert.equal(raft.log.committed, 2)
  assert.equal(lastIndex(raft.log), 3)
})

test('a membership change that is still being applied does not undo the configuration of a snapshot', () => {
  const raft = startRaft(one, { configuration, terms: [1, 1], term: 1, commit: 2 })
  const work = ready(raft)
  const newer = { ...raft.configuration, voters: [one, two] }
  const snapshot = { index: LogIndex(9), term: Term(1), configuration: newer, configIndex: LogIndex(8) }
  step(raft, { kind: 'snapshot-request', from: two, to: one, term: Term(1), snapshot })
  applyConfigChange(raft, LogIndex(2), { kind: 'simple', step: { kind: 'add-learner', memberId: three } })
  applied(raft, work.committed)
  assert.deepEqual(raft.configuration, newer)
  assert.equal(raft.configIndex, 8)
  assert.equal(raft.log.applied, 9)
})
