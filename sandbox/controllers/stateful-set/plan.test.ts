import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../client/object.ts'
import type { SetPod, StatefulSet } from './model.ts'
import { setPodOf, statefulSetOf } from './model.ts'
import type { SetPlan } from './plan.ts'
import { planSet } from './plan.ts'

const NOW_MS = Date.parse('2026-01-01T00:01:00Z')
const READY_SINCE = '2026-01-01T00:00:50Z'
const REVISIONS = { current: 'r1', update: 'r2' }

function setOf(spec: Readonly<Record<string, unknown>>, metadata: Readonly<Record<string, unknown>> = {}): StatefulSet {
  return statefulSetOf({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 's', namespace: 'n', uid: 'u', resourceVersion: '1', generation: 3, ...metadata },
    spec: { selector: {}, template: {}, ...spec },
  })
}

interface PodState {
  readonly isReady?: boolean
  readonly isTerminating?: boolean
  readonly phase?: string
  readonly revision?: string
}

function pod(ordinal: number, state: PodState = {}): SetPod {
  const { isReady = true, isTerminating = false, phase = 'Running', revision = 'r2' } = state
  const object: StoredObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `s-${ordinal}`,
      uid: `pod-${ordinal}`,
      resourceVersion: '1',
      labels: { 'controller-revision-hash': revision },
      ...(isTerminating && { deletionTimestamp: '2026-01-01T00:00:55Z' }),
    },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False', lastTransitionTime: READY_SINCE }],
    },
  }
  const read = setPodOf('s', object)
  assert.ok(read !== undefined)
  return read
}

/** `+2` creates ordinal 2, `-2` deletes it. */
function deeds({ actions }: SetPlan): readonly string[] {
  return actions.map((action) =>
    action.kind === 'create' ? `+${action.ordinal}` : `-${action.pod.metadata.name.slice('s-'.length)}`,
  )
}

const parallel = { podManagementPolicy: 'Parallel', updateStrategy: { type: 'OnDelete' } }
const sick = { isReady: false }

const cases: readonly {
  readonly title: string
  readonly spec: Readonly<Record<string, unknown>>
  readonly pods: readonly SetPod[]
  readonly deeds: readonly string[]
}[] = [
  { title: 'Parallel makes all pods at once', spec: { ...parallel, replicas: 3 }, pods: [], deeds: ['+0', '+1', '+2'] },
  { title: 'OrderedReady makes one', spec: { replicas: 3 }, pods: [], deeds: ['+0'] },
  { title: 'OrderedReady waits for the one before', spec: { replicas: 3 }, pods: [pod(0, sick)], deeds: [] },
  { title: 'OrderedReady goes on when it is ready', spec: { replicas: 3 }, pods: [pod(0)], deeds: ['+1'] },
  {
    title: 'OrderedReady waits for minReadySeconds too',
    spec: { replicas: 3, minReadySeconds: 30 },
    pods: [pod(0)],
    deeds: [],
  },
  {
    title: 'Parallel does not wait for a sick pod',
    spec: { ...parallel, replicas: 3 },
    pods: [pod(0, sick)],
    deeds: ['+1', '+2'],
  },
  {
    title: 'Parallel deletes all above the wanted ones at once, the highest first',
    spec: { ...parallel, replicas: 1 },
    pods: [pod(0), pod(1), pod(2)],
    deeds: ['-2', '-1'],
  },
  {
    title: 'OrderedReady deletes the highest only',
    spec: { replicas: 1 },
    pods: [pod(0), pod(1), pod(2)],
    deeds: ['-2'],
  },
  {
    title: 'OrderedReady waits until it is gone',
    spec: { replicas: 1 },
    pods: [pod(0), pod(1), pod(2, { isTerminating: true })],
    deeds: [],
  },
  {
    title: 'ordinals are numbers: 10 is above 9',
    spec: { ...parallel, replicas: 9 },
    pods: Array.from({ length: 11 }, (_, ordinal) => pod(ordinal)),
    deeds: ['-10', '-9'],
  },
  {
    title: 'a pod that has ended is recreated',
    spec: { ...parallel, replicas: 1 },
    pods: [pod(0, { phase: 'Failed', isReady: false })],
    deeds: ['-0'],
  },
  {
    title: 'a pod that is being deleted keeps its ordinal until it is gone',
    spec: { ...parallel, replicas: 1 },
    pods: [pod(0, { isTerminating: true })],
    deeds: [],
  },
  {
    title: 'OnDelete replaces no pod of an old revision',
    spec: { ...parallel, replicas: 1 },
    pods: [pod(0, { revision: 'r1' })],
    deeds: [],
  },
  {
    title: 'RollingUpdate replaces the highest pod of an old revision',
    spec: { replicas: 2 },
    pods: [pod(0, { revision: 'r1' }), pod(1, { revision: 'r1' })],
    deeds: ['-1'],
  },
  {
    title: 'RollingUpdate goes on when the new one is ready',
    spec: { replicas: 2 },
    pods: [pod(0, { revision: 'r1' }), pod(1)],
    deeds: ['-0'],
  },
  {
    title: 'RollingUpdate stops at the partition',
    spec: { replicas: 2, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1 } } },
    pods: [pod(0, { revision: 'r1' }), pod(1)],
    deeds: [],
  },
]

for (const { title, spec, pods, deeds: expected } of cases) {
  test(title, () => assert.deepEqual(deeds(planSet(setOf(spec), pods, REVISIONS, NOW_MS)), expected))
}

test('a set that is being deleted does nothing: its pods are the garbage collector’s', () => {
  const set = setOf({ ...parallel, replicas: 3 }, { deletionTimestamp: '2026-01-01T00:00:00Z' })
  assert.deepEqual(deeds(planSet(set, [], REVISIONS, NOW_MS)), [])
})

test('status counts pods by readiness and revision; OnDelete never moves currentRevision', () => {
  const pods = [pod(0), pod(1, { revision: 'r1', isReady: false }), pod(2, { isTerminating: true })]
  const { status } = planSet(setOf({ ...parallel, replicas: 3 }), pods, REVISIONS, NOW_MS)
  assert.deepEqual(status, {
    observedGeneration: 3,
    replicas: 3,
    readyReplicas: 2,
    availableReplicas: 2,
    currentReplicas: 1,
    updatedReplicas: 1,
    currentRevision: 'r1',
    updateRevision: 'r2',
  })
})

test('a finished rolling update makes the update revision the current one', () => {
  const { status } = planSet(setOf({ replicas: 2 }), [pod(0), pod(1)], REVISIONS, NOW_MS)
  assert.equal(status.currentRevision, 'r2')
  assert.equal(status.currentReplicas, 2)
})

test('minReadySeconds: ready but not available yet, and looked at again when it will be', () => {
  const plan = planSet(setOf({ ...parallel, replicas: 1, minReadySeconds: 30 }), [pod(0)], REVISIONS, NOW_MS)
  assert.equal(plan.status.readyReplicas, 1)
  assert.equal(plan.status.availableReplicas, 0)
  assert.equal(plan.requeueAfterMs, 20_000)
})

test('a pod of another name is none of the set’s', () => {
  for (const name of ['s', 's-', 's-01', 's-x', 't-0', 's-0-0']) {
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name, uid: 'u', resourceVersion: '1' } }
    assert.equal(setPodOf('s', object), undefined, name)
  }
})
