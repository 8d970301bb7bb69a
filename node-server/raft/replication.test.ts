import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, Term } from '../../lib/ids.ts'
import { lastIndex, termAt } from './log.ts'
import type { Message } from './message.ts'
import {
  appended,
  applied,
  applyConfigChange,
  campaign,
  compact,
  propose,
  ready,
  reportReachable,
  reportSnapshot,
  reportUnreachable,
  status,
  step,
  tick,
} from './raft.ts'
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

test('committed entries are handed out in portions of bytes', () => {
  const raft = startRaft(one, { configuration: { voters: [one] } }, { maxCommittedSizeBytesPerReady: 50 })
  campaign(raft)
  drain(raft)
  propose(raft, [normal(4), normal(4), normal(4), normal(40)])
  const portions: number[] = []
  drain(raft, ({ committed }) => portions.push(committed.length))
  assert.deepEqual(
    portions.filter((count) => count > 0),
    [2, 1, 1],
  )
})

test('proposals are refused while too many bytes are not applied, and taken again afterwards', () => {
  const group = groupOf(VOTERS, [], { maxUncommittedSizeBytes: 100 })
  group.elect(one)
  group.isolate(two, three)
  const leader = group.get(one)
  assert.ok(propose(leader, [normal(101)]).ok)
  assert.deepEqual(propose(leader, [normal(1)]), { ok: false, error: 'overloaded' })
  group.settle()
  group.rejoin()
  group.tickAll(3)
  assert.ok(propose(leader, [normal(1)]).ok)
})

test('flow control: what is in flight to a silent peer is bounded', () => {
  const group = groupOf(VOTERS, [], { maxInflightMessages: 3, maxMessageSizeBytes: 30 })
  const leader = group.elect(one)
  group.tickAll(2)
  propose(
    leader,
    Array.from({ length: 20 }, () => normal(8)),
  )
  const sent = drain(leader).filter(({ kind, to }) => kind === 'append-request' && to === two)
  assert.equal(sent.length, 3)
})

test('flow control: messages are cut by bytes', () => {
  const group = groupOf(VOTERS, [], { maxMessageSizeBytes: 60 })
  const leader = group.elect(one)
  group.tickAll(2)
  propose(
    leader,
    Array.from({ length: 6 }, () => normal(8)),
  )
  const sizes = drain(leader).flatMap((message) =>
    message.kind === 'append-request' && message.to === two ? [message.entries.length] : [],
  )
  assert.deepEqual(sizes, [2, 2, 2])
})

test('flow control: many empty entries are not nothing', () => {
  const group = groupOf(VOTERS, [], { maxMessageSizeBytes: 60 })
  const leader = group.elect(one)
  group.tickAll(2)
  propose(
    leader,
    Array.from({ length: 6 }, () => normal(0)),
  )
  const sizes = drain(leader).flatMap((message) =>
    message.kind === 'append-request' && message.to === two ? [message.entries.length] : [],
  )
  assert.deepEqual(sizes, [2, 2, 2])
})

test('flow control: a full pipeline stays within its bound however many heartbeats are answered before it arrives', () => {
  const group = groupOf(VOTERS, [], { maxInflightMessages: 3, maxMessageSizeBytes: 30 })
  const leader = group.elect(one)
  group.tickAll(2)
  propose(
    leader,
    Array.from({ length: 20 }, () => normal(8)),
  )
  const sent = drain(leader)
  for (let i = 0; i < 5; i++) {
    step(leader, { kind: 'heartbeat-response', from: two, to: one, term: Term(1), readBatch: 0 })
    sent.push(...drain(leader))
  }
  const appends = sent.filter((message) => message.kind === 'append-request' && message.to === two)
  assert.deepEqual(
    appends.map((message) => (message.kind === 'append-request' ? message.entries.length : 0)),
    [1, 1, 1, 0, 0, 0, 0, 0],
  )
})

test('flow control: a full pipeline that was lost in silence is found out by the answer to a heartbeat, and filled again', () => {
  const group = groupOf(VOTERS, [], { maxInflightMessages: 3, maxMessageSizeBytes: 30 })
  const leader = group.elect(one)
  group.tickAll(2)
  group.isolate(two)
  group.propose(one, ...Array.from({ length: 20 }, (_, i) => `entry ${i}`))
  group.settle()
  assert.equal(status(leader).peers.find(({ id }) => id === two)?.state, 'replicate', 'nobody has told of the loss')
  group.rejoin()
  tick(leader)
  group.settle() // a heartbeat, its answer, an append that is rejected, a probe, and all the rest
  assert.equal(status(leader).peers.find(({ id }) => id === two)?.match, lastIndex(leader.log))
})

test('a peer whose messages were lost is probed again', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(two)
  group.propose(one, 'a')
  group.settle()
  reportUnreachable(leader, two)
  assert.equal(status(leader).peers.find(({ id }) => id === two)?.state, 'probe')
  group.rejoin()
  group.tickAll(2)
  assert.equal(status(leader).peers.find(({ id }) => id === two)?.match, 2)
})

test('a peer to which the way is open again hears of its leader, and gets what it lacks, before the next tick', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(two)
  group.propose(one, 'a')
  group.settle()
  reportUnreachable(leader, two)
  group.rejoin()
  reportReachable(leader, two)
  group.settle()
  assert.equal(status(leader).peers.find(({ id }) => id === two)?.match, 2)
  reportReachable(group.get(three), one)
  assert.deepEqual(drain(group.get(three)), [], 'a follower has nothing to say')
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
