/** What is wrong around the operator: specs, names, objects of others, another CRD, missing permissions, members that lie. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AdminStatus } from '../../lib/admin-api.ts'
import { FINALIZER, parseRaftCluster } from '../api/raft-cluster.ts'
import { wrongInTurn } from '../api/testing/wrong-fields.ts'
import { contradictionIn } from './contradiction.ts'
import { reconcile } from './reconcile.ts'
import { assertSettledAt, condition, converge, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import { pod } from './testing/observed.ts'
import { KEY } from './testing/objects.ts'
import { World } from './testing/world.ts'

test('every field wrong in turn, as the schema has them: it is named in a condition, and nothing is changed', async () => {
  const world = await formed()
  const spec = world.resource()['spec']
  const before = JSON.stringify([...world.objects.values()].filter(({ kind }) => kind !== 'RaftCluster'))
  const cases = [...wrongInTurn()]
  assert(cases.length > 100, `${cases.length} cases`)
  for (const { path, spec: wrong } of cases) {
    world.put({ ...world.resource(), spec: wrong })
    await look(world)
    assert.match(reasonOf(world, 'Ready'), /^InvalidSpec: /, path)
    assert(reasonOf(world, 'Ready').includes(path), `${path}: ${reasonOf(world, 'Ready')}`)
  }
  assert.equal(JSON.stringify([...world.objects.values()].filter(({ kind }) => kind !== 'RaftCluster')), before)
  world.put({ ...world.resource(), spec })
  await converge(world)
  assertSettledAt(world, 3)
})

test('a name of 253 characters is refused before anything is made', async () => {
  const world = new World({ replicas: 3 })
  const object = world.resource()
  const name = 'a'.repeat(253)
  const objects: string[] = []
  const deps = world.deps({})
  const reader = { ...deps.reader, get: () => Promise.resolve({ ...object, metadata: { ...object.metadata, name } }) }
  const writer = {
    ...deps.writer,
    applyStatus: (status: object) => {
      objects.push(JSON.stringify(status))
      return Promise.resolve(object)
    },
  }
  await reconcile({ ...deps, reader, writer }, { ...KEY, name })
  assert.equal(objects.length, 1)
  assert.match(objects[0] ?? '', /InvalidSpec.*metadata\.name/)
})

test('a spec that cannot be read does not hold up its deletion: volumes stay, the finalizer goes', async () => {
  const world = await formed()
  const object = world.resource()
  const metadata = { ...object.metadata, finalizers: [FINALIZER], deletionTimestamp: '2030-01-01T00:00:00Z' }
  world.put({ ...object, metadata, spec: { replicas: 'many' } })
  await look(world)
  assert.deepEqual(world.resource().metadata.finalizers, [])
  assert.equal(world.all('PersistentVolumeClaim').length, 3)
})

test('two clusters of one name in two namespaces have nothing in common', () => {
  const read = (namespace: string, uid: string): string => {
    const metadata = { name: 'kv', namespace, uid, resourceVersion: '1' }
    const parsed = parseRaftCluster({ metadata, spec: {} })
    assert(parsed.ok)
    return parsed.value.namespace
  }
  // The world refuses every call into another namespace than its own, so every other test is about this too.
  assert.notEqual(read('a', '1'), read('b', '2'))
})

test('a volume of another RaftCluster under our name is never adopted, and named in ClusterIDMismatch', async () => {
  const world = await formed()
  const labels = { 'raftkv.dev/cluster-uid': 'of-somebody-else' }
  world.put({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data-kv-3', labels }, spec: {} })
  world.edit({ replicas: 5 })
  await rounds(world, 20)
  assert.equal(world.cluster.members.length, 3)
  assert.equal(condition(world, 'ClusterIDMismatch'), 'True')
  assert.match(reasonOf(world, 'ClusterIDMismatch'), /data-kv-3 is a volume of another RaftCluster/)
  assert.match(reasonOf(world, 'Degraded'), /^ForeignVolume: .*data-kv-3/)
  world.objects.delete('PersistentVolumeClaim/data-kv-3')
  await converge(world)
  assertSettledAt(world, 5)
})

test('a volume with data of another cluster is not adopted, whatever its label says', async () => {
  const world = await formed()
  world.edit({ replicas: 5 })
  await look(world)
  world.tick()
  const volume = world.get('PersistentVolumeClaim', 'data-kv-3')
  world.disks.set(volume?.metadata.uid ?? '', { clusterId: 'feed', memberId: 'beef', age: 9 })
  await rounds(world, 10)
  assert.equal(world.cluster.members.length, 3)
  assert.match(reasonOf(world, 'ClusterIDMismatch'), /kv-3 has data of cluster feed/)
})

test('an older CRD, which drops what it does not know: nothing is done whose memory it would lose', async () => {
  const world = await formed()
  world.prunedStatus.add('operation')
  world.annotate({ 'raftkv.dev/replace-member': 'kv-1' })
  const { configIndex } = world.cluster
  await rounds(world, 5)
  assert.equal(world.cluster.configIndex, configIndex)
  assert.match(reasonOf(world, 'Degraded'), /^CRDOutdated: .*status\.operation.*install the CRD/)
  world.prunedStatus.clear()
  world.prunedStatus.add('handledRequests')
  await rounds(world, 20)
  assert.equal(world.cluster.configIndex, configIndex, 'or it would be replaced again and again')
  world.prunedStatus.clear()
  await converge(world)
  assertSettledAt(world, 3)
})

test('a newer CRD, which knows more than the operator: what is not known is said, the rest is done', async () => {
  const world = await formed()
  world.edit({ replicas: 5, storage: { tiering: 'cold' }, warp: { factor: 9 } })
  await rounds(world, 40)
  assert.match(reasonOf(world, 'Degraded'), /^UnknownFields: .*spec\.storage\.tiering, spec\.warp/)
  assert.equal(world.cluster.voters.length, 5)
})

test('a missing permission is named in the status and in the error that is logged, and nothing is changed', async () => {
  for (const kind of ['Pod', 'PersistentVolumeClaim', 'StatefulSet', 'Secret']) {
    const world = await formed()
    world.forbidden.add(kind)
    world.edit({ replicas: 5 })
    const result = await reconcile(world.deps({}), KEY)
    assert(result.kind === 'retry')
    assert.match(String(result.error), new RegExp(`cannot read resource "${kind}" in the namespace "ns"`))
    assert.match(reasonOf(world, 'Degraded'), new RegExp(`^Forbidden: .*cannot read resource "${kind}"`))
    assert.equal(world.replicas(), 3)
    world.forbidden.clear()
    await converge(world)
    assertSettledAt(world, 5)
  }
  const world = await formed()
  world.forbidden.add('apply StatefulSet')
  world.edit({ replicas: 5 })
  await look(world)
  assert.match(reasonOf(world, 'Degraded'), /^ApiServerRefused: .*cannot patch resource "StatefulSet"/)
})

test('a member that lies is not believed, and what it said is in a condition', async () => {
  const lies: readonly (readonly [Partial<AdminStatus>, RegExp])[] = [
    [{ configIndex: 1_000_000 }, /configuration is of index 1000000/],
    [{ commitIndex: 1_000_000 }, /committed up to 1000000/],
    [{ voters: ['11', '11'] }, /twice/],
    [{ role: 'waiting' }, /waits, and belongs to a cluster/],
    [{ role: 'leader', memberId: '' }, /without a member ID/],
  ]
  for (const [lie, expected] of lies) {
    const world = await formed()
    const { configIndex, members } = world.cluster
    world.lies.set('kv-0', lie)
    await rounds(world, 10)
    assert.match(reasonOf(world, 'Degraded'), /^ImplausibleMember: what kv-0 says/)
    assert.match(reasonOf(world, 'Degraded'), expected)
    assert.deepEqual([world.cluster.configIndex, world.cluster.members], [configIndex, members])
    assert.equal(world.status()['configIndex'], configIndex, 'what it said is not remembered either')
    world.lies.clear()
    await converge(world)
    assertSettledAt(world, 3)
  }
})

test('a member that suddenly speaks for another cluster is a stranger, and nothing is decided by its word', async () => {
  const world = await formed()
  const { members } = world.cluster
  world.lies.set('kv-0', { clusterId: 'feed', memberId: 'beef' })
  await rounds(world, 10)
  assert.equal(condition(world, 'ClusterIDMismatch'), 'True')
  assert.deepEqual(world.cluster.members, members)
})

test('a follower that claims a later term than the leader’s holds decisions up, and does no more', async () => {
  const world = await formed()
  const follower = world.cluster.members.find(({ id }) => id !== world.cluster.leader)
  world.lies.set(follower?.name ?? '', { term: 999 })
  world.edit({ replicas: 5 })
  await rounds(world, 10)
  assert.equal(world.cluster.members.length, 3)
  assert.match(reasonOf(world, 'Ready'), /^NoLeader/)
  world.lies.clear()
  await converge(world)
  assertSettledAt(world, 5)
})

test('a member that cannot be reached is not believed to be lost', async () => {
  const world = await formed()
  const { members } = world.cluster
  world.unreachable.add('kv-1')
  await rounds(world, 20)
  assert.deepEqual(world.cluster.members, members)
  assert.deepEqual(world.restarts, [])
})

test('what a sound member says has no contradiction', () => {
  const { status } = pod(0, { memberId: '1', voters: ['1'], configIndex: 5, commitIndex: 9, lastIndex: 9 })
  assert(status !== undefined)
  assert.equal(contradictionIn({ ...status, term: 3, lastTerm: 3 }), undefined)
  assert.match(contradictionIn({ ...status, term: 3, lastTerm: 4 }) ?? '', /its log ends in term 4/)
  const { lastTerm: _, ...earlier } = status
  assert.equal(contradictionIn(earlier), undefined)
})
