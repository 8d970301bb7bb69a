import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FINALIZER } from '../api/raft-cluster.ts'
import { KubeError } from './ports.ts'
import { assertSettledAt, condition, converge, formed, look, volumeNames, voterNames } from './testing/convergence.ts'
import { reconcile } from './reconcile.ts'
import { Crash } from './testing/hooks.ts'
import { KEY } from './testing/objects.ts'
import { World } from './testing/world.ts'

test('three members form one by one, and settle', async () => {
  const world = await formed()
  assertSettledAt(world, 3)
  const news = ['ClusterForming', 'ClusterFormed', 'ScalingUp', 'MemberPromoted', 'Ready']
  for (const reason of news) assert(world.events.includes(reason), reason)
})

test('a settled cluster is not written to again', async () => {
  const world = await formed()
  const version = world.resource().metadata.resourceVersion
  await look(world)
  assert.equal(world.resource().metadata.resourceVersion, version)
})

test('3 → 5 → 3: leadership leaves ordinal 4 before its member does, volumes go last', async () => {
  const world = await formed()
  world.edit({ replicas: 5 })
  await converge(world)
  assertSettledAt(world, 5)
  const last = world.cluster.members.find(({ name }) => name === 'kv-4')
  world.cluster.transfer(last?.id ?? '')
  world.edit({ replicas: 3 })
  await converge(world)
  assertSettledAt(world, 3)
  assert(world.events.includes('LeaderMoved'))
})

test('a retained volume is deleted before its ordinal is used again, not earlier', async () => {
  const world = await formed({ storage: { retention: { whenScaled: 'Retain' } } })
  world.edit({ replicas: 1 })
  await converge(world)
  assert.deepEqual(voterNames(world), ['kv-0'])
  assert.deepEqual(volumeNames(world), ['data-kv-0', 'data-kv-1', 'data-kv-2'])
  const before = world.get('PersistentVolumeClaim', 'data-kv-1')?.metadata.uid
  world.edit({ replicas: 3 })
  await converge(world)
  assertSettledAt(world, 3)
  assert(!world.events.includes('ReplacingMember'), 'no pod started on the old volume')
  assert.notEqual(world.get('PersistentVolumeClaim', 'data-kv-1')?.metadata.uid, before)
})

test('a pod lost with its volume kept comes back as itself', async () => {
  const world = await formed()
  const { configIndex } = world.cluster
  world.killPod(1)
  await look(world)
  assert.equal(condition(world, 'Degraded'), 'True')
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.cluster.configIndex, configIndex)
})

test('a member whose volume was lost is removed by its ID and joins again', async () => {
  const world = await formed()
  const lost = world.cluster.members.find(({ name }) => name === 'kv-0')?.id
  world.loseVolume(0)
  world.tick()
  await converge(world)
  assertSettledAt(world, 3)
  assert(!world.cluster.voters.includes(lost ?? ''))
})

test('all volumes lost: nothing is formed a second time, the loss is said', async () => {
  const world = await formed()
  for (const ordinal of [0, 1, 2]) world.loseVolume(ordinal)
  for (let round = 0; round < 20; round++) {
    world.tick()
    await look(world)
  }
  assert.equal(condition(world, 'QuorumLost'), 'True')
  assert.equal(condition(world, 'Ready'), 'False')
  assert.equal(world.clusterIds.size, 1)
})

for (const [looks, what] of [
  [1, 'the answer to bootstrap'],
  [2, 'the answer to the first change after it'],
] as const)
  test(`the seed’s volume lost right after ${what} was: the cluster is not formed again`, async () => {
    const world = new World({})
    for (let round = 0; round < looks; round++) {
      await look(world)
      world.tick()
    }
    await look(world, {
      after: (what) => {
        if (what === 'admin') throw new Crash()
      },
    })
    assert.notEqual(world.cluster.clusterId, '', 'formed, but the answer was lost')
    world.loseVolume(0)
    for (let round = 0; round < 10; round++) {
      world.tick()
      await look(world)
    }
    assert.equal(condition(world, 'Degraded'), 'True')
    assert.equal(condition(world, 'Available'), 'False')
  })

test('a hand edit of the StatefulSet is put back at the next look', async () => {
  const world = await formed()
  for (const replicas of [5, 1, 0]) {
    world.setReplicas(replicas)
    await look(world)
    assert.equal(world.replicas(), 3)
  }
})

test('a learner that does not catch up in time starts over with an empty volume', async () => {
  const world = await formed({ scaling: { learnerTimeoutSeconds: 20 } })
  world.cluster.isLearnerStuck = true
  world.edit({ replicas: 5 })
  for (let round = 0; round < 10; round++) {
    await look(world)
    world.tick()
  }
  const [first] = world.cluster.learners
  const volume = world.get('PersistentVolumeClaim', 'data-kv-3')?.metadata.uid
  for (let round = 0; round < 30; round++) {
    await look(world)
    world.tick()
  }
  assert.notEqual(world.cluster.learners[0], first)
  assert.notEqual(world.get('PersistentVolumeClaim', 'data-kv-3')?.metadata.uid, volume)
  world.cluster.isLearnerStuck = false
  await converge(world)
  assertSettledAt(world, 5)
})

test('an opposite edit before the first mutation cancels it', async () => {
  const world = await formed()
  const { configIndex } = world.cluster
  world.edit({ replicas: 5 })
  await look(world)
  world.tick()
  world.edit({ replicas: 3 })
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.cluster.configIndex, configIndex)
})

test('a learner that is no longer wanted does not stand in the way of replacing a lost member', async () => {
  const world = await formed()
  world.cluster.isLearnerStuck = true
  world.edit({ replicas: 5 })
  for (let round = 0; round < 6; round++) {
    await look(world)
    world.tick()
  }
  assert.equal(world.cluster.learners.length, 1)
  world.loseVolume(0)
  world.cluster.isLearnerStuck = false
  world.edit({ replicas: 1 })
  world.tick()
  await converge(world)
  assertSettledAt(world, 1)
})

test('a paused cluster is left alone, and says so', async () => {
  const world = await formed()
  world.edit({ paused: true, replicas: 5 })
  world.setReplicas(4)
  await look(world)
  assert.equal(world.replicas(), 4)
  assert.equal(condition(world, 'Paused'), 'True')
  world.edit({ paused: false })
  await converge(world)
  assertSettledAt(world, 5)
})

test('volumes grow with the spec, and what is there is not made smaller', async () => {
  const world = await formed()
  world.edit({ storage: { size: '11Gi' } })
  await look(world)
  assert.match(JSON.stringify(world.get('PersistentVolumeClaim', 'data-kv-0')?.['spec']), /11Gi/)
  assert.match(JSON.stringify(world.get('StatefulSet', 'kv')?.['spec']), /10Gi/)
  assert.equal(condition(world, 'StorageReady'), 'False')
})

test('a StatefulSet of somebody else is not adopted', async () => {
  const world = new World({})
  world.put({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'kv' }, spec: { replicas: 7 } })
  await look(world)
  assert.equal(world.replicas(), 7)
  assert.equal(world.get('Service', 'kv-client'), undefined)
  assert.equal(condition(world, 'Degraded'), 'True')
})

test('an old volume under our name keeps the cluster from being formed over it', async () => {
  const world = new World({})
  world.put({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data-kv-1' }, spec: {} })
  for (let round = 0; round < 5; round++) {
    await look(world)
    world.tick()
  }
  assert.equal(world.cluster.clusterId, '')
  assert.equal(condition(world, 'Degraded'), 'True')
})

const DELETED = { storage: { retention: { whenDeleted: 'Delete' } } }

test('with whenDeleted Delete the RaftCluster owns the volumes, and then needs no operator to be deleted', async () => {
  const world = await formed(DELETED)
  const owners = (): readonly unknown[] =>
    world.all('PersistentVolumeClaim').map(({ metadata }) => metadata.ownerReferences)
  const owner = { apiVersion: 'raftkv.dev/v1alpha1', kind: 'RaftCluster', name: 'kv', uid: 'cluster-uid' }
  assert.deepEqual(owners(), [[owner], [owner], [owner]])
  assert.deepEqual(world.resource().metadata.finalizers, [])
  world.edit({ storage: { size: '20Gi', ...DELETED.storage } })
  await converge(world)
  assert.deepEqual(owners(), [[owner], [owner], [owner]], 'a claim that grows keeps its owner')
  world.edit({ storage: { size: '20Gi' } })
  await converge(world)
  assert.deepEqual(owners(), [[], [], []])
  assert.deepEqual(world.resource().metadata.finalizers, [])
})

test('with whenDeleted Delete a finalizer comes before each pod whose volume has no owner yet, and goes once it has', async () => {
  const world = await formed(DELETED)
  const isHeld = (): boolean => world.resource().metadata.finalizers?.includes(FINALIZER) === true
  world.answer = ({ verb, kind }) => {
    if (verb === 'apply' && kind === 'StatefulSet') assert.ok(isHeld(), 'a pod is made before the finalizer is there')
    return undefined
  }
  world.edit({ replicas: 5 })
  await converge(world)
  assertSettledAt(world, 5)
  assert.equal(isHeld(), false)
  world.loseVolume(4)
  await look(world)
  assert.equal(isHeld(), true, 'the volume that Kubernetes recreates has no owner')
  await converge(world)
  assertSettledAt(world, 5)
  assert.equal(isHeld(), false)
})

test('a volume that cannot be given its owner keeps the finalizer where it is', async () => {
  const world = new World(DELETED)
  world.answer = ({ verb, kind }) =>
    verb === 'apply' && kind === 'PersistentVolumeClaim'
      ? new KubeError({ kind: 'forbidden', message: 'not here' })
      : undefined
  for (let round = 0; round < 40; round++) {
    await look(world)
    world.tick()
  }
  assert.equal(voterNames(world).length, 3)
  assert.deepEqual(world.resource().metadata.finalizers, [FINALIZER])
  world.answer = () => undefined
  for (let round = 0; round < 80; round++) {
    await look(world)
    world.tick()
  }
  assert.deepEqual(world.resource().metadata.finalizers, [])
})

test('a volume without an owner yet goes by the finalizer, after the pods', async () => {
  const world = new World(DELETED)
  await look(world)
  assert.deepEqual(world.resource().metadata.finalizers, [FINALIZER])
  world.tick()
  const object = world.resource()
  assert.equal(volumeNames(world).length, 3)
  world.put({ ...object, metadata: { ...object.metadata, deletionTimestamp: '2030-01-01T00:00:00Z' } })
  for (let round = 0; round < 8; round++) {
    await look(world)
    world.tick()
  }
  assert.deepEqual(volumeNames(world), [])
  assert.deepEqual(world.resource().metadata.finalizers, [])
})

test('a spec that cannot be understood changes nothing and is said', async () => {
  const world = await formed()
  world.edit({ replicas: 'many' })
  await look(world)
  assert.equal(world.replicas(), 3)
  assert.equal(condition(world, 'Ready'), 'False')
})

test('an edit between reading and writing is no error: it is looked at again', async () => {
  const world = await formed()
  world.edit({ replicas: 5 })
  let isEdited = false
  const before = (): void => {
    if (!isEdited) world.annotate({ any: 'edit' })
    isEdited = true
  }
  const result = await reconcile(world.deps({ before }), KEY)
  assert.equal(result.kind, 'done')
  await converge(world)
  assertSettledAt(world, 5)
})
