/** A quorum that is lost for good, and a backup that is restored in its place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { condition, converge, formed, look, reasonOf, rounds, voterNames, volumeNames } from './testing/convergence.ts'
import { field } from './testing/objects.ts'
import { Crash } from './testing/hooks.ts'
import type { World } from './testing/world.ts'

const SOURCE = { volume: { claimName: 'nas' }, name: 'c1/then-41' }

const ask = (world: World, id = 'r1', restore: object = { source: SOURCE }): void =>
  world.edit({ recovery: { request: { id, restore, acknowledgeDataLoss: true } } })

/** All pods but these are away, with their volumes. */
async function lost(replicas = 3, answering: readonly number[] = [0]): Promise<World> {
  const world = await formed({ replicas })
  for (let ordinal = 0; ordinal < replicas; ordinal++)
    if (!answering.includes(ordinal)) world.endPod(ordinal, 'Unknown')
  await rounds(world, 2)
  assert.equal(condition(world, 'QuorumLost'), 'True')
  return world
}

function back(world: World, ordinal: number): void {
  const pod = world.get('Pod', `kv-${ordinal}`) ?? assert.fail()
  world.put({ ...pod, status: { phase: 'Running', podIP: pod.metadata.name } })
  world.settleMembers()
}

const idOf = (world: World): string => String(world.status()['clusterID'])
const operation = (world: World): Readonly<Record<string, unknown>> => field(world.status(), 'operation')
const hasSwitched = (world: World): boolean => operation(world)['step'] === 'Bootstrap'
const argsOf = (world: World): readonly string[] =>
  Object(world.get('Job', 'kv-restore')?.['spec']).template.spec.containers[0].args

/** Looks until that is so. */
async function until(world: World, isSo: (world: World) => boolean): Promise<void> {
  for (let round = 0; round < 40 && !isSo(world); round++) await rounds(world, 1)
  assert(isSo(world), reasonOf(world, 'Ready'))
}

/** Its Job is there, and has not ended. */
async function begun(world: World): Promise<void> {
  for (let round = 0; round < 40 && world.get('Job', 'kv-restore') === undefined; round++) await look(world)
  assert.notEqual(world.get('Job', 'kv-restore'), undefined, reasonOf(world, 'Ready'))
}

/** UIDs of the claims, by name. */
function volumesOf(world: World): ReadonlyMap<string, string> {
  return new Map(world.all('PersistentVolumeClaim').map(({ metadata }) => [metadata.name, metadata.uid ?? '']))
}

function assertRestored(world: World, replicas = 3): void {
  const wanted = Array.from({ length: replicas }, (_, ordinal) => `kv-${ordinal}`)
  assert.equal(condition(world, 'Ready'), 'True', reasonOf(world, 'Ready'))
  assert.deepEqual(voterNames(world), wanted)
  assert.deepEqual(
    volumeNames(world),
    wanted.map((name) => `data-${name}`),
  )
  assert.equal(world.restored.length, 1, 'one restore')
  assert.equal(world.clusterIds.size, 2)
  assert.equal(world.cluster.clusterId, idOf(world))
  assert.deepEqual([world.status()['staleVolumes'] ?? [], world.status()['operation']], [[], undefined])
  for (const { metadata } of world.all('PersistentVolumeClaim'))
    assert.equal(metadata.annotations?.['raftkv.dev/cluster-id'], idOf(world), metadata.name)
}

test('a backup takes the place of a lost quorum: another cluster, beginning with a pod beyond those that were there', async () => {
  const world = await lost()
  const [before, old] = [volumesOf(world), idOf(world)]
  ask(world)
  await begun(world)
  assert.match(reasonOf(world, 'Progressing'), /^Restoring: the volume of kv-3 is filled from the backup c1\/then-41/)
  const id = argsOf(world)
    .find((arg) => arg.startsWith('--cluster-id='))
    ?.slice('--cluster-id='.length)
  assert.notEqual(id, old)
  assert(argsOf(world).includes('--name=kv-3'))
  assert.equal(idOf(world), old, 'nothing is given up before the backup is there')
  assert.deepEqual([world.get('Pod', 'kv-3'), world.ordinals()], [undefined, [0, 1, 2]])
  await until(world, hasSwitched)
  assert.equal(idOf(world), id)
  assert.deepEqual(world.status()['members'], [])
  for (const [name, uid] of before)
    assert.equal(volumesOf(world).get(name), uid, `${name} is kept until the backup leads`)
  await converge(world)
  assertRestored(world)
  assert(world.events.includes('Restored'))
  assert.equal(world.events.filter((event) => event === 'ClusterFormed').length, 1, 'of the cluster that was lost')
  await rounds(world, 10)
  assertRestored(world)
})

/** After each look: what must not happen to the volumes that were there. */
function checkOld(world: World, before: ReadonlyMap<string, string>): void {
  const kept = [...before].filter(([name, uid]) => volumesOf(world).get(name) === uid)
  const { leader, voters, clusterId } = world.cluster
  const isLed = leader !== '' && clusterId === idOf(world) && world.restored.length > 0
  if (!isLed) assert.equal(kept.length, before.size, 'no volume goes before the restored member leads')
  else if (voters.length === 1) assert(kept.length >= before.size - 1, `only ${kept.length} are left`)
  if (!hasSwitched(world) && !isLed) return
  for (const [name, uid] of kept) {
    if (!isLed || voters.length > 1) continue
    assert.equal(volumesOf(world).get(name), uid)
    assert(!world.ordinals().includes(Number(name.slice('data-kv-'.length))), `${name} is of a pod that is to run`)
  }
}

test('old volumes stay until the backup leads, all but one until two voters have it, and no pod is to run on one', async () => {
  for (const replicas of [1, 3, 5]) {
    const world = await lost(replicas, replicas === 1 ? [] : [0])
    const before = volumesOf(world)
    ask(world)
    for (let round = 0; round < 40; round++) {
      await look(world)
      checkOld(world, before)
      world.tick()
    }
    await converge(world)
    assertRestored(world, replicas)
  }
})

test('claims of the old cluster go on saying whose data they have', async () => {
  const world = await lost()
  const old = idOf(world)
  ask(world)
  await until(world, hasSwitched)
  await look(world)
  const marks = world
    .all('PersistentVolumeClaim')
    .map(({ metadata }) => `${metadata.name} ${metadata.annotations?.['raftkv.dev/cluster-id']}`)
  assert.deepEqual(marks.toSorted(), [
    ...[0, 1, 2].map((ordinal) => `data-kv-${ordinal} ${old}`),
    `data-kv-3 ${idOf(world)}`,
  ])
})

test('wherever the operator ends, there is one restore, and volumes are kept as long', async () => {
  // Right before a call is where it was right after the one before.
  for (let call = 0; call < 24; call++) {
    const world = await lost()
    const before = volumesOf(world)
    ask(world)
    let calls = 0
    const after = (): void => {
      if (calls++ === call) throw new Crash()
    }
    for (let round = 0; round < 14; round++) {
      await look(world, { after })
      checkOld(world, before)
      world.tick()
    }
    await converge(world)
    assertRestored(world)
  }
})

test('a quorum that is there is not replaced: the request is refused, and its id used up', async () => {
  const world = await formed()
  ask(world)
  await rounds(world, 5)
  assert(world.events.includes('RecoveryRefused'))
  assert.deepEqual([world.restored.length, world.clusterIds.size, world.cluster.voters.length], [0, 1, 3])
  for (const ordinal of [1, 2]) world.endPod(ordinal, 'Unknown')
  await rounds(world, 5)
  assert.equal(world.get('Job', 'kv-restore'), undefined, 'it was of another loss')
  assert.match(reasonOf(world, 'QuorumLost'), /recovery r1 is over: another loss needs a request with another id/)
})

test('the quorum comes back while the volume is filled: nothing is lost, and nothing is left', async () => {
  const world = await lost()
  const before = volumesOf(world)
  ask(world)
  await begun(world)
  back(world, 1)
  await rounds(world, 3)
  back(world, 2)
  await converge(world)
  assert.equal(condition(world, 'Ready'), 'True', reasonOf(world, 'Ready'))
  assert(world.events.includes('RecoveryRefused'))
  assert.deepEqual([volumesOf(world), world.clusterIds.size], [before, 1])
  assert.equal(world.get('Job', 'kv-restore'), undefined)
  assert.equal(world.status()['operation'], undefined)
})

test('what the Job says is told; the same request goes on once the Job is deleted', async () => {
  const world = await lost()
  const before = volumesOf(world)
  world.restoreProblem = 'Error: file:///backups: there is no backup c1/then-41\n'
  ask(world)
  await rounds(world, 8)
  assert.match(
    reasonOf(world, 'Degraded'),
    /^RestoreFailed: file:\/\/\/backups: there is no backup .* delete the Job kv-restore to try again, or ask for another backup, with another id/,
  )
  assert.deepEqual([idOf(world), world.ordinals()], [[...world.clusterIds][0], [0, 1, 2]])
  checkOld(world, before)
  world.restoreProblem = undefined
  world.objects.delete('Job/kv-restore')
  world.objects.delete('Pod/kv-restore-1')
  await converge(world)
  assertRestored(world)
})

test('another request while one is under way: its Job and volume go, and it begins with its own', async () => {
  for (const change of [
    (world: World) => ask(world, 'r2', { source: { ...SOURCE, name: 'c1/then-42' } }),
    (world: World) => ask(world, 'r1', { source: { ...SOURCE, name: 'c1/then-42' }, revision: 42 }),
  ]) {
    const world = await lost()
    world.restoreProblem = 'Error: no\n'
    ask(world)
    await rounds(world, 6)
    const first = argsOf(world)
    world.restoreProblem = undefined
    change(world)
    await until(world, (now) => now.get('Job', 'kv-restore') !== undefined && argsOf(now).includes('c1/then-42'))
    assert(argsOf(world).includes('c1/then-42'))
    assert.notDeepEqual(
      argsOf(world).filter((arg) => arg.startsWith('--cluster-id')),
      first.filter((arg) => arg.startsWith('--cluster-id')),
    )
    await converge(world)
    assertRestored(world)
  }
})

test('a pod of an earlier Job that has not stopped is waited for: two would write into one volume', async () => {
  const world = await lost()
  const labels = { 'app.kubernetes.io/name': 'raftkv-restore' }
  world.put({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'kv-restore-x', labels }, status: { phase: 'Running' } })
  ask(world)
  await rounds(world, 4)
  assert.match(reasonOf(world, 'Progressing'), /waits until kv-restore-x of an earlier restore has stopped/)
  assert.equal(world.get('Job', 'kv-restore'), undefined)
  world.objects.delete('Pod/kv-restore-x')
  await converge(world)
  assertRestored(world)
})

test('a request that is withdrawn, or turned into one for a survivor, leaves nothing behind', async () => {
  for (const recovery of [{}, { request: { id: 's', survivor: 'kv-0', acknowledgeDataLoss: true } }]) {
    const world = await lost()
    ask(world)
    world.restoreProblem = 'Error: no\n'
    await rounds(world, 6)
    world.edit({ recovery })
    await rounds(world, 6)
    assert.equal(world.get('Job', 'kv-restore'), undefined)
    assert.equal(volumesOf(world).get('data-kv-3'), undefined)
    assert.equal(world.clusterIds.size, 1)
    if (Object.keys(recovery).length === 0) for (const ordinal of [1, 2]) back(world, ordinal)
    await converge(world)
    assert.equal(condition(world, 'Ready'), 'True')
    assert.equal(world.restored.length, 0)
  }
})

test('a restored volume that is lost before the cluster leads: told, and another request restores again', async () => {
  const world = await lost()
  const before = volumesOf(world)
  ask(world)
  await until(world, hasSwitched)
  world.loseVolume(3)
  await rounds(world, 5)
  assert.match(
    reasonOf(world, 'Degraded'),
    /^SeedVolumeLost: the volume of kv-3, .* ask for the restore again, with another id/,
  )
  checkOld(world, before)
  ask(world, 'r2')
  await converge(world)
  assert.equal(condition(world, 'Ready'), 'True', reasonOf(world, 'Ready'))
  assert.deepEqual([world.restored.length, world.clusterIds.size], [2, 3])
  assert.deepEqual(voterNames(world), ['kv-0', 'kv-1', 'kv-2'])
})

test('an old member that comes back after the switch is no member, and is not taken for one', async () => {
  const world = await lost()
  world.lingering.add('kv-1')
  ask(world)
  await until(world, hasSwitched)
  await rounds(world, 2)
  back(world, 1)
  await rounds(world, 3)
  assert.equal(condition(world, 'ClusterIDMismatch'), 'False', reasonOf(world, 'ClusterIDMismatch'))
  assert.equal(world.cluster.clusterId, idOf(world))
  world.lingering.clear()
  await converge(world)
  assertRestored(world)
})

test('users are looked at again, whatever was known of those of the old cluster', async () => {
  const world = await lost()
  world.put({
    ...world.resource(),
    status: { ...world.status(), auth: { users: [], roles: ['r'], revision: 7, hash: 'h' } },
  })
  ask(world)
  await until(world, hasSwitched)
  const { roles, revision, hash } = field(world.status(), 'auth')
  assert.deepEqual([roles, revision ?? 0, hash ?? ''], [['r'], 0, ''])
})
