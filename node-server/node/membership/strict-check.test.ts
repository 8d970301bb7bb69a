import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemberId } from '../../../lib/ids.ts'
import { quorumOf, type RequestedChange } from './fence.ts'
import { refuseStrictly, type StrictFacts } from './strict-check.ts'

const id = (n: number): MemberId => MemberId(BigInt(n))
const idsTo = (count: number): MemberId[] => Array.from({ length: count }, (_, i) => id(i + 1))
const LEARNER = id(9)

interface Peers {
  /** The first so many, the leader being the first of all. */
  readonly healthy: number
  /** Connected for a second only. */
  readonly fresh?: readonly number[]
  readonly started?: number
}

/** All that are healthy have been connected for long, and answer. */
function facts(voters: number, { healthy, fresh = [], started = voters }: Peers): StrictFacts {
  const connected = idsTo(healthy).map((member) => [member, 60_000] as const)
  const answered = [...idsTo(healthy), ...fresh.map(id)]
  return {
    self: id(1),
    voters: idsTo(voters),
    learners: [LEARNER],
    started: new Set(idsTo(started)),
    answered: new Set(answered),
    connectedMs: new Map([...connected, ...fresh.map((n) => [id(n), 1000] as const)]),
  }
}

function problemOf(change: RequestedChange, given: StrictFacts): string | undefined {
  return refuseStrictly(change, given)?.problem
}

const add = (isLearner: boolean): RequestedChange => ({ kind: 'add', peerURLs: ['http://new:2380'], isLearner })
const remove = (n: number): RequestedChange => ({ kind: 'remove', memberId: id(n) })

test('a member is added while those that are connected are a quorum of one voter more, be it a learner or not', () => {
  for (let voters = 2; voters <= 7; voters++) {
    for (let healthy = 1; healthy <= voters; healthy++) {
      const expected = healthy >= quorumOf(voters + 1) ? undefined : 'unhealthy-cluster'
      for (const isLearner of [false, true])
        assert.equal(problemOf(add(isLearner), facts(voters, { healthy })), expected, `${healthy} of ${voters}`)
    }
  }
  assert.equal(problemOf(add(true), facts(3, { healthy: 2 })), 'unhealthy-cluster')
  assert.equal(problemOf(add(true), facts(4, { healthy: 3 })), undefined)
})

test('a connection counts when it has stood for 5 s and the member answers', () => {
  assert.equal(problemOf(add(false), facts(3, { healthy: 2, fresh: [3] })), 'unhealthy-cluster')
  const silent = { ...facts(3, { healthy: 3 }), answered: new Set(idsTo(2)) }
  assert.equal(problemOf(add(false), silent), 'unhealthy-cluster')
})

test('a voter is added while those that have started are a quorum of one more; a second voter always', () => {
  assert.equal(problemOf(add(false), facts(1, { healthy: 1 })), undefined)
  assert.equal(problemOf(add(false), facts(2, { healthy: 1, started: 1 })), 'not-enough-started')
  assert.equal(problemOf(add(false), facts(3, { healthy: 3, started: 2 })), 'not-enough-started')
  assert.equal(problemOf(add(true), facts(3, { healthy: 3, started: 2 })), undefined, 'a learner has no vote')
})

test('a voter is removed while the others are a quorum by themselves; one without a connection whoever else is there', () => {
  assert.equal(problemOf(remove(2), facts(3, { healthy: 3 })), undefined)
  assert.equal(problemOf(remove(2), facts(3, { healthy: 2 })), 'unhealthy-cluster')
  assert.equal(problemOf(remove(1), facts(3, { healthy: 2 })), 'unhealthy-cluster')
  assert.equal(problemOf(remove(3), facts(3, { healthy: 2 })), undefined)
  assert.equal(problemOf(remove(5), facts(5, { healthy: 1 })), undefined)
  assert.equal(problemOf(remove(2), facts(3, { healthy: 1, fresh: [2, 3] })), 'unhealthy-cluster')
  const hung = { ...facts(3, { healthy: 3 }), answered: new Set([id(1), id(2)]) }
  assert.equal(problemOf(remove(3), hung), undefined, 'one that hangs can go')
})

test('the last voter, and one on whom the others that have started depend, are not removed', () => {
  assert.equal(problemOf(remove(1), facts(1, { healthy: 1 })), 'not-enough-started')
  assert.equal(problemOf(remove(1), facts(2, { healthy: 1, started: 1 })), 'not-enough-started')
  assert.equal(problemOf(remove(2), facts(2, { healthy: 1, started: 1 })), undefined)
})

test('a learner is removed whoever else is there, and counts as started when it is promoted', () => {
  assert.equal(problemOf({ kind: 'remove', memberId: LEARNER }, facts(3, { healthy: 1, started: 1 })), undefined)
  const promote: RequestedChange = { kind: 'promote', memberId: LEARNER, maxLagEntries: 1 }
  assert.equal(problemOf(promote, facts(2, { healthy: 2, started: 1 })), undefined)
  assert.equal(problemOf(promote, facts(3, { healthy: 3, started: 1 })), 'not-enough-started')
})
