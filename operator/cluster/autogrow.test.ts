/** Volumes that become larger by themselves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStatus } from '../api/status.ts'
import { KubeError } from './ports.ts'
import { formed, reasonOf, rounds } from './testing/convergence.ts'
import { ROOMY } from './testing/fake-store.ts'
import { field } from './testing/objects.ts'
import type { World } from './testing/world.ts'

const GIBI_IN_MB = 1073.741824
const AUTOGROW = { storage: { size: '10Gi', autogrow: { whenFull: '80%', by: '5Gi', to: '18Gi' } } }

/** Volumes of 10Gi, full to those shares. */
async function filled(shares: readonly number[], spec: object = AUTOGROW): Promise<World> {
  const world = await formed({ replicas: shares.length, ...spec })
  for (const [ordinal, share] of shares.entries()) fill(world, ordinal, share)
  return world
}

function idOf(world: World, ordinal: number): string {
  return world.cluster.members.find(({ name }) => name === `kv-${ordinal}`)?.id ?? assert.fail()
}

function fill(world: World, ordinal: number, share: number): void {
  const volume = volumeGibi(world, ordinal) * GIBI_IN_MB
  world.cluster.stores.byMember.set(idOf(world, ordinal), { ...ROOMY, volume, others: share * volume - ROOMY.size })
}

function claimOf(world: World, ordinal: number): Readonly<Record<string, unknown>> {
  return world.get('PersistentVolumeClaim', `data-kv-${ordinal}`) ?? assert.fail()
}

function volumeGibi(world: World, ordinal: number): number {
  return Number.parseInt(String(field(field(claimOf(world, ordinal), 'status'), 'capacity')['storage']), 10)
}

function requested(world: World): readonly unknown[] {
  return world
    .all('PersistentVolumeClaim')
    .map((claim) => field(field(field(claim, 'spec'), 'resources'), 'requests')['storage'])
}

/** As a CSI driver does it; the file systems show it. */
function expand(world: World): void {
  for (const claim of world.all('PersistentVolumeClaim')) {
    const capacity = field(field(field(claim, 'spec'), 'resources'), 'requests')
    world.put({ ...claim, status: { ...field(claim, 'status'), capacity } })
  }
  for (const [id, store] of world.cluster.stores.byMember) {
    const ordinal = world.cluster.members.findIndex((member) => member.id === id)
    store.volume = volumeGibi(world, ordinal) * GIBI_IN_MB
  }
}

const growth = (world: World): object | undefined => parseStatus(world.status()).volumeGrowth

test('once one volume is full all grow by a step, and no further before they have it', async () => {
  const world = await filled([0.5, 0.79, 0.5])
  await rounds(world, 5)
  assert.deepEqual([requested(world), growth(world)], [['10Gi', '10Gi', '10Gi'], undefined])
  fill(world, 1, 0.8)
  await rounds(world, 10)
  assert.deepEqual(requested(world), ['15Gi', '15Gi', '15Gi'])
  assert.match(reasonOf(world, 'StorageReady'), /^VolumesGrowing: data-kv-0 should grow from 10Gi to 15Gi/)
  assert(world.events.includes('GrowingVolumes'))
  expand(world)
  await rounds(world, 5)
  assert.deepEqual([requested(world)[0], reasonOf(world, 'StorageReady')], ['15Gi', 'VolumesBound: '])
  assert.equal(field(world.resource(), 'spec')['storage'], AUTOGROW.storage, 'the spec is left alone')
})

test('a file system that does not show its new size yet is not taken for full again; the maximum is told', async () => {
  const world = await filled([0.9, 0.9, 0.9])
  await rounds(world, 5)
  for (const claim of world.all('PersistentVolumeClaim'))
    world.put({ ...claim, status: { phase: 'Bound', capacity: { storage: '15Gi' } } })
  await rounds(world, 5)
  assert.deepEqual(requested(world), ['15Gi', '15Gi', '15Gi'])
  expand(world)
  for (const ordinal of [0, 1, 2]) fill(world, ordinal, 0.9)
  await rounds(world, 5)
  assert.deepEqual(requested(world), ['18Gi', '18Gi', '18Gi'])
  expand(world)
  for (const ordinal of [0, 1, 2]) fill(world, ordinal, 0.9)
  await rounds(world, 5)
  assert.deepEqual(requested(world), ['18Gi', '18Gi', '18Gi'])
  assert.match(
    reasonOf(world, 'StorageReady'),
    /^AutogrowEnded: the volume of kv-\d is full to more than 80%, and it has reached/,
  )
})

test('a class that does not expand is told, and left alone until the spec is edited', async () => {
  const world = await filled([0.9, 0.9, 0.9])
  const words = 'only dynamically provisioned pvc can be resized and the storageclass must support resize'
  world.answer = ({ verb, kind }) =>
    verb === 'apply' && kind === 'PersistentVolumeClaim'
      ? new KubeError({ kind: 'forbidden', message: words })
      : undefined
  await rounds(world, 20)
  assert.match(reasonOf(world, 'StorageReady'), /^ExpansionRefused: /)
  await rounds(world, 80)
  const tries = (): number =>
    world.calls.filter(({ verb, kind }) => verb === 'apply' && kind === 'PersistentVolumeClaim').length
  const before = tries()
  await rounds(world, 200)
  assert.equal(tries(), before, 'not asked forever')
  assert.match(
    reasonOf(world, 'StorageReady'),
    /^AutogrowEnded: volumes should grow to 15Gi and cannot: only dynamically/,
  )
  assert.equal(world.events.filter((event) => event === 'VolumeGrowthRefused').length, 1)
  world.answer = () => undefined
  world.edit({ ...AUTOGROW, paused: false })
  await rounds(world, 5)
  assert.deepEqual(requested(world), ['15Gi', '15Gi', '15Gi'])
})

test('no space for the disk’s sake: where the volumes can grow nothing is compacted, and then the alarm goes', async () => {
  const world = await filled([1, 1, 1])
  await rounds(world, 10)
  assert.match(
    reasonOf(world, 'StorageReady'),
    /^NoSpace: .*puts are refused: the volumes grow; data-kv-0 should grow from 10Gi to 15Gi/,
  )
  assert.equal(world.cluster.stores.asked.length, 0)
  expand(world)
  await rounds(world, 10)
  assert.equal(world.cluster.stores.asked.filter((call) => call.startsWith('disarm')).length, 3)
  assert.equal(world.cluster.stores.asked.length, 3)
  assert.equal(reasonOf(world, 'StorageReady'), 'VolumesBound: ')
})

test('what spec.storage.size has by itself is no growth, and nothing is without autogrow', async () => {
  const world = await filled([0.9, 0.9, 0.9], { storage: { size: '10Gi' } })
  await rounds(world, 5)
  assert.deepEqual([requested(world), growth(world)], [['10Gi', '10Gi', '10Gi'], undefined])
})
