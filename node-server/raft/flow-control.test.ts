/** How much is handed out at once, to the store and to peers, and how a peer that fell silent is found again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Term } from '../../lib/ids.ts'
import { lastIndex } from './log.ts'
import { campaign, propose, reportReachable, reportUnreachable, status, step, tick } from './raft.ts'
import { drain, groupOf, one, startRaft, three, two } from './testing/group.ts'

const VOTERS = [one, two, three]

const normal = (sizeBytes: number): { kind: 'normal'; data: Buffer } => ({
  kind: 'normal',
  data: Buffer.alloc(sizeBytes, 1),
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

for (const [title, sizeBytes] of [
  ['messages are cut by bytes', 8],
  ['many empty entries are not nothing', 0],
] as const)
  test(`flow control: ${title}`, () => {
    const group = groupOf(VOTERS, [], { maxMessageSizeBytes: 60 })
    const leader = group.elect(one)
    group.tickAll(2)
    propose(
      leader,
      Array.from({ length: 6 }, () => normal(sizeBytes)),
    )
    const counts = drain(leader).flatMap((message) =>
      message.kind === 'append-request' && message.to === two ? [message.entries.length] : [],
    )
    assert.deepEqual(counts, [2, 2, 2])
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
