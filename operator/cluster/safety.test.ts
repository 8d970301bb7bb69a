import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionFailed } from '../../lib/assert.ts'
import { membershipOf } from './membership.ts'
import type { Observed } from './observed.ts'
import { newOperation } from './operation.ts'
import { inFlight, type Plan, waiting } from './plan.ts'
import { assertSafe, canRemove, quorumOf } from './safety.ts'
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
    pod(0, { role: 'leader', term: 2, memberId: '1' }),
    pod(1, { term: 3, memberId: '2' }),
  ])
  assert.equal(found?.leader, undefined)
})

test('the word of a leader that knows less than was recorded does not count', () => {
  const leader = pod(0, { role: 'leader', term: 5, configIndex: 10, memberId: '1', voters: ['1'] })
  assert.notEqual(membershipOf(cluster({ configIndex: 10, term: 5 }), [leader])?.leader, undefined)
  assert.equal(membershipOf(cluster({ configIndex: 11, term: 5 }), [leader])?.leader, undefined)
  assert.equal(membershipOf(cluster({ configIndex: 10, term: 6 }), [leader])?.leader, undefined)
})

test('the word of a leader that has not heard from a quorum does not count: whom it calls silent may be well', () => {
  const peer = (id: string, isActive: boolean) => ({ id, matchIndex: 9, lag: 0, state: 'replicate', isActive }) as const
  const leader = { role: 'leader', memberId: '1', voters: ['1', '2', '3'] } as const
  const found = (heard: number): string | undefined =>
    membershipOf(cluster(), [pod(0, { ...leader, peers: ['2', '3'].map((id, i) => peer(id, i < heard)) })])?.leader
      ?.memberId
  assert.deepEqual([found(0), found(1), found(2)], [undefined, '1', '1'])
})

test('members that wait, were removed or belong to another cluster have no say', () => {
  const silent = [
    pod(0, { role: 'waiting' }),
    pod(1, { role: 'removed' }),
    pod(2, { role: 'leader', clusterId: 'other' }),
  ]
  assert.equal(membershipOf(cluster(), silent), undefined)
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
})
