/** Fifteen ways in which operators for etcd have lost clusters, each with what happens here instead. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRaftCluster } from '../api/raft-cluster.ts'
import { headlessService } from './resources/services.ts'
import { podDisruptionBudget } from './resources/pod-disruption-budget.ts'
import { hostName } from './resources/names.ts'
import { memberObjects, statefulSet } from './resources/stateful-set.ts'
import { scaleDown } from './rules/scale-down.ts'
import { hasFields } from './has-fields.ts'
import {
  assertSettledAt,
  condition,
  converge,
  formed,
  look,
  reasonOf,
  rounds,
  voterNames,
} from './testing/convergence.ts'
import { cluster, membership, observedWith } from './testing/observed.ts'
import { field } from './testing/objects.ts'
import { World } from './testing/world.ts'

const idOf = (world: World, name: string): string =>
  world.cluster.members.find((member) => member.name === name)?.id ?? ''
const uidOf = (world: World, volume: string): string | undefined =>
  world.get('PersistentVolumeClaim', volume)?.metadata.uid

test('1. “quorum loss loops without a status”: it is a condition, and recovery is asked for and acknowledged', async () => {
  const world = await formed()
  for (const ordinal of [1, 2]) world.loseVolume(ordinal)
  await rounds(world, 10)
  assert.equal(condition(world, 'QuorumLost'), 'True')
  assert.match(reasonOf(world, 'Ready'), /QuorumLost/)
  assert.deepEqual(world.cluster.voters.length, 3, 'nothing is decided without being asked')
  world.edit({ recovery: { request: { id: 'a', survivor: 'kv-0', acknowledgeDataLoss: true } } })
  await converge(world)
  assertSettledAt(world, 3)
  assert(world.events.includes('Recovered'))
  assert.equal(condition(world, 'QuorumLost'), 'False')
})

test('2. “a lost pod becomes an empty volume”: it comes back as itself, with its volume', async () => {
  const world = await formed()
  const [members, volume] = [world.cluster.members, uidOf(world, 'data-kv-1')]
  world.killPod(1)
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual(world.cluster.members, members)
  assert.equal(uidOf(world, 'data-kv-1'), volume)
})

test('3. “a replacement fails ‘validating peer URLs’, then quorum is lost”: it is a learner first, told at boot', async () => {
  const world = await formed()
  world.cluster.isLearnerStuck = true
  world.annotate({ 'raftkv.dev/replace-member': 'kv-1' })
  await rounds(world, 12)
  assert.deepEqual(voterNames(world), ['kv-0', 'kv-2'], 'what has no data does not count in the quorum')
  assert.equal(world.cluster.learners.length, 1)
  assert(!JSON.stringify(world.get('StatefulSet', 'kv')?.['spec']).includes('--initial-cluster='))
  world.cluster.isLearnerStuck = false
  await converge(world)
  assertSettledAt(world, 3)
})

test('4. “a stale learner blocks the only learner slot”: after its time it is removed and starts over', async () => {
  const world = await formed({ scaling: { learnerTimeoutSeconds: 10 } })
  world.cluster.isLearnerStuck = true
  world.edit({ replicas: 5 })
  await rounds(world, 6)
  const [first] = world.cluster.learners
  assert.notEqual(first, undefined)
  await rounds(world, 20)
  assert.notEqual(world.cluster.learners[0], first)
  world.cluster.isLearnerStuck = false
  await converge(world)
  assertSettledAt(world, 5)
})

test('5. “graceful node shutdown leaves bare pods Succeeded”: a StatefulSet recreates them, members stay', async () => {
  const world = await formed()
  const { members, configIndex } = world.cluster
  world.endPod(0, 'Succeeded')
  world.endPod(1, 'Failed')
  await look(world)
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual([world.cluster.members, world.cluster.configIndex], [members, configIndex])
})

test('6. “removal of the resource destroyed volumes”: they are nobody’s dependents, and stay unless asked', async () => {
  const world = await formed()
  const object = world.resource()
  for (const volume of world.all('PersistentVolumeClaim')) assert.deepEqual(volume.metadata.ownerReferences ?? [], [])
  world.put({ ...object, metadata: { ...object.metadata, deletionTimestamp: '2030-01-01T00:00:00Z' } })
  await rounds(world, 5)
  const deleted = world.all('PersistentVolumeClaim').filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
  assert.deepEqual(deleted, [])
})

test('7. “down then up reuses a stale volume”: it goes before its ordinal is used again, and after the removal', async () => {
  const world = await formed({ storage: { retention: { whenScaled: 'Retain' } } })
  world.edit({ replicas: 1 })
  await converge(world)
  const stale = uidOf(world, 'data-kv-2')
  assert.notEqual(stale, undefined)
  world.edit({ replicas: 3 })
  await converge(world)
  assertSettledAt(world, 3)
  assert.notEqual(uidOf(world, 'data-kv-2'), stale)
})

test('8. “a passing pod loss shrank the StatefulSet”: counts are never taken for a wish', async () => {
  const world = await formed({ replicas: 5 })
  for (const ordinal of [3, 4]) world.killPod(ordinal)
  await look(world)
  assert.equal(world.replicas(), 5)
  assert.equal(voterNames(world).length, 5)
  await converge(world)
  assertSettledAt(world, 5)
})

test('9. “spec edits are ignored unless the size changes”: each change of a pod reaches every pod', async () => {
  const world = await formed()
  for (const edit of [
    { image: { tag: '2' } },
    { options: { heartbeatMs: 50 } },
    { resources: { limits: { cpu: 1 } } },
  ]) {
    const before = world.restarts.length
    world.edit(edit)
    await converge(world)
    assertSettledAt(world, 3)
    assert.deepEqual(world.restarts.slice(before).toSorted(), ['kv-0', 'kv-1', 'kv-2'], JSON.stringify(edit))
    assert.equal(condition(world, 'UpToDate'), 'True')
  }
  world.edit({ pdb: { enabled: true }, scaling: { maxLagEntries: 50 } })
  await converge(world)
  assert.equal(world.restarts.length, 9, 'what is not about pods restarts none')
})

test('10. “the wrong member or the leader is removed”: by its ID, the highest ordinal as a number, after the leader moved', async () => {
  const world = await formed({ replicas: 5 })
  const gone = idOf(world, 'kv-4')
  world.cluster.transfer(gone)
  world.edit({ replicas: 3 })
  await converge(world)
  assertSettledAt(world, 3)
  assert(world.events.indexOf('LeaderMoved') < world.events.indexOf('MemberRemoved'))
  const twelve = observedWith(membership(12, 12), cluster({ configIndex: 7 }, { replicas: 9 }))
  const [, change] = scaleDown(twelve)?.actions ?? []
  assert(change?.kind === 'change-membership' && change.request.kind === 'remove')
  assert.equal(change.request.memberId, '12', 'kv-11 goes before kv-9, which is later in the alphabet')
})

test('11. “a middle ordinal cannot be repaired by a StatefulSet”: it is replaced in its place, volume and all', async () => {
  const world = await formed()
  const [id, volume] = [idOf(world, 'kv-1'), uidOf(world, 'data-kv-1')]
  world.annotate({ 'raftkv.dev/replace-member': 'kv-1' })
  await converge(world)
  assertSettledAt(world, 3)
  assert.notEqual(idOf(world, 'kv-1'), id)
  assert.notEqual(uidOf(world, 'data-kv-1'), volume)
  assert.deepEqual(world.restarts, ['kv-1'])
  const { configIndex } = world.cluster
  await rounds(world, 10)
  assert.equal(world.cluster.configIndex, configIndex, 'once, though the annotation is still there')
})

test('12. “two clusters form at bootstrap”: one seed, one ID that is written before it is used', async () => {
  const world = new World({ replicas: 5 })
  await converge(world)
  assertSettledAt(world, 5)
  assert.equal(world.events.filter((reason) => reason === 'ClusterFormed').length, 1)
  assert.equal(world.clusterIds.size, 1)
})

test('13. “a rollout in ordinal order with one sick pod loses quorum”: the sick first, the leader last', async () => {
  const world = await formed({ replicas: 5 })
  world.cluster.transfer(idOf(world, 'kv-4'))
  world.endPod(1, 'Unknown')
  world.edit({ image: { tag: '2' } })
  await converge(world)
  assertSettledAt(world, 5)
  assert.equal(world.restarts[0], 'kv-1')
  assert.equal(world.restarts.at(-1), 'kv-4')
  assert.deepEqual(world.restarts.toSorted(), ['kv-0', 'kv-1', 'kv-2', 'kv-3', 'kv-4'])
  assert(world.events.includes('LeaderMoved'))
})

test('14. “a PodDisruptionBudget drained 5 voters to 2”: it keeps the quorum of what is and of what is to be', () => {
  const minAvailable = (replicas: number, voters: number): unknown =>
    Reflect.get(Object(podDisruptionBudget(cluster({}, { replicas }), voters)?.['spec']), 'minAvailable')
  assert.deepEqual([minAvailable(5, 5), minAvailable(3, 5), minAvailable(5, 3)], [3, 3, 3])
})

test('15. “resize, cluster domain and DNS of members that are not ready”', async () => {
  const world = await formed()
  world.edit({ storage: { size: '20Gi' } })
  await look(world)
  const claim = field(field(world.get('PersistentVolumeClaim', 'data-kv-2'), 'spec'), 'resources')
  assert.deepEqual(claim['requests'], { storage: '20Gi' })
  const metadata = { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' }
  const elsewhere = parseRaftCluster({ metadata, spec: { clusterDomain: 'corp.example' } })
  assert(elsewhere.ok)
  assert.equal(hostName(elsewhere.value, 0), 'kv-0.kv-headless.ns.svc.corp.example')
  const options = {
    pods: { start: 0, end: 3 },
    image: 'i',
    form: memberObjects,
    formNumber: 1,
    claimTemplate: undefined,
  }
  const made = statefulSet(elsewhere.value, options)
  assert(JSON.stringify(made).includes('.svc.corp.example:2380'))
  assert(hasFields(headlessService(elsewhere.value), { spec: { publishNotReadyAddresses: true } }))
})
