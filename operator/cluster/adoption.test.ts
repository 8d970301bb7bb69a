/** Whose the objects are that are there before the RaftCluster, or have lost their owner. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRaftCluster } from '../api/raft-cluster.ts'
import type { KubeObject } from './ports.ts'
import { tokenIn } from './resources/admin-token.ts'
import { controllerOf } from './resources/names.ts'
import { serviceAccount } from './resources/service-account.ts'
import { assertSettledAt, condition, converge, formed, reasonOf, rounds } from './testing/convergence.ts'
import type { World } from './testing/world.ts'

/** As a backup brings it back. */
function restored(metadata: KubeObject['metadata']): KubeObject['metadata'] {
  const { ownerReferences: _, uid: __, ...others } = metadata
  return others
}

function ours(world: World): readonly KubeObject[] {
  return [...world.objects.values()].filter(({ kind }) => kind !== 'RaftCluster' && kind !== 'Pod')
}

function loseOwners(world: World): void {
  for (const object of ours(world)) {
    const { ownerReferences: _, ...metadata } = object.metadata
    world.put({ ...object, metadata })
  }
}

function isTaken(world: World): boolean {
  return /NameTaken/.test(reasonOf(world, 'Degraded'))
}

test('objects that lost their owner by hand are adopted, and the Secret keeps its token', async () => {
  const world = await formed()
  const secret = (): KubeObject => world.get('Secret', 'kv-admin-token') ?? assert.fail()
  const token = tokenIn(secret())
  loseOwners(world)
  await converge(world)
  assert(!isTaken(world), reasonOf(world, 'Degraded'))
  for (const object of ours(world))
    if (object.kind !== 'PersistentVolumeClaim') assert.equal(controllerOf(object), 'cluster-uid', object.kind)
  assert.equal(tokenIn(secret()), token)
  assertSettledAt(world, 3)
})

test('a cluster that a backup brings back, with its status, goes on with its objects and its data', async () => {
  const world = await formed()
  for (const object of ours(world)) {
    if (object.kind === 'PersistentVolumeClaim') continue // its disk goes by its UID
    world.put({ ...object, metadata: { ...restored(object.metadata), uid: `new-${object.metadata.uid}` } })
  }
  const set = world.get('StatefulSet', 'kv')?.metadata.uid ?? ''
  for (const pod of world.all('Pod')) {
    const ownerReferences = pod.metadata.ownerReferences?.map((owner) => ({ ...owner, uid: set }))
    world.put({ ...pod, metadata: { ...pod.metadata, ...(ownerReferences !== undefined && { ownerReferences }) } })
  }
  const cluster = world.resource()
  world.put({ ...cluster, metadata: { ...cluster.metadata, uid: 'another-uid' } })
  const before = world.all('PersistentVolumeClaim').map(({ metadata }) => metadata.uid)
  await converge(world)
  assert.deepEqual([isTaken(world), condition(world, 'ClusterIDMismatch')], [false, 'False'])
  const claims = world.all('PersistentVolumeClaim')
  assert.deepEqual(
    claims.map(({ metadata }) => metadata.uid),
    before,
  )
  for (const { metadata } of claims) assert.equal(metadata.labels?.['raftkv.dev/cluster-uid'], 'another-uid')
  assertSettledAt(world, 3)
})

test('a StatefulSet of another cluster, or anything without our labels, is somebody else’s', async () => {
  for (const kind of ['StatefulSet', 'Service']) {
    const world = await formed()
    const object = ours(world).find((one) => one.kind === kind) ?? assert.fail()
    const { annotations: _, labels, ...metadata } = restored(object.metadata)
    const other = kind === 'StatefulSet' ? { ...metadata, labels: labels ?? {} } : metadata
    world.put({ ...object, metadata: { ...other, uid: object.metadata.uid ?? '' } })
    const cluster = world.resource()
    world.put({ ...cluster, metadata: { ...cluster.metadata, uid: 'another-uid' } })
    await rounds(world, 3)
    assert.match(reasonOf(world, 'Degraded'), new RegExp(`NameTaken: .*${kind} `))
  }
})

test('a RaftCluster may be called default: its ServiceAccount is not the namespace’s', () => {
  const metadata = { name: 'default', namespace: 'ns', uid: 'u', resourceVersion: '1' }
  const parsed = parseRaftCluster({ metadata, spec: {} })
  assert(parsed.ok)
  assert.equal(serviceAccount(parsed.value).metadata.name, 'default-members')
})

test('an account that the spec names is left alone, and so is what has the name of ours', async () => {
  const world = await formed({ podTemplate: { serviceAccountName: 'own' } })
  assert.equal(world.get('ServiceAccount', 'kv'), undefined)
  world.put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'kv' } })
  await rounds(world, 3)
  assert(!isTaken(world))
})
