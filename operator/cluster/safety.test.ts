import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionFailed } from '../../lib/assert.ts'
import { membershipOf } from './membership.ts'
import type { Membership, Observed, ObservedVolume } from './observed.ts'
import { newOperation } from './operation.ts'
import { inFlight, type Plan, waiting } from './plan.ts'
import { assertSafe, canRemove, isOnTwoVoters, quorumOf } from './safety.ts'
import { statusOf } from './status.ts'
import { cluster, membership, observedWith, pod } from './testing/observed.ts'

test('a voter may go when the healthy ones can commit it and go on: every case up to five', () => {
  for (let voters = 1; voters <= 5; voters++) {
    for (let healthy = 0; healthy <= voters; healthy++) {
      for (let removed = 1; removed <= voters; removed++) {
        const isHealthy = removed <= healthy
        const isSafe = healthy >= quorumOf(voters) && voters > 1 && healthy - Number(isHealthy) >= quorumOf(voters - 1)
        assert.equal(canRemove(membership(voters, healthy), String(removed)), isSafe, `${voters} ${healthy} ${removed}`)
      }
      assert.equal(canRemove(membership(voters, healthy), 'a'), healthy >= quorumOf(voters), 'a learner has no vote')
    }
  }
})

test('the word of a leader of an older term does not count', () => {
  const found = membershipOf(cluster(), [
    pod(0, { role: 'leader', term: 2, memberId: '1', configIndex: 1 }),
    pod(1, { term: 3, memberId: '2', configIndex: 1 }),
  ])
  assert(found !== undefined)
  assert.equal(found.leader, undefined)
})

test('the word of a leader that knows less than was recorded does not count', () => {
  const leader = pod(0, { role: 'leader', term: 5, configIndex: 10, memberId: '1', voters: ['1'] })
  assert.notEqual(membershipOf(cluster({ configIndex: 10, term: 5 }), [leader])?.leader, undefined)
  assert.equal(membershipOf(cluster({ configIndex: 11, term: 5 }), [leader])?.leader, undefined)
  assert.equal(membershipOf(cluster({ configIndex: 10, term: 6 }), [leader])?.leader, undefined)
})

test('the word of a leader that has not heard from a quorum does not count: whom it calls silent may be well', () => {
  const peer = (id: string, isActive: boolean) => ({ id, matchIndex: 9, lag: 0, state: 'replicate', isActive }) as const
  const leader = { role: 'leader', memberId: '1', configIndex: 1, voters: ['1', '2', '3'] } as const
  const found = (heard: number): string | undefined =>
    membershipOf(cluster(), [pod(0, { ...leader, peers: ['2', '3'].map((id, i) => peer(id, i < heard)) })])?.leader
      ?.memberId
  assert.deepEqual([found(0), found(1), found(2)], [undefined, '1', '1'])
})

test('while a recovery is under way, a survivor that is alone counts whatever terms the others have', () => {
  const operation = { id: 'o', type: 'Recover', step: 'Recover', ordinal: 0, startedAt: '2030-01-01T00:00:00Z' }
  const others = pod(1, { memberId: '2', configIndex: 1, term: 9, voters: ['1', '2', '3'] })
  const leads = (voters: readonly string[], memberID: string): boolean =>
    membershipOf(cluster({ operation: { ...operation, memberID } }), [
      pod(0, { role: 'leader', configIndex: 2, memberId: '1', voters, term: 3 }),
      others,
    ])?.leader !== undefined
  assert.equal(leads(['1'], '1'), true)
  assert.equal(leads(['1'], '3'), false)
  assert.equal(leads(['1', '2'], '1'), false)
})

test('members that wait, were removed, have just joined or belong to another cluster have no say', () => {
  const silent = [
    pod(0, { role: 'waiting' }),
    pod(1, { role: 'removed' }),
    pod(2, { role: 'leader', clusterId: 'other', configIndex: 1 }),
    pod(3, { role: 'follower', memberId: '4', configIndex: 0 }),
  ]
  assert.equal(membershipOf(cluster(), silent), undefined)
})

test('a member that is behind does not make those forgotten whom the leader has told of', () => {
  const known = { name: 'kv-2', ordinal: 2, id: '3', role: 'leader', ready: true }
  const recorded = cluster({ configIndex: 7, voters: 1, members: [known] })
  const namesIn = (changes: Partial<Membership>): readonly string[] => {
    const observed = observedWith(membership(1, 1, changes), recorded)
    const input = { observed, plan: waiting('', ''), recorded: recorded.recorded, operation: undefined }
    return statusOf({ ...input, failure: undefined, refusals: [], memory: undefined, usersFound: [] }).members.map(
      ({ name }) => name,
    )
  }
  assert.deepEqual(namesIn({ leader: undefined, configIndex: 6 }), ['kv-2'])
  assert.deepEqual(namesIn({ leader: undefined, configIndex: 7 }), ['kv-0'])
  assert.deepEqual(namesIn({ configIndex: 7 }), ['kv-0'])
})

test('two voters have what a recovery went on with: heard, and behind the configuration that made them so', () => {
  const peers = (matchIndex: number): Membership['peers'] =>
    new Map([['2', { matchIndex, lag: 0, state: 'replicate' as const }]])
  const isSafe = (voters: number, healthy: number, matchIndex: number, replicas = 5): boolean =>
    isOnTwoVoters(
      observedWith(
        membership(voters, healthy, { peers: peers(matchIndex) }),
        cluster({ configIndex: 7 }, { replicas }),
      ),
    )
  assert.equal(isSafe(1, 1, 0), false)
  assert.equal(isSafe(2, 2, 6), false)
  assert.equal(isSafe(2, 2, 7), true)
  assert.equal(isSafe(2, 1, 7), false)
  assert.equal(isSafe(1, 1, 0, 1), true, 'no second one is wanted')
})

test('a plan that breaks a rule of safety stops the process, whichever rule made it', () => {
  const observed = observedWith(membership(3, 3))
  const operation = newOperation(observed, {
    type: 'ScaleDown',
    step: 'RemoveMember',
    ordinal: 2,
    verb: 'remove',
    subject: '3',
  })
  const record = { kind: 'record-operation', operation } as const
  const remove = (memberId: string, expectedConfigIndex = 7) =>
    ({
      kind: 'change-membership',
      url: '',
      request: { kind: 'remove', operationId: operation.id, expectedConfigIndex, memberId },
    }) as const
  const ref = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'ns', name: 'data-kv-1' }
  const volume = { kind: 'delete-volume', ref, uid: 'x', ordinal: 1 } as const
  const refused = (found: Observed, plan: Plan): void => assert.throws(() => assertSafe(found, plan), AssertionFailed)

  assertSafe(observed, inFlight('', '', operation, [record, remove('3')]))
  refused(observed, inFlight('', '', operation, [remove('3'), record]))
  refused(observed, inFlight('', '', operation, [record, remove('3'), remove('2')]))
  refused(observed, inFlight('', '', operation, [record, remove('3', 6)]))
  refused(observedWith(membership(3, 2)), inFlight('', '', operation, [record, remove('1')]))
  refused(observedWith(membership(3, 3, { isChangePending: true })), inFlight('', '', operation, [record, remove('3')]))
  refused(observedWith(membership(3, 3, { leader: undefined })), inFlight('', '', operation, [record, remove('3')]))
  refused(observed, { ...waiting('', ''), actions: [volume] })
  assertSafe(observed, { ...waiting('', ''), actions: [{ ...volume, ordinal: 3 }] })

  const former = [1, 2].map((ordinal) => ({ ...volume, ordinal }))
  const alone = {
    ...observedWith(membership(1, 1), cluster({ configIndex: 7, staleVolumes: ['x'] }, { replicas: 3 })),
    volumes: new Map([1, 2].map((ordinal) => [ordinal, volumeOf(ordinal)])),
  }
  refused(alone, { ...waiting('', ''), actions: former })
  assertSafe(alone, { ...waiting('', ''), actions: former.slice(1) })
})

function volumeOf(ordinal: number): ObservedVolume {
  const size = {
    isOwned: false,
    isMarked: true,
    clusterID: 'c',
    requestedSize: '1Gi',
    capacity: '1Gi',
    phase: 'Bound',
    refusal: undefined,
  }
  return { ordinal, name: `data-kv-${ordinal}`, uid: 'x', isTerminating: false, stuck: undefined, ...size }
}
