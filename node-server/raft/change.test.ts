/** Membership changes and leader transfer as members live through them; the transitions alone: membership.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import { LogIndex, Term } from '../../lib/ids.ts'
import { lastIndex } from './log.ts'
import type { Message } from './message.ts'
import { appended, campaign, isChangePending, propose, ready, status, step, tick, transferLeader } from './raft.ts'
import {
  drain,
  ELECTION_TICKS,
  encodeChange,
  five,
  four,
  groupOf,
  one,
  startRaft,
  three,
  two,
} from './testing/group.ts'

const VOTERS = [one, two, three]

test('thesis §4.2: a learner is added empty, catches up, and is promoted', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.propose(one, 'a')
  assert.ok(group.change(one, { kind: 'simple', step: { kind: 'add-learner', memberId: four } }).ok)
  group.add(four, startRaft(four, { configuration: { voters: VOTERS } }))
  group.settle()
  group.tickAll(3)
  assert.equal(lastIndex(group.get(four).log), lastIndex(leader.log))
  assert.deepEqual(group.get(four).configuration.learners, [four])
  group.change(one, { kind: 'simple', step: { kind: 'add-voter', memberId: four } })
  group.settle()
  group.tickAll(1)
  for (const id of [...VOTERS, four]) {
    assert.deepEqual(group.get(id).configuration.voters, [one, two, three, four])
    assert.equal(group.get(id).configIndex, 4)
  }
})

test('thesis §4.1: a second change is refused until the first is applied', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  const add = { kind: 'simple', step: { kind: 'add-learner', memberId: four } } as const
  assert.ok(group.change(one, add).ok)
  assert.equal(isChangePending(leader), true)
  assert.deepEqual(group.change(one, add), { ok: false, error: 'change-pending' })
  group.settle()
  assert.equal(isChangePending(leader), false)
  assert.ok(group.change(one, add).ok)
})

test('thesis §4.1: a new leader waits with changes until everything it inherited is applied', () => {
  const group = groupOf(VOTERS)
  const raft = group.elect(one)
  group.isolate(two, three)
  group.change(one, { kind: 'simple', step: { kind: 'add-learner', memberId: four } })
  group.settle()
  group.tick(one, 3 * ELECTION_TICKS)
  group.settle()
  assert.equal(raft.role.kind, 'pre-candidate')
  for (const kind of ['pre-vote-response', 'vote-response'] as const) {
    step(raft, { kind, from: two, to: one, term: Term(2), isGranted: true })
    drain(raft)
  }
  assert.equal(raft.role.kind, 'leader')
  const again = group.change(one, { kind: 'simple', step: { kind: 'add-learner', memberId: five } })
  assert.deepEqual(again, { ok: false, error: 'change-pending' })
})

test('a membership change is taken on the leader only', () => {
  const group = groupOf(VOTERS)
  group.elect(one)
  const change = { kind: 'simple', step: { kind: 'add-learner', memberId: four } } as const
  assert.deepEqual(group.change(two, change), { ok: false, error: 'no-leader' })
  const forged = [{ kind: 'config', data: encodeChange(change) }] as const
  step(group.get(one), { kind: 'propose-request', from: two, to: one, term: Term(1), entries: forged })
  group.settle()
  assert.deepEqual(group.get(one).configuration.learners, [])
})

test('Raft §6: a joint change asks both majorities, and is left by itself', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  for (const id of [four, five]) group.add(id, startRaft(id, { configuration: { voters: VOTERS } }))
  group.change(one, {
    kind: 'joint',
    steps: [
      { kind: 'add-voter', memberId: four },
      { kind: 'add-voter', memberId: five },
      { kind: 'remove', memberId: two },
      { kind: 'add-learner', memberId: three },
    ],
  })
  group.isolate(four, five)
  group.settle()
  group.tickAll(2)
  assert.deepEqual(leader.configuration.votersOutgoing, [one, two, three])
  assert.deepEqual(leader.configuration.learnersNext, [three])
  assert.equal(isChangePending(leader), true)
  const committed = leader.log.committed
  group.propose(one, 'a')
  group.settle()
  assert.equal(leader.log.committed, committed, 'the old majority alone commits nothing')
  group.rejoin()
  group.tickAll(5)
  for (const id of [one, three, four, five]) {
    assert.deepEqual(group.get(id).configuration, {
      voters: [one, four, five],
      votersOutgoing: [],
      learners: [three],
      learnersNext: [],
      autoLeave: false,
    })
  }
  assert.equal(isChangePending(leader), false)
  assert.ok(leader.log.entries.some(({ kind, data }) => kind === 'config' && data === EMPTY_BYTES))
})

test('Raft §6: in a joint configuration an election needs both majorities', () => {
  const configuration = { voters: [one, four, five], votersOutgoing: VOTERS, autoLeave: true }
  const raft = startRaft(one, { configuration })
  campaign(raft)
  for (const from of [four, five]) {
    step(raft, { kind: 'pre-vote-response', from, to: one, term: Term(1), isGranted: true })
  }
  assert.equal(raft.role.kind, 'pre-candidate')
  step(raft, { kind: 'pre-vote-response', from: two, to: one, term: Term(1), isGranted: true })
  assert.equal(raft.role.kind, 'candidate')
})

test('a new leader leaves a joint configuration that it found', () => {
  const configuration = { voters: [one, two], votersOutgoing: [one, three], autoLeave: true }
  const group = groupOf([])
  for (const id of VOTERS) group.add(id, startRaft(id, { configuration }))
  group.elect(one)
  group.tickAll(2)
  for (const id of [one, two]) assert.deepEqual(group.get(id).configuration.votersOutgoing, [])
})

test('thesis §4.2.2: a leader that is removed hands over, so that the rest goes on at once', () => {
  const group = groupOf(VOTERS)
  group.elect(one)
  group.change(one, { kind: 'simple', step: { kind: 'remove', memberId: one } })
  group.settle()
  // One heartbeat for the word to take over, one for the removed leader to hear of the new term.
  group.tickAll(2)
  assert.equal(group.get(one).role.kind, 'follower')
  const leader = status(group.get(two)).leader
  assert.ok(leader === two || leader === three)
  assert.ok(group.propose(leader, 'a').ok)
  group.settle()
  assert.equal(group.get(two).log.committed, lastIndex(group.get(leader).log))
})

test('thesis §4.2.2: a removed leader takes no proposals, and stays until somebody can lead', () => {
  // The word to take over is lost, and with it the commit index: member two still needs the leader's vote.
  const group = groupOf([one, two])
  const removed = group.elect(one)
  group.change(one, { kind: 'simple', step: { kind: 'remove', memberId: one } })
  group.mail.push(...drain(removed))
  for (const message of group.mail) step(group.get(two), message)
  for (const message of drain(group.get(two))) step(removed, message)
  drain(removed)
  assert.deepEqual(removed.configuration.voters, [two])
  assert.deepEqual(group.get(two).configuration.voters, [one, two])
  assert.equal(removed.role.kind, 'leader')
  assert.deepEqual(group.propose(one, 'a'), { ok: false, error: 'removed' })
  group.mail = []
  group.tickAll(2 * ELECTION_TICKS + 2)
  assert.equal(group.get(two).role.kind, 'leader')
  assert.deepEqual(group.get(two).configuration.voters, [two])
})

test('thesis §4.2.2: a removed leader asks a voter to take over once that voter knows of the removal', () => {
  const group = groupOf([one, two])
  const removed = group.elect(one)
  const carry = (from: typeof one, to: typeof one): string[] => {
    const messages = drain(group.get(from)).filter((message) => message.to === to)
    for (const message of messages) step(group.get(to), message)
    return messages.map(({ kind }) => kind)
  }
  group.change(one, { kind: 'simple', step: { kind: 'remove', memberId: one } })
  carry(one, two)
  carry(two, one)
  assert.ok(!carry(one, two).includes('timeout-now-request'))
  assert.deepEqual(removed.configuration.voters, [two])
  carry(two, one)
  assert.deepEqual(group.get(two).configuration.voters, [two])
  assert.ok(carry(one, two).includes('timeout-now-request'))
  drain(group.get(two))
  assert.equal(group.get(two).role.kind, 'leader', 'by its own vote')
})

test('a commit index waits for the next fsync, unless a membership change is committed with it', () => {
  for (const kind of ['normal', 'config'] as const) {
    const raft = startRaft(two, { configuration: { voters: VOTERS }, term: 1 })
    const data = encodeChange({ kind: 'simple', step: { kind: 'remove', memberId: three } })
    const entries = [{ index: LogIndex(1), term: Term(1), kind, data }]
    const from = { from: one, to: two, term: Term(1) }
    const at = { prevIndex: LogIndex(0), prevTerm: Term(0), commit: LogIndex(0) }
    step(raft, { kind: 'append-request', ...from, ...at, entries })
    drain(raft)
    step(raft, { kind: 'heartbeat-request', ...from, commit: LogIndex(1), readBatch: 0 })
    const { append, committed } = ready(raft)
    assert.equal(append?.hardState?.commit, 1)
    assert.equal(append.mustSync, kind === 'config')
    assert.equal(committed.length, kind === 'config' ? 0 : 1, 'the change is applied once its commit is durable')
    appended(raft, append)
    assert.equal(ready(raft).committed.length, kind === 'config' ? 1 : 0)
  }
})

test('the answer to a heartbeat waits for the disk only where it tells that a membership change is committed', () => {
  for (const kind of ['normal', 'config'] as const) {
    const raft = startRaft(two, { configuration: { voters: VOTERS }, term: 1 })
    const from = { from: one, to: two, term: Term(1) }
    const data = encodeChange({ kind: 'simple', step: { kind: 'remove', memberId: three } })
    const at = { prevIndex: LogIndex(0), prevTerm: Term(0), commit: LogIndex(0) }
    const entries = [{ index: LogIndex(1), term: Term(1), kind, data }]
    step(raft, { kind: 'append-request', ...from, ...at, entries })
    drain(raft)
    step(raft, { kind: 'heartbeat-request', ...from, commit: LogIndex(1), readBatch: 7 })
    const { messages, append } = ready(raft)
    const answers = (sent: readonly Message[] = []): number =>
      sent.filter((message) => message.kind === 'heartbeat-response' && message.readBatch === 7).length
    assert.deepEqual([answers(messages), answers(append?.promises)], kind === 'config' ? [0, 1] : [1, 0])
  }
})

test('thesis §3.10: leadership moves to the asked member without waiting for a timeout', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.propose(one, 'a')
  assert.ok(transferLeader(leader, two).ok)
  assert.deepEqual(group.propose(one, 'b'), { ok: false, error: 'transferring' })
  group.settle()
  assert.equal(group.get(two).role.kind, 'leader')
  assert.equal(status(leader).leader, two)
})

test('thesis §3.10: a transfer that fails ends after an election timeout', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(two)
  transferLeader(leader, two)
  group.tickAll(ELECTION_TICKS - 1)
  assert.equal(status(leader).isTransferring, true)
  group.tickAll(1)
  assert.equal(status(leader).isTransferring, false)
  assert.equal(leader.role.kind, 'leader')
  assert.ok(group.propose(one, 'a').ok)
})

test('thesis §3.10: the target first gets what it lacks', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(two)
  group.propose(one, 'a', 'b')
  group.settle()
  group.rejoin()
  transferLeader(leader, two)
  assert.equal(
    drain(leader).some(({ kind }) => kind === 'timeout-now-request'),
    false,
  )
  group.tickAll(2)
  assert.equal(group.get(two).role.kind, 'leader')
  assert.equal(lastIndex(group.get(two).log), 4)
})

test('leadership goes to voters only, and only a leader can give it', () => {
  const group = groupOf(VOTERS, [four])
  const leader = group.elect(one)
  assert.deepEqual(transferLeader(leader, four), { ok: false, error: 'not-a-voter' })
  assert.deepEqual(transferLeader(leader, five), { ok: false, error: 'not-a-voter' })
  assert.deepEqual(transferLeader(group.get(two), three), { ok: false, error: 'not-leader' })
})

test('a follower hands proposals to its leader, once; without a leader it says so', () => {
  const group = groupOf(VOTERS)
  assert.deepEqual(group.propose(two, 'a'), { ok: false, error: 'no-leader' })
  group.elect(one)
  group.tickAll(1)
  assert.ok(group.propose(two, 'a', 'b').ok)
  group.settle()
  assert.equal(group.get(three).log.committed, 3)
  // One that comes to a follower has an older idea of who leads, and is not passed on.
  const stray = [{ kind: 'normal', data: EMPTY_BYTES }] as const
  step(group.get(three), { kind: 'propose-request', from: two, to: three, term: Term(1), entries: stray })
  assert.deepEqual(drain(group.get(three)), [])
})

test('the status tells what the operator asks', () => {
  const group = groupOf(VOTERS, [four])
  const leader = group.elect(one)
  group.isolate(four)
  group.propose(one, 'a')
  group.settle()
  for (let i = 0; i <= ELECTION_TICKS; i++) {
    tick(leader)
    group.settle()
  }
  const { peers, ...rest } = status(leader)
  assert.deepEqual(
    peers.map(({ id, match, isActive }) => ({ id, match, isActive })),
    [
      { id: two, match: 2, isActive: true },
      { id: three, match: 2, isActive: true },
      { id: four, match: 1, isActive: false },
    ],
  )
  assert.equal(rest.committed, 2)
  assert.equal(rest.applied, 2)
  assert.equal(rest.leader, one)
  assert.deepEqual(status(group.get(two)).peers, [])
})

test('messages of members that are gone, or not there yet, do no harm', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  const from = five
  step(leader, { kind: 'heartbeat-response', from, to: one, term: Term(1), readBatch: 9 })
  step(leader, { kind: 'vote-response', from, to: one, term: Term(1), isGranted: true })
  step(leader, { kind: 'timeout-now-request', from, to: one, term: Term(1) })
  step(leader, { kind: 'pre-vote-request', from, to: one, term: Term(2), lastIndex: LogIndex(9), lastTerm: Term(1) })
  step(leader, { kind: 'read-index-response', from, to: one, term: Term(1), requestId: 1, index: LogIndex(1) })
  const work = ready(leader)
  assert.deepEqual(work.append, undefined)
  assert.deepEqual(work.readStates, [])
  assert.equal(leader.role.kind, 'leader')
  assert.ok(propose(leader, [{ kind: 'normal', data: EMPTY_BYTES }]).ok)
})
