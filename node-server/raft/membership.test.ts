import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MemberId } from '../../lib/ids.ts'
import { changeConfiguration, EMPTY_CONFIGURATION } from './membership.ts'
import type { ConfigChange, ConfigChangeStep, Configuration } from './message.ts'
import { membersOf } from './quorum.ts'

const id = fc.integer({ min: 1, max: 5 }).map((n) => MemberId(BigInt(n)))
const step: fc.Arbitrary<ConfigChangeStep> = fc.record({
  kind: fc.constantFrom('add-voter', 'add-learner', 'remove'),
  memberId: id,
})
const change: fc.Arbitrary<ConfigChange> = fc.oneof(
  fc.constant({ kind: 'none' } as const),
  fc.constant({ kind: 'leave-joint' } as const),
  step.map((step) => ({ kind: 'simple', step }) as const),
  fc.array(step, { maxLength: 5 }).map((steps) => ({ kind: 'joint', steps }) as const),
)
const first: Configuration = { ...EMPTY_CONFIGURATION, voters: [1n, 2n, 3n].map(MemberId) }

const isJoint = ({ votersOutgoing }: Configuration): boolean => votersOutgoing.length > 0
const overlap = (a: readonly MemberId[], b: readonly MemberId[]): boolean => a.some((id) => b.includes(id))

/** Every pair of majorities shares a member: they are too big to fit side by side. */
function majoritiesOverlap(a: readonly MemberId[], b: readonly MemberId[]): boolean {
  const all = new Set([...a, ...b]).size
  const both = a.length + b.length - all
  const majority = (half: readonly MemberId[]): number => Math.floor(half.length / 2) + 1
  // The most that two majorities can stay apart: each takes first what is not common.
  const fromBoth = (half: readonly MemberId[]): number => Math.max(0, majority(half) - (half.length - both))
  return fromBoth(a) + fromBoth(b) > both
}

test('Raft §6, thesis §4: whatever is proposed, a configuration stays well formed', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      let configuration = first
      for (const change of changes) {
        const changed = changeConfiguration(configuration, change)
        if (!changed.ok) continue
        configuration = changed.value
        const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration
        assert.ok(voters.length > 0, 'there is always a voter')
        assert.ok(!overlap(learners, voters) && !overlap(learners, votersOutgoing), 'a learner has no vote')
        assert.ok(
          learnersNext.every((id) => votersOutgoing.includes(id)),
          'who becomes a learner still votes',
        )
        assert.ok(!overlap(learnersNext, voters))
        assert.equal(autoLeave, isJoint(configuration))
        if (!isJoint(configuration)) assert.deepEqual(learnersNext, [])
        for (const ids of [voters, votersOutgoing, learners, learnersNext]) {
          assert.equal(new Set(ids).size, ids.length, 'each once')
          assert.deepEqual(
            ids,
            ids.toSorted((a, b) => (a < b ? -1 : 1)),
            'in order',
          )
        }
      }
    }),
    { numRuns: 3000 },
  )
})

test('thesis §4.1: after a simple change every old majority shares a member with every new one', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      let configuration = first
      for (const change of changes) {
        const changed = changeConfiguration(configuration, change)
        if (!changed.ok) continue
        const before = configuration
        configuration = changed.value
        if (change.kind === 'simple') assert.ok(majoritiesOverlap(before.voters, configuration.voters))
        // Raft §6: the joint configuration asks the old majority too, and is left only for its own new half.
        if (change.kind === 'joint') assert.deepEqual(configuration.votersOutgoing, before.voters)
        if (change.kind === 'leave-joint') assert.deepEqual(configuration.voters, before.voters)
      }
    }),
    { numRuns: 3000 },
  )
})

test('thesis §4.3: joint in, joint out ends where the steps lead one by one', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
      const joint = changeConfiguration(first, { kind: 'joint', steps })
      if (!joint.ok) return
      const left = changeConfiguration(joint.value, { kind: 'leave-joint' })
      assert.ok(left.ok)
      // The plain twin: two sets.
      const voters = new Set(first.voters)
      const learners = new Set<MemberId>()
      for (const { kind, memberId } of steps) {
        voters.delete(memberId)
        learners.delete(memberId)
        if (kind === 'add-voter') voters.add(memberId)
        if (kind === 'add-learner') learners.add(memberId)
      }
      assert.deepEqual(new Set(left.value.voters), voters)
      assert.deepEqual(new Set(left.value.learners), learners)
      assert.deepEqual(membersOf(left.value).length, voters.size + learners.size)
    }),
    { numRuns: 2000 },
  )
})

test('a change that makes no sense is refused with its reason', () => {
  const [one, two] = [1n, 2n].map(MemberId)
  assert.ok(one !== undefined && two !== undefined)
  const alone: Configuration = { ...EMPTY_CONFIGURATION, voters: [one] }
  const joint: Configuration = { ...alone, votersOutgoing: [two], autoLeave: true }
  const remove: ConfigChangeStep = { kind: 'remove', memberId: one }
  const cases: [Configuration, ConfigChange, RegExp][] = [
    [alone, { kind: 'simple', step: remove }, /no voter/],
    [alone, { kind: 'simple', step: { kind: 'add-learner', memberId: one } }, /no voter/],
    [alone, { kind: 'joint', steps: [remove] }, /no voter/],
    [alone, { kind: 'leave-joint' }, /not joint/],
    [joint, { kind: 'simple', step: remove }, /joint configuration/],
    [joint, { kind: 'joint', steps: [remove] }, /joint already/],
    [EMPTY_CONFIGURATION, { kind: 'joint', steps: [] }, /empty configuration/],
  ]
  for (const [from, change, reason] of cases) {
    const changed = changeConfiguration(from, change)
    assert.ok(!changed.ok)
    assert.match(changed.error, reason)
  }
})
