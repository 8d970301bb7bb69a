import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterId, LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import type { Member, MembershipChange } from '../../mvcc/command.ts'
import {
  getMember,
  isRemovedMember,
  listConfigHistory,
  listMembers,
  putMember,
  recordOperation,
} from '../../mvcc/members.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { advanceApplied, Store } from '../../mvcc/store.ts'
import { EMPTY_CONFIGURATION } from '../../raft/membership.ts'
import { decodeConfiguration, decodeHistoryRow } from './configuration.ts'
import { applyAttributes, applyMembership, noteConfiguration, type AppliedMembership } from './membership.ts'

const CLUSTER_ID = ClusterId(0x1cn)
const id = (n: number): MemberId => MemberId(BigInt(n))
const member = (n: number, isLearner = false): Member => ({
  id: id(n),
  name: `m${n}`,
  peerURLs: [`http://m${n}:2380`],
  clientURLs: [],
  isLearner,
})

/** A member's replicated state in which three voters are the configuration of index 1. */
class State {
  readonly store = new Store(new MemoryBackend())
  #index = 1

  constructor() {
    for (const n of [1, 2, 3]) putMember(this.store, member(n))
    noteConfiguration(this.store, LogIndex(1), { ...EMPTY_CONFIGURATION, voters: [id(1), id(2), id(3)] }, 'form')
    advanceApplied(this.store, { index: LogIndex(1), term: Term(1) })
  }

  apply(operationId: string, expected: number | undefined, change: MembershipChange): AppliedMembership {
    this.#index += 1
    const index = LogIndex(this.#index)
    const expectedConfigIndex = expected === undefined ? undefined : LogIndex(expected)
    const applied = applyMembership(this.store, index, CLUSTER_ID, {
      kind: 'membership',
      requestId: BigInt(index),
      operationId,
      expectedConfigIndex,
      change,
    })
    advanceApplied(this.store, { index, term: Term(1) })
    return applied
  }

  get configuration(): { voters: readonly MemberId[]; learners: readonly MemberId[]; index: number } {
    const { voters, learners } = decodeConfiguration(this.store.meta.configuration)
    return { voters, learners, index: this.store.meta.configIndex }
  }
}

const refusalOf = ({ outcome }: AppliedMembership): string => (outcome.ok ? 'made' : outcome.error.error.code)

test('a learner is added, promoted and removed: store, configuration and history go together', () => {
  const state = new State()
  const added = state.apply('add', 1, { kind: 'add', member: member(4, true) })
  assert.deepEqual(added.change, { kind: 'simple', step: { kind: 'add-learner', memberId: id(4) } })
  assert.deepEqual(added.outcome, {
    ok: true,
    value: { operationId: 'add', memberId: '4', clusterId: '1c', configIndex: 2 },
  })
  assert.deepEqual(state.configuration, { voters: [id(1), id(2), id(3)], learners: [id(4)], index: 2 })

  state.apply('promote', 2, { kind: 'promote', memberId: id(4), maxLagEntries: 100 })
  assert.deepEqual(state.configuration, { voters: [id(1), id(2), id(3), id(4)], learners: [], index: 3 })
  assert.equal(getMember(state.store, id(4))?.isLearner, false)

  state.apply('remove', 3, { kind: 'remove', memberId: id(1) })
  assert.deepEqual(state.configuration, { voters: [id(2), id(3), id(4)], learners: [], index: 4 })
  assert.ok(isRemovedMember(state.store, id(1)))
  assert.deepEqual(
    listConfigHistory(state.store).map((row) => decodeHistoryRow(row).operationId),
    ['form', 'add', 'promote', 'remove'],
  )
})

test('an entry whose expectation is no longer true changes nothing, and is told the configuration in force', () => {
  const state = new State()
  state.apply('first', 1, { kind: 'remove', memberId: id(3) })
  // Both were proposed on the configuration of index 1; the log has put one first.
  const second = state.apply('second', 1, { kind: 'remove', memberId: id(2) })
  assert.deepEqual(second.change, { kind: 'none' })
  assert.ok(!second.outcome.ok)
  assert.deepEqual([second.outcome.error.error.code, second.outcome.error.error.configIndex], ['ConfigIndexStale', 2])
  assert.deepEqual(state.configuration.voters, [id(1), id(2)])
})

test('an operation that is applied again has its first result, whatever it asks for now', () => {
  const state = new State()
  const first = state.apply('op', 1, { kind: 'remove', memberId: id(3) })
  for (const expected of [1, 2, undefined]) {
    const again = state.apply('op', expected, { kind: 'remove', memberId: id(2) })
    assert.deepEqual(again, { change: { kind: 'none' }, outcome: first.outcome })
  }
  assert.deepEqual(state.configuration.voters, [id(1), id(2)])
})

test('an operation ID that was used for something else is a conflict, whatever stands under it, and changes nothing', () => {
  for (const result of ['{"operationId":"move","leader":"1","term":4}', 'no JSON', '[]', '{"memberId":"x"}']) {
    const state = new State()
    recordOperation(state.store, LogIndex(1), 'move', Buffer.from(result))
    const { change, outcome } = state.apply('move', undefined, { kind: 'remove', memberId: id(2) })
    assert.deepEqual(change, { kind: 'none' })
    assert.ok(!outcome.ok)
    assert.equal(outcome.error.error.code, 'Conflict')
    assert.ok(getMember(state.store, id(2)) !== undefined)
  }
})

test('without an operation ID (etcd’s API) each entry counts by itself', () => {
  const state = new State()
  assert.equal(refusalOf(state.apply('', undefined, { kind: 'remove', memberId: id(3) })), 'made')
  assert.equal(refusalOf(state.apply('', undefined, { kind: 'remove', memberId: id(3) })), 'NotFound')
  assert.equal(refusalOf(state.apply('', undefined, { kind: 'remove', memberId: id(2) })), 'made')
})

test('what makes no sense is refused and changes nothing', () => {
  const state = new State()
  state.apply('', undefined, { kind: 'remove', memberId: id(3) })
  const before = [state.configuration, listMembers(state.store), listConfigHistory(state.store).length]
  const cases: readonly [MembershipChange, string][] = [
    [{ kind: 'add', member: member(2) }, 'Conflict'],
    [{ kind: 'add', member: member(3) }, 'Conflict'], // a removed ID never comes back
    [{ kind: 'add', member: { ...member(9), peerURLs: member(1).peerURLs } }, 'Conflict'],
    [{ kind: 'promote', memberId: id(1), maxLagEntries: 100 }, 'Conflict'],
    [{ kind: 'promote', memberId: id(8), maxLagEntries: 100 }, 'NotFound'],
    [{ kind: 'remove', memberId: id(8) }, 'NotFound'],
  ]
  for (const [change, code] of cases) {
    const applied = state.apply(`refused ${code} ${change.kind}`, undefined, change)
    assert.equal(
      refusalOf(applied),
      code,
      JSON.stringify(change, (_, value) => String(value)),
    )
    assert.deepEqual(applied.change, { kind: 'none' })
  }
  assert.deepEqual([state.configuration, listMembers(state.store), listConfigHistory(state.store).length], before)
})

test('the last voter is never removed', () => {
  const state = new State()
  state.apply('', undefined, { kind: 'remove', memberId: id(3) })
  state.apply('', undefined, { kind: 'remove', memberId: id(2) })
  const last = state.apply('', undefined, { kind: 'remove', memberId: id(1) })
  assert.equal(refusalOf(last), 'Conflict')
  assert.deepEqual(state.configuration.voters, [id(1)])
})

test('what a member tells of itself and what it is told do not undo each other, in whatever order they come', () => {
  const told = { ...member(1), name: 'renamed', peerURLs: [], clientURLs: ['http://c'] }
  const moved = { ...member(1), name: '', peerURLs: ['http://moved:2380'], clientURLs: [] }
  for (const commands of [
    [told, moved],
    [moved, told],
  ]) {
    const { store } = new State()
    for (const command of commands) assert.equal(applyAttributes(store, { ...command, isLearner: true }), undefined)
    assert.deepEqual(getMember(store, id(1)), {
      ...member(1),
      name: 'renamed',
      peerURLs: ['http://moved:2380'],
      clientURLs: ['http://c'],
    })
  }
})

test('peer URLs that another member got meanwhile are not given again, and who is gone gets none', () => {
  const { store } = new State()
  const moved = { ...member(1), name: '', peerURLs: ['http://moved:2380', 'http://m2:2380'] }
  assert.equal(applyAttributes(store, moved), 'peer-urls-exist')
  assert.deepEqual(getMember(store, id(1)), member(1))
  assert.equal(applyAttributes(store, { ...moved, peerURLs: ['http://m1:2380', 'http://m1b:2380'] }), undefined)
  assert.equal(applyAttributes(store, member(4)), 'member-not-found')
})
