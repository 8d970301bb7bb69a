import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIND } from '../api/raft-cluster.ts'
import { SCHEDULE_KIND } from '../api/raft-backup.ts'
import type { KubeObject } from '../cluster/ports.ts'
import { BackupWorld, KEY } from './testing/world.ts'

const SECOND_MS = 1000
const NIGHTLY = { schedule: '0 3 * * *', changeStream: { enabled: true } }
const DEPLOYMENT = 'nightly-changes'

/** Time goes by in steps of ten seconds; `each` says what pods do that keep changes. */
async function pass(world: BackupWorld, seconds: number, each = keeping): Promise<void> {
  for (let at = 0; at < seconds; at += 10) {
    world.nowMs += 10 * SECOND_MS
    world.revision += 1
    world.followers.run()
    for (const pod of world.followers.pods()) each(world, pod)
    await world.look()
  }
}

const keeping = (world: BackupWorld, pod: KubeObject): void => world.followers.keep(pod)
const away = (world: BackupWorld, pod: KubeObject): void => world.followers.fail(pod, 'there is no such bucket')

function conditionOf(world: BackupWorld, kind: string, name: string, type: string): string {
  const { status, reason, message } = world.condition(kind, name, type)
  return `${status} ${reason}: ${message}`
}

const readyOf = (world: BackupWorld, name = 'nightly'): string =>
  conditionOf(world, SCHEDULE_KIND, name, 'ChangeStreamReady')

function keptOf(world: BackupWorld): ReturnType<typeof Object> {
  return Object(world.objects.get(`${SCHEDULE_KIND}/nightly`)?.['status']).changeStream
}

const argsOf = (world: BackupWorld): readonly string[] =>
  Object(world.objects.get(`Deployment/${DEPLOYMENT}`)?.['spec']).template.spec.containers[0].args

async function streaming(spec: object = {}): Promise<BackupWorld> {
  const world = new BackupWorld()
  world.schedule('nightly', { ...NIGHTLY, ...spec })
  await world.look()
  await pass(world, 30)
  return world
}

test('a pod keeps the changes: its figures, conditions and an event say so', async () => {
  const world = new BackupWorld()
  world.schedule('nightly', NIGHTLY)
  await world.look()
  assert.equal(readyOf(world), 'Unknown Starting: nothing has been kept yet')
  await pass(world, 30)
  assert.equal(readyOf(world), 'True ChangesKept: all changes are kept in s3://backups/')
  const { place, clusterID, revision, time } = keptOf(world)
  assert.deepEqual([place, clusterID, revision, time], ['s3://backups/', 'c1', 13, '2026-11-30T00:00:30.000Z'])
  const said = 'ScheduledRaftBackup nightly: all changes are kept in s3://backups/'
  assert.equal(conditionOf(world, KIND, KEY.name, 'BackupReady'), `True ChangesKept: ${said}`)
  assert.deepEqual(world.events, ['Normal ChangesKept ScheduledRaftBackup', 'Normal ChangesKept RaftCluster'])
})

test('it is one pod of a Deployment that the schedule owns, in the image of the members, and has nothing that it does not need', async () => {
  const world = await streaming({ changeStream: { enabled: true, intervalSeconds: 5 } })
  const deployment = world.objects.get(`Deployment/${DEPLOYMENT}`)
  const { replicas, strategy, template } = Object(deployment?.['spec'])
  assert.deepEqual([replicas, strategy], [1, { type: 'Recreate' }])
  const owner = world.objects.get(`${SCHEDULE_KIND}/nightly`)?.metadata.uid
  assert.deepEqual(
    deployment?.metadata.ownerReferences?.map(({ uid }) => uid),
    [owner],
  )
  const { restartPolicy, automountServiceAccountToken, containers } = template.spec
  assert.deepEqual([restartPolicy, automountServiceAccountToken], ['Always', false])
  const [{ image, args, livenessProbe }] = containers
  const members = [0, 1, 2].map((ordinal) => `http://kv-${ordinal}.kv-headless.ns.svc.cluster.local:2379`).join(',')
  const flags = [`--endpoints=${members}`, '--to=s3://backups/', '--interval=5', '--status-port=8082']
  assert.deepEqual(args, ['node-server/main.ts', 'backup', 'follow', ...flags])
  assert.deepEqual([image, livenessProbe.httpGet], ['raftkv:1', { port: 8082, path: '/status' }])
})

test('while the bucket is away what was kept stands, and when it is too old it is said why; backups go on', async () => {
  const world = await streaming()
  await pass(world, 30, away)
  assert.match(readyOf(world), /^True ChangesKept/)
  await pass(world, 60, away)
  assert.equal(readyOf(world), 'False NotKept: there is no such bucket')
  assert.equal(keptOf(world).revision, 13)
  assert.equal(
    conditionOf(world, KIND, KEY.name, 'BackupReady'),
    'False NotKept: ScheduledRaftBackup nightly: there is no such bucket',
  )
  assert.deepEqual(world.events.slice(2), [
    'Warning ChangesNotKept ScheduledRaftBackup',
    'Warning ChangesNotKept RaftCluster',
  ])
  await pass(world, 10)
  assert.match(readyOf(world), /^True ChangesKept/)
  assert.match(conditionOf(world, KIND, KEY.name, 'BackupReady'), /^True/)
})

test('a pod that does not run or answer is told once what was kept is too old', async () => {
  const world = await streaming()
  await pass(world, 90, (_, pod) => world.put({ ...pod, status: { phase: 'Running', podIP: '10.9.9.9' } }))
  assert.equal(readyOf(world), 'False NoAnswer: no answer')
  const waiting = { reason: 'ImagePullBackOff', message: 'there is no such image' }
  const containerStatuses = [{ name: 'tool', ready: false, state: { waiting } }]
  await pass(world, 10, (_, pod) => world.put({ ...pod, status: { phase: 'Pending', containerStatuses } }))
  assert.match(readyOf(world), /^False PodNotReady: .*there is no such image/)
})

test('a gap is told while it is open, counted once, and remembered', async () => {
  const world = await streaming()
  await pass(world, 10, (_, pod) => world.followers.overtake(pod))
  await pass(world, 10, () => undefined)
  assert.equal(readyOf(world), 'False Gap: it was compacted')
  await pass(world, 10)
  assert.match(readyOf(world), /^True/)
  for (const pod of world.followers.pods()) world.followers.restart(pod)
  await pass(world, 10)
  assert.deepEqual([keptOf(world).lastGap.message, keptOf(world).lastGap.closed], ['it was compacted', true])
  assert.deepEqual(
    world.events.filter((event) => event.includes('Gap')),
    ['Warning ChangesGap ScheduledRaftBackup', 'Warning ChangesGap RaftCluster'],
  )
  assert.equal(world.gaps, 1)
})

test('suspended, turned off or without members it goes, and comes again', async () => {
  const world = await streaming()
  const cluster = world.objects.get(`${KIND}/${KEY.name}`)
  assert.ok(cluster !== undefined)
  const gone = async (why: RegExp): Promise<void> => {
    await pass(world, 20)
    assert.match(readyOf(world), why)
    assert.deepEqual([world.all('Deployment'), world.followers.pods()], [[], []])
  }
  world.schedule('nightly', { ...NIGHTLY, suspend: true })
  await gone(/^False Suspended/)
  assert.equal(keptOf(world).revision, 13, 'what is kept can still be restored')
  world.schedule('nightly', NIGHTLY)
  await pass(world, 30)
  assert.match(readyOf(world), /^True/)
  world.put({ ...cluster, spec: { replicas: 0 } })
  await gone(/^False ScaledToZero/)
  world.put({ ...cluster, spec: { replicas: 'many' } })
  await pass(world, 20)
  assert.deepEqual(world.all('Deployment'), [], 'of what cannot be read nothing is made')
  world.put(cluster)
  await pass(world, 30)
  world.put({ ...cluster, spec: { replicas: 'many' } })
  await pass(world, 30)
  assert.equal(world.followers.pods().length, 1, 'and nothing is taken away')
  world.objects.delete(`${KIND}/${KEY.name}`)
  await gone(/^False ClusterNotFound/)
  world.put(cluster)
  world.schedule('nightly', { schedule: '0 3 * * *' })
  await gone(/^undefined/)
  assert.equal(keptOf(world), undefined)
})

test('of two schedules with one place the first keeps the changes there, and the other says so', async () => {
  const world = await streaming()
  world.schedule('other', NIGHTLY)
  await pass(world, 20)
  assert.equal(
    readyOf(world, 'other'),
    'False KeptByAnother: ScheduledRaftBackup nightly keeps the changes in that place',
  )
  assert.equal(world.followers.pods().length, 1)
  assert.match(conditionOf(world, KIND, KEY.name, 'BackupReady'), /^True ChangesKept/)
  world.schedule('other', { ...NIGHTLY, destination: { s3: { bucket: 'backups', prefix: 'other' } } })
  await pass(world, 20)
  assert.match(readyOf(world, 'other'), /^True/)
  world.schedule('other', NIGHTLY)
  world.remove(SCHEDULE_KIND, 'nightly')
  await world.look()
  assert.match(readyOf(world, 'other'), /^False KeptByAnother: pod nightly-changes-1 keeps/)
  await pass(world, 30)
  assert.match(readyOf(world, 'other'), /^True/)
})

test('an edit recreates the pod, and so does scaling its Deployment to none; in another place figures begin again', async () => {
  const world = await streaming()
  world.schedule('nightly', { ...NIGHTLY, changeStream: { enabled: true, intervalSeconds: 60 } })
  await pass(world, 30)
  assert.ok(argsOf(world).includes('--interval=60'))
  const deployment = world.objects.get(`Deployment/${DEPLOYMENT}`)
  assert.ok(deployment !== undefined)
  world.put({ ...deployment, spec: { ...Object(deployment['spec']), replicas: 0 } })
  await pass(world, 40)
  assert.equal(world.followers.pods().length, 1)
  world.schedule('nightly', { ...NIGHTLY, destination: { s3: { bucket: 'backups', prefix: 'new' } } })
  await pass(world, 30, () => undefined)
  assert.deepEqual(keptOf(world), { place: 's3://backups/new' })
})

test('a Deployment of that name that the schedule does not own is left alone, and said to be there', async () => {
  const world = new BackupWorld()
  const foreign = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: DEPLOYMENT } }
  const before = world.put({ ...foreign, spec: { replicas: 1, template: { metadata: {} } } })
  world.schedule('nightly', NIGHTLY)
  await pass(world, 30)
  assert.match(
    readyOf(world),
    /^False DeploymentRefused: Deployment nightly-changes exists and does not belong to this ScheduledRaftBackup/,
  )
  assert.equal(world.objects.get(`Deployment/${DEPLOYMENT}`), before)
})

test('what the API server refuses is said in its words, and tried again', async () => {
  const world = new BackupWorld()
  world.schedule('nightly', NIGHTLY)
  let calls = 0
  world.fate = () => (calls++ === 0 ? 'refused' : 'done')
  await world.look()
  assert.equal(readyOf(world), 'False DeploymentRefused: exceeded quota')
  await pass(world, 30)
  assert.match(readyOf(world), /^True/)
})

test('a RaftBackup that a schedule makes says nothing of changes', async () => {
  const world = await streaming({ immediate: true })
  const [backup] = world.all('RaftBackup')
  assert.deepEqual(Object.keys(Object(backup?.['spec'])).toSorted(), ['clusterName', 'deadlineSeconds', 'destination'])
})
