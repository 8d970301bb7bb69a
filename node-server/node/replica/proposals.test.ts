import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, MemberId, NOBODY, Term } from '../../../lib/ids.ts'
import { APPLY_SLICE, FLOW, type FlowLimits, LEASES, MAX_REQUEST_SIZE_BYTES, MAX_WAITERS } from '../../limits.ts'
import { decodeCommand } from '../../mvcc/command.ts'
import { lastIndex } from '../../raft/log.ts'
import { EMPTY_CONFIGURATION } from '../../raft/membership.ts'
import { entrySizeBytes } from '../../raft/message.ts'
import { campaign, createRaft, step, tick, transferLeader, type Raft } from '../../raft/raft.ts'
import { drain } from '../../raft/testing/group.ts'
import type { Outcome } from '../apply/applier.ts'
import { linksOf } from './late.ts'
import { DEFAULT_MAINTENANCE } from '../options.ts'
import type { Caller } from '../ports.ts'
import { Proposals, onlyInTerm } from './proposals.ts'
import { LeaseCluster } from '../testing/lease-cluster.ts'
import { settled, type VirtualClock } from '../testing/virtual-clock.ts'

const OWN = MemberId(1n)
const LEADER = MemberId(2n)
const OTHER = MemberId(3n)
const NOTHING = LogIndex(0)
const anyway = (): boolean => true

const RAFT_OPTIONS = {
  id: OWN,
  heartbeatTicks: 1,
  electionTicks: 10,
  maxMessageSizeBytes: 1024,
  maxInflightMessages: 8,
  maxInflightSizeBytes: 8192,
  maxUncommittedSizeBytes: 8192,
  maxCommittedSizeBytesPerReady: 8192,
  random: () => 0,
}

function raftOf(...voters: readonly MemberId[]): Raft {
  return raftWith({}, voters)
}

function raftWith(options: Partial<typeof RAFT_OPTIONS>, voters: readonly MemberId[]): Raft {
  const all = { ...RAFT_OPTIONS, ...options }
  return createRaft(all, {
    hardState: { term: Term(1), vote: NOBODY, commit: NOTHING },
    base: { index: NOTHING, term: Term(0) },
    configuration: { ...EMPTY_CONFIGURATION, voters },
    configIndex: NOTHING,
    entries: [],
    applied: NOTHING,
  })
}

function createProposals(
  raft: Raft,
  flow: Partial<FlowLimits> = {},
  isConnected = anyway,
): { proposals: Proposals; clock: VirtualClock } {
  const { clock, observer } = new LeaseCluster(1)
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const options = {
    maintenance: DEFAULT_MAINTENANCE,
    name: 'a',
    clientURLs: [],
    heartbeatMs: 100,
    electionMs: 1000,
    snapshotCount: 1,
    catchUpEntries: 1,
    maxLearners: 1,
    isReconfigStrict: true,
    slowApplyMs: 100,
    quotaBytes: 1,
    maxRequestBytes: 1,
    flow: { ...FLOW, ...flow },
    leases: LEASES,
    applySlice: APPLY_SLICE,
    clock,
    observer,
    log,
    random: () => 0,
  }
  return { proposals: new Proposals(options, () => linksOf(raft, () => (isConnected() ? -1 : undefined))), clock }
}

test('what is meant for one term goes into no other, and to no other leader', async () => {
  const raft = raftOf(OWN)
  const { proposals } = createProposals(raft)
  const outcomes: Outcome[] = []
  const add = (term: Term): void => {
    const command = { kind: 'lease-revoke', requestId: proposals.nextRequestId(), request: Buffer.alloc(0) } as const
    void proposals.add(command, onlyInTerm(term)).then((outcome) => outcomes.push(outcome))
  }
  add(Term(1))
  proposals.feed(raft, anyway) // a follower
  campaign(raft)
  drain(raft) // its own vote is durable
  const { term } = raft
  assert.equal(raft.role.kind, 'leader')
  const length = raft.log.entries.length
  add(Term(term - 1))
  proposals.feed(raft, anyway) // leads in a later term
  assert.equal(raft.log.entries.length, length)
  await settled()
  const refused = { kind: 'problem', problem: 'not-leader' }
  assert.deepEqual(outcomes, [refused, refused])
  add(term)
  proposals.feed(raft, anyway)
  assert.equal(raft.log.entries.length, length + 1)
})

/** A follower that forwards its proposals, each of 100 bytes as an entry; four may be under way, two go in one message. */
class Forwarding {
  readonly raft = raftOf(OWN, LEADER, OTHER)
  readonly outcomes = new Map<bigint, string>()
  readonly proposals: Proposals
  readonly clock: VirtualClock
  isOpen = true

  constructor() {
    const flow = { messageSizeBytes: 250, proposedSizeBytes: 301, heldSizeBytes: 1000 }
    const created = createProposals(this.raft, flow, () => this.isOpen)
    this.proposals = created.proposals
    this.clock = created.clock
    this.follow(LEADER, 2)
  }

  follow(leader: MemberId, term: number): void {
    step(this.raft, {
      kind: 'heartbeat-request',
      from: leader,
      to: OWN,
      term: Term(term),
      commit: NOTHING,
      readBatch: 0,
    })
  }

  /** Messages from the leader cease. */
  loseLeader(): void {
    for (let i = 0; i < 2 * RAFT_OPTIONS.electionTicks; i++) tick(this.raft)
    drain(this.raft)
  }

  add(count: number, caller?: Caller): bigint[] {
    return Array.from({ length: count }, () => {
      const requestId = this.proposals.nextRequestId()
      const request = Buffer.alloc(100 - 21 - 9)
      void this.proposals
        .add({ kind: 'put', requestId, request }, undefined, caller)
        .then((outcome) => this.outcomes.set(requestId, outcome.kind === 'problem' ? outcome.problem : outcome.kind))
      return requestId
    })
  }

  /** The requests in each message that leaves now. */
  feed(): { to: MemberId; ids: bigint[] }[] {
    this.proposals.feed(this.raft, () => this.isOpen)
    return drain(this.raft).flatMap((message) =>
      message.kind === 'propose-request'
        ? [{ to: message.to, ids: message.entries.map(({ data }) => decodeCommand(data).requestId) }]
        : [],
    )
  }

  apply(...requestIds: readonly bigint[]): void {
    for (const requestId of requestIds) this.proposals.waiters.settle(requestId, { kind: 'done' })
  }

  async outcomesOf(requestIds: readonly bigint[]): Promise<(string | undefined)[]> {
    await settled()
    return requestIds.map((requestId) => this.outcomes.get(requestId))
  }
}

test('a bounded number of bytes is under way, in messages of a bounded size, and the rest follows as results come', () => {
  const member = new Forwarding()
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = member.add(6)
  assert.deepEqual(member.feed(), [
    { to: LEADER, ids: [a, b] },
    { to: LEADER, ids: [c, d] },
  ])
  assert.deepEqual(member.feed(), [])
  member.apply(b)
  assert.deepEqual(member.feed(), [{ to: LEADER, ids: [e, f] }], 'one message may go beyond')
  const [g] = member.add(1)
  member.apply(a, c)
  assert.deepEqual(member.feed(), [{ to: LEADER, ids: [g] }])
})

test('whoever comes when too much is held is refused at once, and taken again when something is answered', async () => {
  const member = new Forwarding()
  const held = member.add(10)
  const refused = member.add(1)
  assert.deepEqual(await member.outcomesOf(refused), ['too-many-requests'])
  member.feed()
  member.apply(...held.slice(0, 1))
  const taken = member.add(1)
  assert.deepEqual(await member.outcomesOf([...held, ...taken]), [
    'done',
    ...Array.from({ length: 10 }, () => undefined),
  ])
})

test('whoever finds no room for half of its time is refused while it is certain that it was not proposed', async () => {
  const member = new Forwarding()
  const underWay = member.add(4)
  member.feed()
  const waiting = member.add(2)
  await member.clock.pass(3499)
  member.proposals.expire(member.clock.monotonicMs())
  const later = member.add(1)
  assert.deepEqual(await member.outcomesOf(waiting), [undefined, undefined])
  await member.clock.pass(1)
  member.proposals.expire(member.clock.monotonicMs())
  assert.deepEqual(await member.outcomesOf([...waiting, ...underWay, ...later]), [
    ...waiting.map(() => 'too-many-requests'),
    ...underWay.map(() => undefined),
    undefined,
  ])
  member.apply(...underWay)
  assert.deepEqual(member.feed(), [{ to: LEADER, ids: later }])
})

test('who waited for a leader until a moment ago has its time to find room with the new one', async () => {
  const member = new Forwarding()
  member.loseLeader()
  const waiting = member.add(6)
  await member.clock.pass(3500)
  member.follow(OTHER, 3)
  member.proposals.leaderChanged()
  member.feed()
  member.proposals.expire(member.clock.monotonicMs())
  assert.deepEqual(
    await member.outcomesOf(waiting),
    waiting.map(() => undefined),
  )
})

test('32,768 proposals of 1.5 MiB at once: memory and batches are bounded in bytes, and the rest is refused at once', async () => {
  const raft = raftWith({ maxUncommittedSizeBytes: FLOW.uncommittedSizeBytes }, [OWN])
  const { proposals } = createProposals(raft)
  campaign(raft)
  drain(raft) // its own vote is durable
  const request = Buffer.alloc(1.5 * 1024 * 1024)
  const outcomes: Outcome[] = []
  for (let i = 0; i < MAX_WAITERS; i++) {
    const command = { kind: 'put', requestId: proposals.nextRequestId(), request } as const
    void proposals.add(command).then((outcome) => outcomes.push(outcome))
  }
  await settled()
  const taken = proposals.waiters.size
  assert.equal(taken, Math.floor(FLOW.heldSizeBytes / entrySizeBytes({ data: request })))
  assert.equal(outcomes.length, MAX_WAITERS - taken)
  for (const outcome of outcomes) assert.deepEqual(outcome, { kind: 'problem', problem: 'too-many-requests' })
  const before = lastIndex(raft.log)
  proposals.feed(raft, anyway)
  const appended = raft.log.entries.filter(({ index }) => index > before)
  const sizeBytes = appended.reduce((sum, entry) => sum + entrySizeBytes(entry), 0)
  assert.ok(sizeBytes <= FLOW.proposedSizeBytes + MAX_REQUEST_SIZE_BYTES, `${sizeBytes} bytes are handed over at once`)
})

test('while there is no way to the leader proposals wait where they are, until their deadline at most', async () => {
  const member = new Forwarding()
  member.isOpen = false
  const early = member.add(2)
  assert.deepEqual(member.feed(), [])
  await member.clock.pass(6000)
  const late = member.add(2)
  await member.clock.pass(1000)
  member.proposals.expire(member.clock.monotonicMs())
  assert.deepEqual(await member.outcomesOf(early), ['connection-lost', 'connection-lost'])
  member.isOpen = true
  assert.deepEqual(member.feed(), [{ to: LEADER, ids: late }], 'what nobody waits for any more is not proposed')
})

test('after a change of leader nothing is proposed again; what was not proposed goes to the new one, and has its own time', async () => {
  const member = new Forwarding()
  const sent = member.add(4)
  const waiting = member.add(2)
  member.feed()
  await member.clock.pass(1)
  member.follow(OTHER, 3)
  member.proposals.leaderChanged()
  assert.deepEqual(member.feed(), [{ to: OTHER, ids: waiting }])
  await member.clock.pass(300)
  member.proposals.expire(member.clock.monotonicMs())
  assert.deepEqual(await member.outcomesOf([...sent, ...waiting]), [
    ...sent.map(() => 'leader-failed'),
    ...waiting.map(() => undefined),
  ])
})

test('with a lost connection what was on its way takes no room any more, and is not proposed again', async () => {
  const member = new Forwarding()
  const sent = member.add(4)
  const waiting = member.add(4)
  member.feed()
  member.proposals.wayLost()
  assert.deepEqual(
    member.feed().flatMap(({ ids }) => ids),
    waiting,
  )
  member.apply(...sent)
  assert.deepEqual(
    await member.outcomesOf(sent),
    sent.map(() => 'done'),
  )
  member.add(2)
  assert.deepEqual(member.feed(), [], 'an answer to what was given up frees no room of those behind it')
})

test('while there is no leader writes wait for the next one, which gets them once and in order', async () => {
  const member = new Forwarding()
  member.loseLeader()
  const waiting = member.add(2)
  assert.deepEqual(member.feed(), [])
  await member.clock.pass(5000)
  member.proposals.expire(member.clock.monotonicMs())
  member.follow(OTHER, 3)
  member.proposals.leaderChanged()
  assert.deepEqual(member.feed(), [{ to: OTHER, ids: waiting }])
  member.loseLeader()
  member.follow(LEADER, 4)
  assert.deepEqual(member.feed(), [], 'what was proposed is not proposed again')
  member.apply(...waiting)
  assert.deepEqual(await member.outcomesOf(waiting), ['done', 'done'])
})

test('a write that found no leader in its time was never proposed, and is told so', async () => {
  const member = new Forwarding()
  const sent = member.add(1)
  member.feed()
  member.loseLeader()
  const waiting = member.add(1)
  member.feed()
  await member.clock.pass(6999)
  member.proposals.expire(member.clock.monotonicMs())
  assert.deepEqual(await member.outcomesOf([...sent, ...waiting]), [undefined, undefined])
  await member.clock.pass(1)
  member.proposals.expire(member.clock.monotonicMs())
  assert.deepEqual(await member.outcomesOf([...sent, ...waiting]), ['timeout', 'not-proposed'])
  member.follow(OTHER, 3)
  assert.deepEqual(member.feed(), [])
})

test('a write whose caller has gone while it waited is not proposed', async () => {
  const member = new Forwarding()
  member.loseLeader()
  const gone = new AbortController()
  const given = member.add(1, gone)
  const kept = member.add(1, new AbortController())
  member.feed()
  await member.clock.pass(200)
  gone.abort()
  member.follow(OTHER, 3)
  assert.deepEqual(member.feed(), [{ to: OTHER, ids: kept }])
  assert.deepEqual(await member.outcomesOf(given), ['not-proposed'])
})

test('a membership change waits for no other leader', async () => {
  const member = new Forwarding()
  member.loseLeader()
  const requestId = member.proposals.nextRequestId()
  const change = { kind: 'remove', memberId: OTHER } as const
  const told = member.proposals.add({
    kind: 'membership',
    requestId,
    operationId: '',
    expectedConfigIndex: NOTHING,
    change,
  })
  member.feed()
  assert.deepEqual(await told, { kind: 'problem', problem: 'not-leader' })
})

test('a leader that hands over keeps new writes for who leads then', async () => {
  const member = new Forwarding()
  const { raft } = member
  member.loseLeader()
  campaign(raft)
  const grant = { from: LEADER, to: OWN, term: Term(raft.term + 1), isGranted: true } as const
  step(raft, { kind: 'pre-vote-response', ...grant })
  drain(raft)
  step(raft, { kind: 'vote-response', ...grant })
  drain(raft)
  assert.equal(raft.role.kind, 'leader')
  assert.ok(transferLeader(raft, LEADER).ok)
  const length = raft.log.entries.length
  const waiting = member.add(2)
  member.feed()
  assert.equal(raft.log.entries.length, length)
  assert.deepEqual(await member.outcomesOf(waiting), [undefined, undefined])
  member.follow(LEADER, raft.term + 1)
  assert.deepEqual(member.feed(), [{ to: LEADER, ids: waiting }])
})

test('while others are without an answer, a few proposals wait for more, as long as turns bring more, and not for long', () => {
  const raft = raftOf(OWN)
  campaign(raft)
  drain(raft)
  const { proposals } = createProposals(raft)
  const come = (count: number): void => {
    for (let i = 0; i < count; i++)
      void proposals.add({ kind: 'put', requestId: proposals.nextRequestId(), request: Buffer.from('a') })
  }
  assert.equal(proposals.gathers(), false, 'nothing waits')
  come(1)
  assert.equal(proposals.gathers(), false, 'nobody else is there')
  come(99)
  proposals.feed(raft, anyway)
  come(1)
  assert.equal(proposals.gathers(), true)
  assert.equal(proposals.gathers(), false, 'the turn has brought nothing')
  const turns = Array.from({ length: 5 }, () => {
    come(1)
    return proposals.gathers()
  })
  assert.deepEqual(turns, [true, true, true, true, false])
  come(200)
  assert.equal(proposals.gathers(), false, 'more than half of all')
})
