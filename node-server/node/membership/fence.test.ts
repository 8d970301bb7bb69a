import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, MemberId } from '../../../lib/ids.ts'
import { quorumOf, refuse, refuseUnchecked, type LeaderFacts } from './fence.ts'

const id = (n: number): MemberId => MemberId(BigInt(n))

function facts(voters: number, healthy: number, more: Partial<LeaderFacts> = {}): LeaderFacts {
  const ids = Array.from({ length: voters }, (_, i) => id(i + 1))
  return {
    configIndex: LogIndex(7),
    isChangePending: false,
    maxLearners: 1,
    voters: ids,
    learners: [],
    answered: new Set(ids.slice(0, healthy)),
    lastIndex: LogIndex(100),
    matchIndex: new Map(),
    peerURLs: new Map(ids.map((member) => [member, [`http://m${member}:2380`]])),
    ...more,
  }
}

test('a decision on another configuration is stale and is told the one in force', () => {
  const change = { kind: 'remove', memberId: id(3) } as const
  assert.deepEqual(refuse(change, LogIndex(6), facts(3, 3))?.error.configIndex, 7)
  assert.equal(refuse(change, LogIndex(8), facts(3, 3))?.error.code, 'ConfigIndexStale')
  assert.equal(refuse(change, LogIndex(7), facts(3, 3)), undefined)
})

test('a second change in flight is refused', () => {
  assert.equal(
    refuse({ kind: 'remove', memberId: id(3) }, LogIndex(7), facts(3, 3, { isChangePending: true }))?.error.code,
    'ChangeInFlight',
  )
})

test('a removal passes exactly when a quorum is healthy before and after it', () => {
  for (let voters = 1; voters <= 7; voters++) {
    for (let healthy = 1; healthy <= voters; healthy++) {
      for (const target of [1, voters]) {
        const isTargetHealthy = target <= healthy
        const isSafe =
          voters > 1 && healthy >= quorumOf(voters) && healthy - Number(isTargetHealthy) >= quorumOf(voters - 1)
        const refusal = refuse({ kind: 'remove', memberId: id(target) }, undefined, facts(voters, healthy))
        assert.equal(
          refusal?.error.code,
          isSafe ? undefined : 'QuorumAtRisk',
          `${voters} voters, ${healthy} healthy, remove ${target}`,
        )
      }
    }
  }
})

test('the refusal has the arithmetic', () => {
  const message = refuse({ kind: 'remove', memberId: id(1) }, undefined, facts(3, 2))?.error.message ?? ''
  assert.match(message, /2 of 2 voters are needed after the change, 1 are healthy/)
})

test('a learner is promoted only when it is close enough, and then counts in the quorum', () => {
  const learner = id(9)
  const change = { kind: 'promote', memberId: learner, maxLagEntries: 10 } as const
  const at = (match: number, answered: readonly MemberId[]): LeaderFacts =>
    facts(3, 3, { learners: [learner], answered: new Set(answered), matchIndex: new Map([[learner, LogIndex(match)]]) })
  assert.deepEqual(refuse(change, undefined, at(89, [id(1), id(2), id(3), learner]))?.error.lag, 11)
  assert.equal(refuse(change, undefined, at(0, [id(1), id(2), id(3), learner]))?.error.code, 'LearnerLagging')
  assert.equal(refuse(change, undefined, at(90, [id(1), id(2), id(3), learner])), undefined)
  assert.equal(refuse(change, undefined, at(90, [id(1), id(2)]))?.error.code, 'QuorumAtRisk')
  assert.equal(refuse({ ...change, memberId: id(2) }, undefined, at(90, [id(1)]))?.error.code, 'NotFound')
})

test('one learner at a time, and no peer URL twice', () => {
  const change = { kind: 'add', isLearner: true, peerURLs: ['http://new:2380'] } as const
  assert.equal(refuse(change, undefined, facts(3, 3)), undefined)
  assert.equal(refuse(change, undefined, facts(3, 3, { learners: [id(9)] }))?.error.code, 'Conflict')
  assert.match(
    refuse({ ...change, peerURLs: ['http://m2:2380'] }, undefined, facts(3, 3))?.error.message ?? '',
    /http:\/\/m2:2380/,
  )
})

test('unchecked, a change may cost the quorum, but not the last voter, and all else is asked as ever', () => {
  const remove = { kind: 'remove', memberId: id(1) } as const
  assert.equal(refuse(remove, undefined, facts(3, 2))?.problem, 'unhealthy-cluster')
  assert.equal(refuseUnchecked(remove, undefined, facts(3, 2)), undefined)
  assert.match(refuseUnchecked(remove, undefined, facts(1, 1))?.error.message ?? '', /last voter/)
  assert.equal(refuseUnchecked(remove, LogIndex(6), facts(3, 3))?.error.code, 'ConfigIndexStale')
  assert.equal(
    refuseUnchecked({ kind: 'remove', memberId: id(9) }, undefined, facts(3, 3))?.problem,
    'member-not-found',
  )
})
