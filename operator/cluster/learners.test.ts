/** A learner has its time for as long as it comes further, and what it does is said. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStatus } from '../api/status.ts'
import { allowedLag } from './lag.ts'
import { rollOut } from './rules/rollout.ts'
import { wantedHash } from './rules/template.ts'
import { assertSettledAt, condition, converge, formed, reasonOf, rounds } from './testing/convergence.ts'
import { field } from './testing/objects.ts'
import { cluster, membership, observedWith, pod } from './testing/observed.ts'
import type { World } from './testing/world.ts'

const TIMEOUT_SECONDS = 20

async function growing(): Promise<{ world: World; learner: string }> {
  const world = await formed({ scaling: { learnerTimeoutSeconds: TIMEOUT_SECONDS } })
  world.cluster.isLearnerStuck = true
  world.edit({ replicas: 5 })
  await rounds(world, 6)
  const [learner] = world.cluster.learners
  assert.ok(learner !== undefined)
  return { world, learner }
}

test('a large snapshot over a slow network: the learner keeps its place for as long as bytes come', async () => {
  const { world, learner } = await growing()
  const totalBytes = 800_000_000
  for (let megabytes = 10; megabytes <= 800; megabytes += 10) {
    const snapshot = { sentBytes: megabytes * 1_000_000, totalBytes }
    world.cluster.learnerProgress = { matchIndex: 0, lag: 5000, state: 'snapshot', snapshot }
    await rounds(world, 1)
    assert.deepEqual(world.cluster.learners, [learner], `after ${megabytes} MB`)
  }
  assert.match(reasonOf(world, 'ScaleComplete'), /receives a snapshot, 7\d0 of 800 MB/)
  for (let matchIndex = 1000; matchIndex <= 5000; matchIndex += 100) {
    world.cluster.learnerProgress = { matchIndex, lag: 6000 - matchIndex, state: 'replicate' }
    await rounds(world, 1)
    assert.deepEqual(world.cluster.learners, [learner], `at ${matchIndex}`)
  }
  assert.match(reasonOf(world, 'ScaleComplete'), /is 1000 entries behind/)
  world.cluster.learnerProgress = undefined
  world.cluster.isLearnerStuck = false
  await converge(world)
  assertSettledAt(world, 5)
})

test('one that comes no further gives its place up, also when it gets one snapshot after another', async () => {
  for (const progress of [
    { matchIndex: 1000, lag: 5000, state: 'replicate' },
    { matchIndex: 0, lag: 5000, state: 'snapshot', snapshot: { sentBytes: 7, totalBytes: 9 } },
  ] as const) {
    const { world, learner } = await growing()
    world.cluster.learnerProgress = progress
    await rounds(world, TIMEOUT_SECONDS + 15)
    assert.notEqual(world.cluster.learners[0], learner, progress.state)
  }
  const { world, learner } = await growing()
  for (let round = 0; round < 2 * TIMEOUT_SECONDS; round++) {
    const snapshot = { sentBytes: round % 5, totalBytes: 9 }
    world.cluster.learnerProgress =
      round % 5 === 4 ? { matchIndex: 0, state: 'probe' } : { matchIndex: 0, state: 'snapshot', snapshot }
    await rounds(world, 1)
  }
  assert.notEqual(world.cluster.learners[0], learner)
})

test('while the container of a learner crashes again and again, that is said, and not how far behind it is alone', async () => {
  const { world } = await growing()
  world.cluster.learnerProgress = { matchIndex: 1000, lag: 5000, state: 'probe' }
  const pod = world.get('Pod', 'kv-3') ?? assert.fail()
  const lastState = { terminated: { exitCode: 1, reason: 'Error', message: 'no space left on device' } }
  const containerStatuses = [{ state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState }]
  world.put({ ...pod, status: { ...field(pod, 'status'), containerStatuses } })
  await rounds(world, 1)
  for (const type of ['ScaleComplete', 'Degraded'])
    assert.match(
      reasonOf(world, type),
      /exited with code 1 \(Error\); last line of its log: no space left on device/,
      type,
    )
})

test('growth that takes its time is no trouble: Degraded is False from the first look to the last', async () => {
  const world = await formed()
  world.cluster.isLearnerStuck = true
  world.edit({ replicas: 5 })
  for (let round = 0; round < 60; round++) {
    if (round === 30) world.cluster.isLearnerStuck = false
    await rounds(world, 1)
    assert.equal(condition(world, 'Degraded'), 'False', `round ${round}: ${reasonOf(world, 'Degraded')}`)
  }
  assertSettledAt(world, 5)
})

test('a second’s worth of writes is no lag that counts', () => {
  const at = (sampledAt: string | undefined, commitIndex: number): number => {
    const recorded = { commitIndex, ...(sampledAt !== undefined && { sampledAt }) }
    const observed = observedWith(membership(3, 3, { commitIndex: 100_000 }), cluster(recorded))
    return allowedLag({ ...observed, nowMs: Date.parse('2030-01-01T00:00:10Z') })
  }
  assert.equal(at(undefined, 50_000), 100)
  assert.equal(at('2030-01-01T00:00:00Z', 100_000), 100, 'nothing is written')
  assert.equal(at('2030-01-01T00:00:00Z', 50_000), 5000)
  assert.equal(at('2030-01-01T00:00:10Z', 50_000), 100, 'too short a while to tell')
})

test('a status with a field of another version keeps all others: no request is carried out twice', () => {
  const handledRequests = { replaceMember: 'kv-1@2030', moveLeader: 'kv-2', recovery: 'r1' }
  const operation = { id: 'x', type: 'Backup', step: 'Upload', ordinal: 0, startedAt: '2030-01-01T00:00:00Z' }
  const read = parseStatus({ clusterID: 'c1', configIndex: 7, handledRequests, operation, members: 'many' })
  assert.deepEqual(read.handledRequests, handledRequests)
  assert.deepEqual([read.clusterID, read.configIndex, read.operation, read.members], ['c1', 7, undefined, []])
  assert.equal(parseStatus('nothing').configIndex, 1)
})

test('a rollout that waits for a member to catch up says how far it is', () => {
  const peers = new Map([
    [
      '2',
      { matchIndex: 5, lag: 5000, state: 'snapshot', snapshot: { sentBytes: 120_000_000, totalBytes: 800_000_000 } },
    ],
    ['3', { matchIndex: 5000, lag: 0, state: 'replicate' }],
  ] as const)
  const found = observedWith(membership(3, 3, { learners: [], peers }))
  const statefulSet = {
    object: { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'kv' } },
    uid: 's',
    endOrdinal: 3,
    podCount: 3,
    claimTemplate: undefined,
    updateRevision: undefined,
    image: undefined,
    form: 1,
    templateHash: wantedHash(found),
    restartedAt: undefined,
    isObserved: true,
  }
  const pods = new Map([0, 1, 2].map((ordinal) => [ordinal, pod(ordinal, { memberId: String(ordinal + 1) })]))
  const plan = rollOut({ ...found, pods, objects: { ...found.objects, statefulSet } })
  assert.equal(
    plan?.message,
    'waits for kv-1 (receives a snapshot, 120 of 800 MB) to be ready and caught up before kv-2',
  )
})
