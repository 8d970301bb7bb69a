import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, NOBODY, Term } from '../../lib/ids.ts'
import { lastIndex } from './log.ts'
import type { Message } from './message.ts'
import { appended, campaign, hasReady, ready, status, step, tick } from './raft.ts'
import {
  drain,
  ELECTION_TICKS,
  encodeChange,
  entry,
  five,
  four,
  groupOf,
  Group,
  one,
  startRaft,
  three,
  two,
} from './testing/group.ts'

const VOTERS = [one, two, three]
const configuration = { voters: VOTERS }

const voteRequest = (term: number, lastIndex: number, lastTerm: number, isTransfer = false): Message => ({
  kind: 'vote-request',
  from: two,
  to: one,
  term: Term(term),
  lastIndex: LogIndex(lastIndex),
  lastTerm: Term(lastTerm),
  isTransfer,
})

const voteOf = (messages: readonly Message[]): boolean | undefined => {
  const vote = messages.find((message) => message.kind === 'vote-response')
  return vote?.isGranted
}

test('Raft §5.2: a follower that hears no leader stands for election and wins with a majority', () => {
  const group = groupOf(VOTERS)
  group.isolate(three)
  const leader = group.elect(one)
  assert.equal(leader.role.kind, 'leader')
  assert.equal(leader.term, 1)
  assert.equal(status(group.get(two)).leader, one)
})

test('Raft §5.2: without a majority nobody leads', () => {
  const group = groupOf([one, two, three, four, five])
  group.isolate(three, four, five)
  assert.equal(group.elect(one).role.kind, 'pre-candidate')
})

test('Raft §5.2: election timeouts are random between one and two times electionTicks', () => {
  for (const [random, ticks] of [
    [0, ELECTION_TICKS],
    [0.999, 2 * ELECTION_TICKS - 1],
  ] as const) {
    const raft = startRaft(one, { configuration }, { random: () => random })
    for (let i = 0; i < ticks - 1; i++) tick(raft)
    assert.equal(raft.role.kind, 'follower')
    tick(raft)
    assert.equal(raft.role.kind, 'pre-candidate')
  }
})

test('Raft §5.2: one vote a term, also after a restart with what was durable', () => {
  const raft = startRaft(one, { configuration, term: 1 })
  step(raft, voteRequest(2, 0, 0))
  const { messages, append } = ready(raft)
  assert.deepEqual(append?.hardState, { term: 2, vote: two, commit: 0 })
  assert.equal(append.mustSync, true)
  assert.equal(voteOf(messages), undefined, 'a vote waits for the disk')
  assert.equal(voteOf(append.promises), true)
  const again = startRaft(one, { configuration, term: 2, vote: two })
  step(again, { ...voteRequest(2, 9, 1), from: three })
  assert.equal(voteOf(drain(again)), false)
  step(again, voteRequest(2, 0, 0))
  assert.equal(voteOf(drain(again)), true, 'the same candidate is answered again')
})

test('Raft §5.2: a vote given later in a term that is durable already is made durable too', () => {
  const raft = startRaft(one, { configuration, terms: [1, 1] })
  step(raft, voteRequest(2, 1, 1))
  assert.equal(voteOf(drain(raft)), false)
  step(raft, { ...voteRequest(2, 2, 1), from: three })
  const { append } = ready(raft)
  assert.deepEqual(append?.hardState, { term: 2, vote: three, commit: 0 })
  assert.equal(append.mustSync, true)
})

test('thesis §9.6: a pre-vote for a term that is not new is denied, with the term to catch up to', () => {
  for (const term of [3, 4]) {
    const raft = startRaft(one, { configuration, term: 4 })
    const last = { lastIndex: LogIndex(9), lastTerm: Term(4) }
    step(raft, { kind: 'pre-vote-request', from: two, to: one, term: Term(term), ...last })
    assert.deepEqual(drain(raft), [{ kind: 'pre-vote-response', from: one, to: two, term: Term(4), isGranted: false }])
  }
})

test('Raft §5.4.1: the vote goes only to a log that is at least as complete', () => {
  const terms = [1, 1, 2]
  for (const [index, term, isGranted] of [
    [3, 2, true],
    [4, 2, true],
    [1, 3, true],
    [2, 2, false],
    [9, 1, false],
  ] as const) {
    const raft = startRaft(one, { configuration, terms })
    step(raft, voteRequest(3, index, term))
    assert.equal(voteOf(drain(raft)), isGranted, `last entry ${index}, term ${term}`)
    const preVoter = startRaft(one, { configuration, terms })
    const { isTransfer: _, ...request } = {
      ...voteRequest(3, index, term),
      kind: 'pre-vote-request' as const,
      isTransfer: false,
    }
    step(preVoter, { ...request, lastIndex: LogIndex(index), lastTerm: Term(term) })
    const answer = drain(preVoter).find((message) => message.kind === 'pre-vote-response')
    assert.equal(answer?.isGranted, isGranted)
    assert.equal(preVoter.term, 2, 'a pre-vote changes no term')
  }
})

test('Raft §5.1: a higher term in any message makes a leader follow', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  step(leader, { kind: 'heartbeat-response', from: two, to: one, term: Term(7), readBatch: 0 })
  assert.equal(leader.role.kind, 'follower')
  assert.equal(leader.term, 7)
  assert.equal(leader.vote, NOBODY)
})

test('a leader of an old term is told the new one', () => {
  const raft = startRaft(one, { configuration, term: 5 })
  step(raft, { kind: 'heartbeat-request', from: two, to: one, term: Term(4), commit: LogIndex(0), readBatch: 0 })
  const [answer] = drain(raft)
  assert.equal(answer?.kind, 'append-response')
  assert.equal(answer.term, 5)
})

test('Raft §5.2: a candidate follows a leader of its own term', () => {
  const raft = startRaft(one, { configuration })
  campaign(raft)
  step(raft, { kind: 'pre-vote-response', from: two, to: one, term: Term(1), isGranted: true })
  drain(raft)
  assert.equal(raft.role.kind, 'candidate')
  step(raft, { kind: 'heartbeat-request', from: three, to: one, term: Term(1), commit: LogIndex(0), readBatch: 0 })
  assert.equal(raft.role.kind, 'follower')
  assert.equal(status(raft).leader, three)
})

test('thesis §9.6: who cannot win does not disturb others with a new term', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(three)
  for (let i = 0; i < 10; i++) {
    group.tick(three, 2 * ELECTION_TICKS)
    group.settle()
  }
  assert.equal(group.get(three).term, 1)
  group.rejoin()
  group.tickAll(3)
  assert.equal(leader.role.kind, 'leader')
  assert.equal(leader.term, 1)
})

test('thesis §9.6: a pre-vote granted for an earlier attempt does not count', () => {
  const raft = startRaft(one, { configuration, term: 4 })
  campaign(raft)
  step(raft, { kind: 'pre-vote-response', from: two, to: one, term: Term(4), isGranted: true })
  assert.equal(raft.role.kind, 'pre-candidate')
  step(raft, { kind: 'pre-vote-response', from: two, to: one, term: Term(5), isGranted: true })
  assert.equal(raft.role.kind, 'candidate')
})

test('thesis §4.2.3: while a leader is heard, vote requests are ignored unless it handed over', () => {
  const heard = (): ReturnType<typeof startRaft> => {
    const raft = startRaft(one, { configuration, term: 1 })
    step(raft, { kind: 'heartbeat-request', from: three, to: one, term: Term(1), commit: LogIndex(0), readBatch: 0 })
    drain(raft)
    return raft
  }
  const loyal = heard()
  step(loyal, voteRequest(2, 0, 0))
  assert.deepEqual(drain(loyal), [])
  assert.equal(loyal.term, 1)
  const handedOver = heard()
  step(handedOver, voteRequest(2, 0, 0, true))
  assert.equal(voteOf(drain(handedOver)), true)
  const waited = heard()
  for (let i = 0; i < ELECTION_TICKS - 1; i++) tick(waited)
  step(waited, voteRequest(2, 0, 0))
  assert.equal(waited.term, 1)
  waited.electionElapsed = ELECTION_TICKS
  step(waited, voteRequest(2, 0, 0))
  assert.equal(voteOf(drain(waited)), true)
})

test('thesis §6.2 (CheckQuorum): a leader that hears no majority for an election timeout steps down', () => {
  const group = groupOf(VOTERS)
  const leader = group.elect(one)
  group.isolate(two, three)
  for (let i = 0; i < 3 * ELECTION_TICKS; i++) {
    tick(leader)
    group.settle()
    if (leader.role.kind !== 'leader') return
  }
  assert.fail('it still leads')
})

test('CheckQuorum: learners do not count as the majority that is heard', () => {
  const group = groupOf(VOTERS, [four, five])
  const leader = group.elect(one)
  group.isolate(two, three)
  group.tickAll(2 * ELECTION_TICKS)
  assert.notEqual(leader.role.kind, 'leader')
})

test('a single voter leads only once its own vote is durable', () => {
  const raft = startRaft(one, { configuration: { voters: [one], learners: [two] } })
  campaign(raft)
  assert.equal(raft.role.kind, 'candidate')
  const { messages, append } = ready(raft)
  assert.deepEqual(append?.hardState, { term: 1, vote: one, commit: 0 })
  assert.equal(append.mustSync, true)
  assert.deepEqual(messages, [], 'nothing of the new term leaves before the fsync')
  appended(raft, append)
  assert.equal(raft.role.kind, 'leader')
  assert.equal(hasReady(raft), true)
})

test('an election is won by votes of voters only', () => {
  const group = groupOf(VOTERS, [four, five])
  group.isolate(two, three)
  const raft = group.get(one)
  campaign(raft)
  for (const from of [four, five]) {
    step(raft, { kind: 'pre-vote-response', from, to: one, term: Term(1), isGranted: true })
  }
  assert.equal(raft.role.kind, 'pre-candidate')
})

test('only a voter stands for election: no learner, no member outside of the configuration, none without one', () => {
  for (const configuration of [{ voters: [two], learners: [one] }, { voters: [two] }, {}]) {
    const raft = startRaft(one, { configuration })
    campaign(raft)
    for (let i = 0; i < 5 * ELECTION_TICKS; i++) tick(raft)
    step(raft, { kind: 'timeout-now-request', from: two, to: one, term: Term(0) })
    assert.equal(raft.role.kind, 'follower')
    assert.deepEqual(drain(raft), [])
  }
})

test('a learner stops believing in a leader that it no longer hears', () => {
  const raft = startRaft(one, { configuration: { voters: [two], learners: [one] }, term: 1 })
  step(raft, { kind: 'heartbeat-request', from: two, to: one, term: Term(1), commit: LogIndex(0), readBatch: 0 })
  assert.equal(status(raft).leader, two)
  for (let i = 0; i < 2 * ELECTION_TICKS; i++) tick(raft)
  assert.equal(status(raft).leader, NOBODY)
})

test('thesis §4.1: nobody stands for election before every committed membership change is applied', () => {
  const raft = startRaft(one, { configuration, term: 1, terms: [1] })
  const change = {
    ...entry(2, 1),
    kind: 'config' as const,
    data: encodeChange({ kind: 'simple', step: { kind: 'add-voter', memberId: four } }),
  }
  const at = { from: two, to: one, term: Term(1), prevIndex: LogIndex(1), prevTerm: Term(1) }
  step(raft, { kind: 'append-request', ...at, entries: [change], commit: LogIndex(2) })
  for (let i = 0; i < 3 * ELECTION_TICKS; i++) tick(raft)
  step(raft, { kind: 'timeout-now-request', from: two, to: one, term: Term(1) })
  assert.equal(raft.role.kind, 'follower')
  drain(raft)
  for (let i = 0; i < 3 * ELECTION_TICKS; i++) tick(raft)
  assert.equal(raft.role.kind, 'pre-candidate')
  assert.deepEqual(raft.configuration.voters, [one, two, three, four])
})

test('Raft §5.4: the newest log wins, whoever stands first', () => {
  const members = [
    [one, [1]],
    [two, [1, 2]],
    [three, [1, 2]],
  ] as const
  const group = new Group(new Map(members.map(([id, terms]) => [id, startRaft(id, { terms, term: 2, configuration })])))
  group.elect(one)
  assert.notEqual(group.get(one).role.kind, 'leader')
  const leader = group.elect(two)
  assert.equal(leader.role.kind, 'leader')
  assert.equal(lastIndex(group.get(one).log), lastIndex(leader.log))
})
