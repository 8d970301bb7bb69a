/**
 * Ready, Available and QuorumLost after every single look, on every path that a cluster takes: formation, scaling, rollouts, repair,
 * pause, errors of the API server, recovery and deletion. What they say is compared with the world as it was at that look.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FINALIZER } from '../api/raft-cluster.ts'
import { KubeError } from './ports.ts'
import { quorumOf } from './safety.ts'
import { condition, formed, look, reasonOf, rounds, voterNames } from './testing/convergence.ts'
import { field } from './testing/objects.ts'
import { World } from './testing/world.ts'

interface Truth {
  /** A leader that a majority of the voters answer. */
  readonly isAvailable: boolean
  /** Besides, all wanted members vote, and all their pods serve. */
  readonly isReady: boolean
}

function truthOf(world: World): Truth {
  const { cluster } = world
  const { replicas } = field(world.resource(), 'spec')
  const isToRun = world.resource().metadata.deletionTimestamp === undefined && replicas !== 0
  const healthy = cluster.voters.filter((id) => cluster.alive.has(id)).length
  const isAvailable = cluster.leader !== '' && healthy >= quorumOf(cluster.voters.length)
  const wanted = Array.from({ length: Number(replicas) }, (_, ordinal) => `kv-${ordinal}`)
  const isComplete = voterNames(world).join() === wanted.join() && cluster.learners.length === 0
  return { isAvailable, isReady: isToRun && isAvailable && isComplete && wanted.every((name) => serves(world, name)) }
}

function serves(world: World, name: string): boolean {
  const conditions: unknown = field(world.get('Pod', name), 'status')['conditions']
  return JSON.stringify(conditions ?? []).includes('{"type":"Ready","status":"True"}')
}

/** As `kubectl wait --for=condition=…` does: what was said of an earlier generation does not count. */
function waitIsOver(world: World, type: string): boolean {
  const { conditions } = world.status()
  const found: unknown = Array.isArray(conditions)
    ? conditions.find((one) => field({ one }, 'one')['type'] === type)
    : {}
  const { status, observedGeneration } = field({ found }, 'found')
  return status === 'True' && Number(observedGeneration) >= Number(world.resource().metadata.generation)
}

async function lookAndCompare(world: World, what: string): Promise<void> {
  const { isAvailable, isReady } = truthOf(world)
  const isToRun = field(world.resource(), 'spec')['replicas'] !== 0 && !isBeingDeleted(world)
  await look(world)
  const told = ['Ready', 'Available', 'QuorumLost'].map((type) => `${type}: ${reasonOf(world, type)}`).join('; ')
  assert.equal(condition(world, 'Available') === 'True', isAvailable, `${what}: ${told}`)
  if (!isReady) assert.notEqual(condition(world, 'Ready'), 'True', `${what}: ${told}`)
  if (isAvailable || !isToRun) assert.equal(condition(world, 'QuorumLost'), 'False', `${what}: ${told}`)
  if (!isToRun) assert(!world.events.includes('QuorumLost'), `${what}: nobody lost what nobody wants`)
}

const isBeingDeleted = (world: World): boolean => world.resource().metadata.deletionTimestamp !== undefined

function remove(world: World, finalizer: string): void {
  const object = world.resource()
  const deletion = { finalizers: [finalizer], deletionTimestamp: '2030-01-01T00:00:00Z' }
  world.put({ ...object, metadata: { ...object.metadata, generation: 9, ...deletion } })
}

interface Path {
  readonly spec?: object
  readonly begin: (world: World) => void
  /** What Ready and Available say at last. */
  readonly end: readonly [ready: string, available: string]
  /** What `kubectl wait --for=condition=Ready` is to wait for after the edit. */
  readonly goal?: (world: World) => boolean
}

const votersAre =
  (count: number) =>
  (world: World): boolean =>
    world.cluster.voters.length === count
const refusing =
  (kind: KubeError['problem']['kind'], isIt: (verb: string, kind: string) => boolean) => (world: World) => {
    world.answer = (call) => (isIt(call.verb, call.kind) ? new KubeError({ kind, message: 'refused' }) : undefined)
  }

const PATHS: Readonly<Record<string, Path>> = {
  'nothing happens': { begin: () => undefined, end: ['True', 'True'] },
  '3 → 5': { begin: (world) => world.edit({ replicas: 5 }), end: ['True', 'True'], goal: votersAre(5) },
  '3 → 1': { begin: (world) => world.edit({ replicas: 1 }), end: ['True', 'True'], goal: votersAre(1) },
  '1 → 3': {
    spec: { replicas: 1 },
    begin: (world) => world.edit({ replicas: 3 }),
    end: ['True', 'True'],
    goal: votersAre(3),
  },
  '3 → 0': { begin: (world) => world.edit({ replicas: 0 }), end: ['False', 'False'] },
  '0 → 3': {
    spec: { replicas: 0 },
    begin: (world) => world.edit({ replicas: 3 }),
    end: ['True', 'True'],
    goal: votersAre(3),
  },
  'another image': { begin: (world) => world.edit({ image: { tag: '2' } }), end: ['True', 'True'] },
  'another image for a single member': {
    spec: { replicas: 1 },
    begin: (world) => world.edit({ image: { tag: '2' } }),
    end: ['True', 'True'],
  },
  'an image that does not start': {
    begin: (world) => {
      world.broken.add('image:bad')
      world.edit({ image: { tag: 'bad' } })
    },
    end: ['False', 'True'],
  },
  restartedAt: { begin: (world) => world.annotate({ 'raftkv.dev/restartedAt': 'now' }), end: ['True', 'True'] },
  'replace-member': {
    begin: (world) => world.annotate({ 'raftkv.dev/replace-member': 'kv-0' }),
    end: ['True', 'True'],
  },
  'move-leader': { begin: (world) => world.annotate({ 'raftkv.dev/move-leader': 'kv-2' }), end: ['True', 'True'] },
  'a pod is lost': { begin: (world) => world.killPod(0), end: ['True', 'True'] },
  'a pod does not serve': {
    begin: (world) => {
      world.unready.add('kv-1')
      world.settleMembers()
    },
    end: ['False', 'True'],
  },
  'a volume is lost': { begin: (world) => world.loseVolume(1), end: ['True', 'True'] },
  'two volumes are lost': {
    begin: (world) => [1, 2].forEach((ordinal) => world.loseVolume(ordinal)),
    end: ['False', 'False'],
  },
  'two volumes are lost, and a survivor is named': {
    begin: (world) => {
      for (const ordinal of [1, 2]) world.loseVolume(ordinal)
      world.edit({ recovery: { request: { id: 'a', survivor: 'kv-0', acknowledgeDataLoss: true } } })
    },
    end: ['True', 'True'],
  },
  'paused, then all is well': { begin: (world) => world.edit({ paused: true }), end: ['True', 'True'] },
  'paused while it grows': { begin: (world) => world.edit({ replicas: 5, paused: true }), end: ['False', 'True'] },
  'paused, and a volume is lost': {
    begin: (world) => {
      world.edit({ paused: true })
      world.loseVolume(1)
    },
    end: ['False', 'True'],
  },
  'paused, and all pods are lost': {
    begin: (world) => {
      world.edit({ paused: true })
      world.refusesPods = true
      for (const ordinal of [0, 1, 2]) world.killPod(ordinal)
    },
    end: ['False', 'False'],
  },
  'a quota refuses pods of a growth': {
    begin: (world) => {
      world.refusesPods = true
      world.edit({ replicas: 5 })
    },
    end: ['False', 'True'],
    goal: votersAre(5),
  },
  'the StatefulSet is refused while it grows': {
    begin: (world) => {
      refusing('invalid', (verb, kind) => verb !== 'get' && kind === 'StatefulSet')(world)
      world.edit({ replicas: 5 })
    },
    end: ['False', 'True'],
    goal: votersAre(5),
  },
  'the StatefulSet is deleted by hand': {
    begin: (world) => void world.objects.delete('StatefulSet/kv'),
    end: ['True', 'True'],
  },
  'the StatefulSet is deleted by hand, and its pods are left': {
    begin: (world) => {
      world.objects.delete('StatefulSet/kv')
      for (const pod of world.all('Pod')) {
        const { ownerReferences: _, ...metadata } = pod.metadata
        world.put({ ...pod, metadata })
      }
    },
    end: ['True', 'True'],
  },
  'every write is refused while a pod is lost': {
    begin: (world) => {
      refusing('unavailable', (verb) => ['apply', 'patch', 'create', 'delete'].includes(verb))(world)
      world.refusesPods = true
      world.killPod(0)
    },
    end: ['False', 'True'],
  },
  'deleted, volumes and all': {
    spec: whenDeleted('Delete'),
    begin: (world) => remove(world, FINALIZER),
    end: ['False', 'False'],
  },
  'deleted, and one pod does not go': {
    spec: whenDeleted('Delete'),
    begin: (world) => {
      world.lingering.add('kv-1')
      remove(world, FINALIZER)
    },
    end: ['False', 'False'],
  },
  'deleted in the foreground': {
    begin: (world) => {
      remove(world, 'foregroundDeletion')
      world.objects.delete('StatefulSet/kv')
    },
    end: ['False', 'False'],
  },
}

function whenDeleted(what: 'Delete'): object {
  return { storage: { retention: { whenDeleted: what } } }
}

const ROUNDS = 60

test('while a cluster is formed Ready and Available are what is so, and a wait for Ready ends with its last member', async () => {
  const world = new World({ replicas: 3 })
  for (let round = 0; round < ROUNDS; round++) {
    await lookAndCompare(world, `round ${round}`)
    if (waitIsOver(world, 'Ready')) assert.equal(world.cluster.voters.length, 3)
    world.tick()
  }
  assert(waitIsOver(world, 'Ready'))
})

for (const [name, { spec = {}, begin, end, goal }] of Object.entries(PATHS))
  test(`Ready, Available and QuorumLost are what is so: ${name}`, async () => {
    const world = await formed(spec)
    world.events.length = 0
    const { generation } = world.resource().metadata
    begin(world)
    const isEdit = world.resource().metadata.generation !== generation
    if (isEdit) assert(!waitIsOver(world, 'Ready'), 'what was said before the edit does not end a wait')
    for (let round = 0; round < ROUNDS; round++) {
      await lookAndCompare(world, `${name}, round ${round}`)
      if (goal !== undefined && waitIsOver(world, 'Ready')) assert(goal(world), `${name}: waited long enough`)
      world.tick()
    }
    assert.deepEqual([condition(world, 'Ready'), condition(world, 'Available')], end, reasonOf(world, 'Ready'))
    assert.equal(waitIsOver(world, 'Ready'), end[0] === 'True')
  })

test('what cannot be read for 15 seconds is Unknown, which ends no wait; once it can be, both say what is so', async () => {
  for (const kind of ['StatefulSet', 'Pod']) {
    const world = await formed()
    refusing('unavailable', (verb, read) => ['get', 'list'].includes(verb) && read === kind)(world)
    world.refusesPods = true
    for (const ordinal of [0, 1, 2]) world.killPod(ordinal)
    await rounds(world, 17)
    assert.deepEqual([condition(world, 'Ready'), condition(world, 'Available')], ['Unknown', 'Unknown'], kind)
    world.answer = () => undefined
    await lookAndCompare(world, kind)
    assert.equal(condition(world, 'Ready'), 'False')
  }
})
