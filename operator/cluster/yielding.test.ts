/** One trouble holds up only itself: what waits for Kubernetes, and what cannot be done now, lets all else go first. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FINALIZER } from '../api/raft-cluster.ts'
import { ANNOTATIONS } from '../api/raft-cluster.ts'
import { KubeError } from './ports.ts'
import { assertSettledAt, condition, converge, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import type { World } from './testing/world.ts'

const LONG_ENOUGH = 45

const memberNames = (world: World): readonly string[] => world.cluster.members.map(({ name }) => name).toSorted()
const isThere = (world: World, name: string): boolean => world.get('Pod', name) !== undefined

test('a pod on a machine that is gone, after its member was removed: the others are removed, and it is named', async () => {
  const world = await formed({ replicas: 5, storage: { retention: { whenScaled: 'Delete' } } })
  world.lingering.add('kv-4')
  world.edit({ replicas: 3 })
  await rounds(world, LONG_ENOUGH)
  assert.deepEqual(memberNames(world), ['kv-0', 'kv-1', 'kv-2'])
  assert.ok(isThere(world, 'kv-4') && !isThere(world, 'kv-3'))
  assert.match(
    reasonOf(world, 'Degraded'),
    /StuckTerminating: pod kv-4 has been terminating since .*kubectl delete pod --force/,
  )
  assert.ok(world.get('PersistentVolumeClaim', 'data-kv-4') !== undefined, 'a pod may still use it')
  world.lingering.clear()
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.get('PersistentVolumeClaim', 'data-kv-4'), undefined)
})

test('while a replaced member’s pod does not go, another one that lost its volume is healed', async () => {
  const world = await formed({ replicas: 5 })
  world.lingering.add('kv-4')
  world.annotate({ [ANNOTATIONS.replaceMember]: 'kv-4' })
  await rounds(world, LONG_ENOUGH)
  const before = world.cluster.members.find(({ name }) => name === 'kv-1')?.id
  world.loseVolume(1)
  await rounds(world, 30)
  const after = world.cluster.members.find(({ name }) => name === 'kv-1')?.id
  assert.ok(after !== undefined && after !== before)
  world.lingering.clear()
  await converge(world)
  assertSettledAt(world, 5)
})

test('a claim with somebody’s finalizer is named with it', async () => {
  const world = await formed()
  const volume = world.get('PersistentVolumeClaim', 'data-kv-2')
  assert.ok(volume !== undefined)
  const metadata = { ...volume.metadata, deletionTimestamp: '2029-12-31T00:00:00Z', finalizers: ['example.com/backup'] }
  world.put({ ...volume, metadata })
  await look(world)
  assert.match(
    reasonOf(world, 'Degraded'),
    /claim data-kv-2 has been terminating since 2029-12-31.*example\.com\/backup/,
  )
})

test('replacing the only voter is refused once, and the way out is not held up', async () => {
  const world = await formed({ replicas: 1 })
  world.annotate({ [ANNOTATIONS.replaceMember]: 'kv-0' })
  await rounds(world, 3)
  assert.equal(world.events.filter((event) => event === 'RequestRefused').length, 1)
  assert.equal(condition(world, 'Ready'), 'True')
  const [only] = world.cluster.members
  world.edit({ replicas: 3 })
  await converge(world)
  assertSettledAt(world, 3)
  assert.ok(
    world.cluster.members.some(({ id }) => id === only?.id),
    'what was refused is not done later',
  )
})

test('a replacement that would cost the quorum waits, and growth, which makes it possible, goes first', async () => {
  const world = await formed()
  const before = world.cluster.members.find(({ name }) => name === 'kv-2')?.id
  const pod = world.get('Pod', 'kv-1')
  assert.ok(pod !== undefined)
  world.put({ ...pod, status: { phase: 'Pending' } })
  world.settleMembers()
  world.annotate({ [ANNOTATIONS.replaceMember]: 'kv-2' })
  await rounds(world, 5)
  assert.match(reasonOf(world, 'Degraded'), /QuorumAtRisk/)
  world.edit({ replicas: 5 })
  await rounds(world, 60)
  assert.deepEqual(memberNames(world), ['kv-0', 'kv-1', 'kv-2', 'kv-3', 'kv-4'])
  assert.notEqual(world.cluster.members.find(({ name }) => name === 'kv-2')?.id, before)
})

test('whenDeleted Delete, with a finalizer: no claim goes while a pod still stops, though its StatefulSet is gone', async () => {
  const world = await formed({ storage: { retention: { whenDeleted: 'Delete' } } })
  world.lingering.add('kv-1')
  const object = world.resource()
  const metadata = { ...object.metadata, finalizers: [FINALIZER], deletionTimestamp: '2030-01-01T00:00:00Z' }
  world.put({ ...object, metadata })
  await rounds(world, 10)
  assert.equal(world.get('StatefulSet', 'kv'), undefined)
  assert.ok(isThere(world, 'kv-1') && !isThere(world, 'kv-0'))
  for (const { metadata } of world.all('PersistentVolumeClaim')) assert.equal(metadata.deletionTimestamp, undefined)
  world.lingering.clear()
  await rounds(world, 10)
  assert.deepEqual(world.all('PersistentVolumeClaim'), [])
})

test('the StatefulSet is deleted by hand: its pods are seen until they are gone, and nobody else’s name is taken', async () => {
  const world = await formed()
  for (const name of ['kv-0', 'kv-1', 'kv-2']) world.lingering.add(name)
  world.objects.delete('StatefulSet/kv')
  world.tick()
  await look(world)
  assert.equal(world.status()['replicas'], 3)
  await rounds(world, 3)
  assert.doesNotMatch(reasonOf(world, 'Degraded'), /NameTaken/)
  world.lingering.clear()
  await converge(world)
  assertSettledAt(world, 3)
})

test('an edit does not cost the only voter while its partners could not start yet: they try the new template first', async () => {
  const world = await formed({ replicas: 1 })
  world.edit({ replicas: 3, image: { tag: 'bad' } })
  world.broken.add('image:bad')
  await rounds(world, 30)
  assert.deepEqual([world.cluster.leader !== '', world.cluster.voters.length], [true, 1])
  assert.deepEqual(
    world.restarts.filter((name) => name === 'kv-0'),
    [],
  )
  assert.match(reasonOf(world, 'UpToDate'), /^RolloutPending: .*kv-0.*waits for kv-1 to start/)
  world.unready.add('kv-0')
  world.settleMembers()
  await rounds(world, 5)
  assert.deepEqual(
    world.restarts.filter((name) => name === 'kv-0'),
    [],
    'also while it does not serve',
  )
  world.unready.clear()
  world.edit({ image: { tag: 'good' } })
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.restarts.at(-1), 'kv-0')
})

test('one member is renewed only once a pod of the present spec could be made; what cannot be found out holds nothing up', async () => {
  const world = await formed({ replicas: 1 })
  const refuse = (message: string): void => {
    const error = new KubeError({ kind: 'forbidden', message })
    world.answer = ({ verb, kind }) => (verb === 'create' && kind === 'Pod' ? error : undefined)
  }
  refuse('pods "kv-trial" is forbidden: no PriorityClass with name none was found')
  world.edit({ podTemplate: { priorityClassName: 'none' } })
  await rounds(world, 20)
  assert.deepEqual(world.restarts, [])
  assert.match(reasonOf(world, 'Degraded'), /^TemplateRefused: kv-0 .*no PriorityClass.*delete the pod/)
  for (const unknown of [
    'admission webhook "w" does not support dry run',
    'User "o" cannot create resource "pods" in',
  ]) {
    const before: number = world.restarts.length
    refuse(unknown)
    world.annotate({ [ANNOTATIONS.restartedAt]: unknown })
    await converge(world)
    assertSettledAt(world, 1)
    assert.equal(world.restarts.length, before + 1, unknown)
  }
})

test('three members find out by the first one: no pod is tried', async () => {
  const world = await formed()
  world.calls.length = 0
  world.annotate({ [ANNOTATIONS.restartedAt]: 'now' })
  await converge(world)
  assert.deepEqual(
    world.calls.filter(({ verb }) => verb === 'create'),
    [],
  )
})
