import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkConditions, type ClusterSeen, type Phase } from './conditions.ts'

const states = (statuses: Readonly<Record<string, string>>): ClusterSeen['conditions'] =>
  Object.fromEntries(
    Object.entries(statuses).map(([type, status]) => [type, { status, reason: 'Because', observedGeneration: 2 }]),
  )
const SETTLED = { Ready: 'True', Available: 'True', Progressing: 'False', ScaleComplete: 'True' }
const MOVING = { Ready: 'False', Available: 'True', Progressing: 'True', ScaleComplete: 'False' }
const sample = (
  atMs: number,
  statuses: Readonly<Record<string, string>>,
  change: Partial<ClusterSeen> = {},
): ClusterSeen => ({
  atMs,
  generation: 2,
  observedGeneration: 2,
  replicas: 5,
  voters: 5,
  readyReplicas: 5,
  conditions: states(statuses),
  ...change,
})
const SCALING: Phase = { title: 'scale', fromMs: 0, untilMs: 100, isScaling: true, mayBeUnavailable: false }
const check = (samples: readonly ClusterSeen[], phase: Partial<Phase> = {}): string =>
  checkConditions(samples, [{ ...SCALING, ...phase }]).join('\n')

test('not Ready and progressing while it scales, settled afterwards', () => {
  assert.equal(check([sample(1, MOVING, { voters: 3 }), sample(9, SETTLED)]), '')
})

test('Ready of an older generation is not held against the new one', () => {
  const before = sample(0, SETTLED, { generation: 3, replicas: 7 })
  assert.equal(check([before, sample(1, MOVING), sample(9, SETTLED)]), '')
})

for (const [title, samples, phase, problem] of [
  ['Ready with too few voters', [sample(1, MOVING), sample(9, SETTLED, { voters: 4 })], {}, /Ready with 4 voters of 5/],
  ['Ready with too few pods', [sample(1, MOVING), sample(9, SETTLED, { readyReplicas: 4 })], {}, /4 ready pods of 5/],
  ['Ready all along', [sample(1, SETTLED)], {}, /Ready was never False/],
  ['not available', [sample(1, { ...MOVING, Available: 'False' }), sample(9, SETTLED)], {}, /Available was False/],
  ['never settled', [sample(1, MOVING)], {}, /at the end Ready was False, not True/],
  ['both at once', [sample(1, MOVING), sample(9, { ...SETTLED, Progressing: 'True' })], {}, /Ready and Progressing/],
  ['a lost quorum', [sample(1, { ...SETTLED, QuorumLost: 'True' })], { isScaling: false }, /QuorumLost/],
] as const) {
  test(`found out: ${title}`, () => assert.match(check(samples, phase), problem))
}

test('a member that was killed excuses a while without Available', () => {
  const samples = [sample(1, { ...MOVING, Available: 'False' }), sample(9, SETTLED)]
  assert.equal(check(samples, { mayBeUnavailable: true, isScaling: false }), '')
})
