import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, MemberId, NOBODY, Term } from '../../lib/ids.ts'
import { FLOW } from '../limits.ts'
import { EMPTY_CONFIGURATION } from '../raft/membership.ts'
import { advance, campaign, createRaft, hasReady, ready, type Raft } from '../raft/raft.ts'
import type { Outcome } from './applier.ts'
import { DEFAULT_MAINTENANCE } from './options.ts'
import { Proposals } from './proposals.ts'
import { LeaseCluster } from './testing/lease-cluster.ts'
import { settled } from './testing/virtual-clock.ts'

const OWN = MemberId(1n)
const NOTHING = LogIndex(0)
const anyway = (): boolean => true

/** Alone in its cluster: it leads as soon as it wants to. */
function lonelyRaft(): Raft {
  const options = {
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
  return createRaft(options, {
    hardState: { term: Term(1), vote: NOBODY, commit: NOTHING },
    base: { index: NOTHING, term: Term(0) },
    configuration: { ...EMPTY_CONFIGURATION, voters: [OWN] },
    configIndex: NOTHING,
    entries: [],
    applied: NOTHING,
  })
}

test('what is meant for one term goes into no other, and to no other leader', async () => {
  const { clock, observer } = new LeaseCluster(1)
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const rest = {
    maintenance: DEFAULT_MAINTENANCE,
    name: 'a',
    clientURLs: [],
    heartbeatMs: 100,
    snapshotCount: 1,
    catchUpEntries: 1,
    maxLearners: 1,
    slowApplyMs: 100,
    quotaBytes: 1,
    maxRequestBytes: 1,
    flow: FLOW,
  }
  const proposals = new Proposals({ ...rest, electionMs: 1000, clock, observer, log, random: () => 0 })
  const outcomes: Outcome[] = []
  const add = (term: Term): void => {
    const command = { kind: 'lease-revoke', requestId: proposals.nextRequestId(), request: Buffer.alloc(0) } as const
    void proposals.add(command, term).then((outcome) => outcomes.push(outcome))
  }
  const raft = lonelyRaft()
  add(Term(1))
  proposals.feed(raft, anyway) // a follower
  campaign(raft)
  while (hasReady(raft)) advance(raft, ready(raft)) // its own vote is durable
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
