/** Volumes that a deleted RaftCluster has left, and a new one takes over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { API_VERSION, KIND } from '../api/raft-cluster.ts'
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
import { Crash } from './testing/hooks.ts'
import { KEY, PLAIN } from './testing/objects.ts'
import type { World } from './testing/world.ts'

/** A cluster of three was there; its RaftCluster is gone, and all that was made for it but the volumes. Another one is made. */
async function left(bootstrap: (clusterId: string) => object | undefined, replicas = 3): Promise<World> {
  const world = await formed()
  for (const [key, { kind }] of world.objects) if (kind !== 'PersistentVolumeClaim') world.objects.delete(key)
  world.settleMembers()
  const adopting = bootstrap(world.cluster.clusterId)
  const spec = { ...PLAIN, replicas, ...(adopting !== undefined && { bootstrap: adopting }) }
  world.put({ apiVersion: API_VERSION, kind: KIND, metadata: { ...KEY, uid: 'another-uid', generation: 1 }, spec })
  return world
}

const itself = (clusterID: string): object => ({ adopt: { clusterID } })

function annotate(world: World, ordinal: number, clusterID: string | undefined): void {
  const claim = world.get('PersistentVolumeClaim', `data-kv-${ordinal}`) ?? assert.fail()
  const { 'raftkv.dev/cluster-id': _, ...others } = claim.metadata.annotations ?? {}
  const annotations = clusterID === undefined ? others : { ...others, 'raftkv.dev/cluster-id': clusterID }
  world.put({ ...claim, metadata: { ...claim.metadata, annotations } })
}

const claimUids = (world: World): readonly unknown[] =>
  world.all('PersistentVolumeClaim').map(({ metadata }) => metadata.uid)

test('with bootstrap.adopt the members come back as themselves, with their data, under the ID that they had', async () => {
  const world = await left(itself)
  const [uids, members, { clusterId }] = [claimUids(world), world.cluster.members.map(({ id }) => id), world.cluster]
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual([claimUids(world), world.cluster.members.map(({ id }) => id)], [uids, members])
  assert.deepEqual([world.status()['clusterID'], condition(world, 'ClusterIDMismatch')], [clusterId, 'False'])
  assert(world.events.includes('VolumesAdopted'))
  assert.equal(world.events.filter((event) => event === 'ClusterFormed').length, 1, 'the first time, and not again')
  for (const { metadata } of world.all('PersistentVolumeClaim'))
    assert.equal(metadata.labels?.['raftkv.dev/cluster-uid'], 'another-uid')
  world.edit({ replicas: 5 })
  await converge(world)
  assert.equal(voterNames(world).length, 5)
})

test('without it nothing is adopted', async () => {
  const world = await left(() => undefined)
  await rounds(world, 5)
  assert.match(reasonOf(world, 'Degraded'), /^ForeignVolume: /)
  assert.deepEqual(world.all('Pod'), [])
})

test('what is not whole, or not certain, is refused with what to do, and nothing is touched', async () => {
  const cases: readonly (readonly [RegExp, (world: World) => void, ((id: string) => object)?, number?])[] = [
    [
      /data-kv-0, data-kv-1, data-kv-2 has data of cluster [0-9a-f]+, and bootstrap.adopt names abc/,
      () => {},
      () => itself('abc'),
    ],
    [/data-kv-0 is not there/, (world) => void world.objects.delete('PersistentVolumeClaim/data-kv-0')],
    [
      /data-kv-1 is not there. Give replicas as many as/,
      (world) => void world.objects.delete('PersistentVolumeClaim/data-kv-1'),
    ],
    [/data-kv-3, data-kv-4 is not there/, () => {}, itself, 5],
    [/there are 3 claims of the cluster, and replicas is 1: give replicas 3/, () => {}, itself, 1],
    [
      /the claims are of 2 clusters: data-kv-0 of [0-9a-f]+, data-kv-1 of [0-9a-f]+, data-kv-2 of ff\./,
      (world) => annotate(world, 2, 'ff'),
    ],
    [/data-kv-2 does not say of which cluster its data is/, (world) => annotate(world, 2, undefined)],
    [
      /still in use: data-kv-1 by pod debug\. It goes on once they have stopped/,
      (world) =>
        void world.put({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'debug', namespace: KEY.namespace },
          spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data-kv-1' } }] },
          status: { phase: 'Running' },
        }),
    ],
    [
      /data-kv-0 is being deleted/,
      (world) => {
        const claim = world.get('PersistentVolumeClaim', 'data-kv-0') ?? assert.fail()
        world.put({ ...claim, metadata: { ...claim.metadata, deletionTimestamp: '2030-01-01T00:00:00Z' } })
      },
    ],
    [
      /there is no PersistentVolumeClaim data-kv-0: a RaftCluster adopts/,
      (world) => {
        for (const key of world.objects.keys()) if (key.startsWith('PersistentVolumeClaim/')) world.objects.delete(key)
      },
    ],
  ]
  for (const [expected, change, bootstrap = itself, replicas = 3] of cases) {
    const world = await left(bootstrap, replicas)
    change(world)
    const before = claimUids(world)
    await look(world)
    await look(world)
    assert.match(reasonOf(world, 'Degraded'), /^AdoptionRefused: nothing is adopted: /)
    assert.match(reasonOf(world, 'Degraded'), expected)
    assert.deepEqual([claimUids(world), world.status()['clusterID'] ?? '', world.replicas()], [before, '', 0])
  }
})

test('what stood in the way goes, and it goes on', async () => {
  const world = await left(itself)
  annotate(world, 2, 'ff')
  await rounds(world, 3)
  assert.match(reasonOf(world, 'Degraded'), /^AdoptionRefused/)
  annotate(world, 2, world.cluster.clusterId)
  await converge(world)
  assertSettledAt(world, 3)
})

test('wherever the operator ends, it is one cluster, the one that it was', async () => {
  for (const isAfter of [true, false]) {
    for (let call = 0; call < 14; call++) {
      const world = await left(itself)
      const members = world.cluster.members.map(({ id }) => id)
      let calls = 0
      const hook = (): void => {
        if (calls++ === call) throw new Crash()
      }
      for (let round = 0; round < 6; round++) {
        await look(world, isAfter ? { after: hook } : { before: hook })
        world.tick()
      }
      await converge(world)
      assertSettledAt(world, 3)
      assert.deepEqual(
        world.cluster.members.map(({ id }) => id),
        members,
      )
    }
  }
})

test('a volume that turns out to be empty forms no second cluster', async () => {
  const world = await left(itself)
  await look(world)
  for (const disk of world.disks.values()) Object.assign(disk, { clusterId: '', memberId: '' })
  await rounds(world, 10)
  assert.match(reasonOf(world, 'Degraded'), /^SeedVolumeLost: /)
  assert.equal(world.events.filter((event) => event === 'ClusterFormed').length, 1)
})

test('members that had no TLS have it with their new RaftCluster: they find one another as they are known, and are known by TLS from then on', async () => {
  const world = await left(itself)
  world.put({ ...world.resource(), spec: { replicas: 3, bootstrap: itself(world.cluster.clusterId) } })
  for (const { peerURLs } of world.cluster.members) assert.match(peerURLs.join(), /^http:/)
  await rounds(world, 60)
  await converge(world)
  assertSettledAt(world, 3)
  assert.match(reasonOf(world, 'TLSReady'), /^Ready: /)
  for (const { peerURLs } of world.cluster.members) assert.match(peerURLs.join(), /^https:/)
})
