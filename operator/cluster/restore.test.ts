import assert from 'node:assert/strict'
import { test } from 'node:test'
import { API_VERSION } from '../api/raft-cluster.ts'
import { condition, converge, look, reasonOf, rounds } from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import { World } from './testing/world.ts'

const volume = { claimName: 'nas' }
const FROM_VOLUME = { replicas: 3, bootstrap: { restore: { source: { volume, name: 'c1/then-41' }, bumpRevision: 7 } } }

/** Ends at that call, before or after it has taken effect. */
function crashAt(call: number, isAfter: boolean): Parameters<World['deps']>[0] {
  let calls = 0
  const hook = (): void => {
    if (calls++ === call) throw new Crash()
  }
  return isAfter ? { after: hook } : { before: hook }
}

test('a cluster out of a backup: the first volume is filled before any pod is there, the others join', async () => {
  const world = new World(FROM_VOLUME)
  while (world.get('Job', 'kv-restore') === undefined) await look(world)
  assert.deepEqual(world.all('Pod'), [])
  assert.match(reasonOf(world, 'Ready'), /^Restoring: /)
  const job = world.get('Job', 'kv-restore')
  const { clusterID } = world.status()
  assert.deepEqual(Object(job?.['spec']).template.spec.containers[0].args, [
    'node-server/main.ts',
    'backup',
    'restore',
    'c1/then-41',
    '--to=file:///backups',
    '--data-dir=/var/lib/raftkv/data',
    '--name=kv-0',
    '--initial-advertise-peer-urls=http://kv-0.kv-headless.ns.svc.cluster.local:2380',
    `--cluster-id=${String(clusterID)}`,
    '--bump-revision=7',
  ])
  await converge(world)
  assert.equal(condition(world, 'Ready'), 'True')
  assert.equal(world.cluster.clusterId, clusterID)
  assert.deepEqual([world.cluster.voters.length, world.restored.length], [3, 1])
})

test('a revision or a time is handed to the Job', async () => {
  const moments = [
    [{ revision: 4711 }, '--revision=4711'],
    [{ time: '2026-11-30T12:00:00Z' }, '--time=2026-11-30T12:00:00Z'],
    [{ time: 'latest' }, '--time=latest'],
  ] as const
  for (const [moment, flag] of moments) {
    const world = new World({ replicas: 1, bootstrap: { restore: { source: { volume }, ...moment } } })
    while (world.get('Job', 'kv-restore') === undefined) await look(world)
    const args: readonly string[] = Object(world.get('Job', 'kv-restore')?.['spec']).template.spec.containers[0].args
    assert.deepEqual(
      args.filter((arg) => arg.startsWith('--revision') || arg.startsWith('--time')),
      [flag],
    )
  }
})

test('wherever the operator ends, there is one restore and one cluster', async () => {
  for (const isAfter of [true, false]) {
    for (let call = 0; call < 40; call++) {
      const world = new World(FROM_VOLUME)
      const hooks = crashAt(call, isAfter)
      for (let round = 0; round < 8; round++) {
        await look(world, hooks)
        world.tick()
      }
      await converge(world)
      assert.equal(condition(world, 'Ready'), 'True', `call ${call}: ${reasonOf(world, 'Ready')}`)
      assert.deepEqual([world.cluster.voters.length, world.restored.length], [3, 1])
    }
  }
})

test('what the bucket says when it fails is told; once the Job is deleted it is tried again', async () => {
  const world = new World(FROM_VOLUME)
  world.restoreProblem = 'Error: file:///backups: c1/then-41 is damaged: unexpected end\n'
  await rounds(world, 6)
  assert.match(
    reasonOf(world, 'Degraded'),
    /^RestoreFailed: file:\/\/\/backups: c1\/then-41 is damaged.*delete the Job kv-restore/,
  )
  assert.deepEqual(
    world.all('Pod').map(({ metadata }) => metadata.name),
    ['kv-restore-1'],
  )
  world.restoreProblem = undefined
  world.objects.delete('Job/kv-restore')
  world.objects.delete('Pod/kv-restore-1')
  await converge(world)
  assert.equal(condition(world, 'Ready'), 'True')
})

test('a RaftBackup is restored once it is complete, from where it says that it is', async () => {
  const world = new World({ replicas: 1, bootstrap: { restore: { backup: 'nightly' } } })
  await rounds(world, 3)
  assert.match(
    reasonOf(world, 'Degraded'),
    /^BackupNotFound: RaftBackup nightly does not exist: create it, or name the place/,
  )
  const metadata = { name: 'nightly', namespace: 'ns', creationTimestamp: '2030-01-01T00:00:00Z' }
  const spec = { clusterName: 'old', destination: { s3: { bucket: 'backups' } } }
  world.put({ apiVersion: API_VERSION, kind: 'RaftBackup', metadata, spec })
  await rounds(world, 2)
  assert.match(reasonOf(world, 'Degraded'), /^BackupNotFound: RaftBackup nightly is not complete/)
  const conditions = [
    { type: 'Complete', status: 'True', reason: 'BackupTaken', lastTransitionTime: '2030-01-01T00:00:00Z' },
  ]
  const backup = world.get('RaftBackup', 'nightly')
  assert(backup !== undefined)
  world.put({ ...backup, status: { name: 'c0/then-9', conditions } })
  await converge(world)
  assert.equal(condition(world, 'Ready'), 'True')
  const args: readonly string[] = Object(world.get('Job', 'kv-restore')?.['spec']).template.spec.containers[0].args
  assert.deepEqual(args.slice(3, 5), ['c0/then-9', '--to=s3://backups/'])
})

test('a volume that is lost after it was filled is not filled again: whether the cluster was there is not known', async () => {
  const world = new World(FROM_VOLUME)
  while (world.all('Pod').length === 0) await rounds(world, 1)
  world.loseVolume(0)
  await rounds(world, 6)
  assert.equal(world.restored.length, 1)
  assert.notEqual(condition(world, 'Ready'), 'True')
})

test('a volume that is lost before anybody has used it is told, and no pod starts on another one', async () => {
  const world = new World(FROM_VOLUME)
  while (world.restored.length === 0) await rounds(world, 1)
  world.objects.delete('PersistentVolumeClaim/data-kv-0')
  await rounds(world, 6)
  assert.deepEqual(world.all('Pod'), [])
  assert.match(reasonOf(world, 'Degraded'), /^SeedVolumeLost: .*create it again/)
})

test('a Job of another’s under the name stops it, with the name', async () => {
  const world = new World(FROM_VOLUME)
  world.put({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'kv-restore', namespace: 'ns' } })
  await rounds(world, 4)
  assert.match(reasonOf(world, 'Degraded'), /Job kv-restore exists and does not belong to this RaftCluster/)
  assert.deepEqual(world.restored, [])
})
