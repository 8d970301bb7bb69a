import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FINALIZER } from '../api/raft-cluster.ts'
import { KubeError } from './ports.ts'
import { reconcile } from './reconcile.ts'
import { Crash, field, type Hooks, KEY, World } from './testing/world.ts'

/** Looks once; a crash ends it like a process. */
async function look(world: World, hooks: Hooks = {}): Promise<void> {
  try {
    await reconcile(world.deps(hooks), KEY)
  } catch (error) {
    if (!(error instanceof Crash)) throw error
  }
}

async function converge(world: World, rounds = 120): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await look(world)
    world.tick()
    if (round > 2 && condition(world, 'Ready') === 'True' && condition(world, 'ScaleComplete') === 'True') break
  }
  // What follows readiness: volumes that are no longer needed.
  for (let round = 0; round < 6; round++) {
    await look(world)
    world.tick()
  }
}

function condition(world: World, type: string): unknown {
  const conditions: unknown = world.status()['conditions']
  const found: unknown = Array.isArray(conditions)
    ? conditions.find((one: { type: string }) => one.type === type)
    : undefined
  return field({ found }, 'found')['status']
}

const voterNames = ({ cluster }: World): readonly string[] =>
  cluster.members
    .filter(({ id }) => cluster.voters.includes(id))
    .map(({ name }) => name)
    .toSorted()

const volumeNames = (world: World): readonly string[] =>
  world
    .all('PersistentVolumeClaim')
    .map(({ metadata }) => metadata.name)
    .toSorted()

function assertSettledAt(world: World, replicas: number): void {
  const ordinals = Array.from({ length: replicas }, (_, ordinal) => ordinal)
  assert.deepEqual(
    voterNames(world),
    ordinals.map((ordinal) => `kv-${ordinal}`),
  )
  assert.deepEqual(world.cluster.learners, [])
  assert.equal(world.replicas(), replicas)
  assert.deepEqual(
    volumeNames(world),
    ordinals.map((ordinal) => `data-kv-${ordinal}`),
  )
  assert.equal(world.status()['operation'], undefined)
  assert.equal(condition(world, 'Ready'), 'True')
  assert.equal(condition(world, 'Progressing'), 'False')
  assert.equal(condition(world, 'Degraded'), 'False')
  assert.equal(world.clusterIds.size, 1)
}

async function formed(spec: object = {}): Promise<World> {
  const world = new World({ replicas: 3, ...spec })
  await converge(world)
  return world
}

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

test('a member whose volume was lost is removed by its ID and joins anew', async () => {
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

test('volumes go with the RaftCluster when whenDeleted is Delete, after the pods', async () => {
  const world = await formed({ storage: { retention: { whenDeleted: 'Delete' } } })
  const object = world.resource()
  assert.deepEqual(object.metadata.finalizers, [FINALIZER])
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

/** One thing that happens. Numbers say where a process ends or which ordinal is meant. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('look' as const) }),
  fc.record({ kind: fc.constant('look' as const) }),
  fc.record({ kind: fc.constant('tick' as const) }),
  fc.record({ kind: fc.constant('crash' as const), calls: fc.nat(6), isAfter: fc.boolean() }),
  fc.record({ kind: fc.constant('stale' as const), calls: fc.nat(6), looks: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant('edit' as const), replicas: fc.constantFrom(1, 3, 5) }),
  fc.record({ kind: fc.constant('hand' as const), replicas: fc.nat(6) }),
  fc.record({ kind: fc.constant('kill' as const), ordinal: fc.nat(4) }),
  fc.record({ kind: fc.constant('lose' as const), ordinal: fc.nat(4) }),
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

async function take(world: World, step: Step): Promise<void> {
  switch (step.kind) {
    case 'look':
      return look(world)
    case 'tick':
      return world.tick()
    case 'edit':
      return world.edit({ replicas: step.replicas })
    case 'hand':
      return world.setReplicas(step.replicas)
    case 'kill':
      return world.killPod(step.ordinal)
    case 'lose':
      return loseIfSurvivable(world, step.ordinal)
    case 'crash':
      return look(world, crashAt(step.calls, step.isAfter))
    case 'stale':
      return stale(world, step.calls, step.looks)
  }
}

/** The world survives it: with all voters healthy, three or more, one may go. */
function loseIfSurvivable(world: World, ordinal: number): void {
  const { voters, alive } = world.cluster
  const isHealthy = voters.length >= 3 && voters.every((id) => alive.has(id))
  if (isHealthy && world.all('Pod').every((pod) => (world.diskOf(pod)?.age ?? 0) > 0)) world.loseVolume(ordinal)
}

function crashAt(calls: number, isAfter: boolean): Hooks {
  let left = calls
  const fire = (): void => {
    if (left-- === 0) throw new Crash()
  }
  return isAfter ? { after: fire } : { before: fire }
}

/**
 * An operator falls asleep before one of its calls, another works, then it wakes. It has lost its lease: the API server
 * hears no more from it. Members do, and have to tell by the fence.
 */
async function stale(world: World, calls: number, looks: number): Promise<void> {
  const woken = Promise.withResolvers<void>()
  let left = calls
  let isStale = false
  const sleeper = look(world, {
    before: async (what) => {
      if (left-- === 0) {
        isStale = true
        await woken.promise
      }
      if (isStale && what === 'kube') throw new KubeError({ kind: 'unavailable', message: 'the lease is lost' })
    },
  })
  for (let count = 0; count < looks; count++) {
    await look(world)
    world.tick()
  }
  woken.resolve()
  await sleeper
}

test('invariants 12–16: whatever happens at any moment, nothing forbidden is done and the last edit is reached', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 3, 5), async (steps, target) => {
      const world = new World({ replicas: 3 })
      for (const each of steps) await take(world, each)
      world.edit({ replicas: target })
      await converge(world)
      assertSettledAt(world, target)
    }),
    { numRuns: 300 },
  )
})
