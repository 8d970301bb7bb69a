import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIND } from '../api/raft-cluster.ts'
import { BACKUP_KIND, SCHEDULE_KIND } from '../api/raft-backup.ts'
import { BackupWorld, KEY } from './testing/world.ts'

const MINUTE_MS = 60_000
const NO_BUCKET =
  'reading\nError: s3://backups: there is no such bucket: create it, or look at spec.destination.s3.bucket\n'

type End = (world: BackupWorld, pod: Parameters<BackupWorld['endPod']>[0]) => void
const well: End = (world, pod) => world.endPod(pod, 0, world.takeBackup(pod))
const badly: End = (world, pod) => world.endPod(pod, 1, NO_BUCKET)

/** Time goes by, and every pod ends so. */
async function pass(world: BackupWorld, minutes: number, end: End = well): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    world.nowMs += MINUTE_MS
    await world.look()
    world.runJobs()
    for (const pod of world.runningJobPods()) end(world, pod)
    world.runJobs()
    await world.look()
  }
}

function reasonOf(world: BackupWorld, kind: string, name: string, type: string): string {
  const { status, reason, message } = world.condition(kind, name, type)
  return `${status} ${reason}: ${message}`
}

const backupNames = (world: BackupWorld): readonly string[] =>
  world
    .all(BACKUP_KIND)
    .map(({ metadata }) => metadata.name)
    .toSorted()

test('a RaftBackup is taken by a Job; its status, the RaftCluster and events say what there is', async () => {
  const world = new BackupWorld()
  world.backup('now')
  await world.look()
  await world.look()
  assert.match(reasonOf(world, BACKUP_KIND, 'now', 'Complete'), /^False Running: Job now-backup is under way/)
  assert.match(reasonOf(world, KIND, KEY.name, 'BackupReady'), /^Unknown NoBackupYet/)
  await pass(world, 1)
  const status = world.objects.get(`${BACKUP_KIND}/now`)?.['status']
  const { revision, clusterID, storedBytes, databaseBytes, place, durationSeconds } = Object(status)
  assert.deepEqual([revision, clusterID, storedBytes, databaseBytes], [10, 'c1', 10, 100])
  assert.deepEqual([place, durationSeconds], ['s3://backups/', 60])
  const said = 'revision 10 of 2026-11-30T00:01:00.000Z, read back from s3://backups/'
  assert.equal(reasonOf(world, BACKUP_KIND, 'now', 'Complete'), `True BackupTaken: ${said}`)
  assert.equal(reasonOf(world, KIND, KEY.name, 'BackupReady'), `True BackupTaken: RaftBackup now: ${said}`)
  assert.deepEqual(world.events, [
    'Normal BackupStarted RaftBackup',
    'Normal BackupTaken RaftBackup',
    'Normal BackupTaken RaftCluster',
  ])
})

test('what the bucket says stands in the conditions, while it is tried again and when it has failed', async () => {
  const world = new BackupWorld()
  world.backup('now')
  await pass(world, 2, badly)
  assert.match(
    reasonOf(world, BACKUP_KIND, 'now', 'Complete'),
    /^False Running: s3:\/\/backups: there is no such bucket/,
  )
  await pass(world, 2, badly)
  const words = 's3://backups: there is no such bucket: create it, or look at spec.destination.s3.bucket'
  assert.equal(reasonOf(world, BACKUP_KIND, 'now', 'Failed'), `True BackupFailed: ${words}`)
  assert.equal(reasonOf(world, KIND, KEY.name, 'BackupReady'), `False BackupFailed: RaftBackup now: ${words}`)
  assert.equal(world.failures, 1)
  world.backup('again')
  await pass(world, 1)
  assert.match(reasonOf(world, KIND, KEY.name, 'BackupReady'), /^True BackupTaken: RaftBackup again/)
})

test('one that ends well and says nothing that counts has failed, as has one that takes too long', async () => {
  const world = new BackupWorld()
  world.backup('silent')
  await pass(world, 1, (_, pod) => world.endPod(pod, 0, '{"isReadBack":false}'))
  assert.match(reasonOf(world, BACKUP_KIND, 'silent', 'Failed'), /^True NoResult: .*Create another RaftBackup/)
  world.backup('slow')
  await world.look()
  world.runJobs()
  const job = world.all('Job').find(({ metadata }) => metadata.name === 'slow-backup')
  assert(job !== undefined)
  world.expire(job)
  await world.look()
  assert.match(reasonOf(world, BACKUP_KIND, 'slow', 'Failed'), /^True DeadlineExceeded: .*spec\.deadlineSeconds/)
})

test('there is one at a time; the others wait, and say for what', async () => {
  const world = new BackupWorld()
  world.backup('first')
  world.nowMs += MINUTE_MS
  world.backup('second')
  await world.look()
  await world.look()
  assert.match(
    reasonOf(world, BACKUP_KIND, 'second', 'Complete'),
    /^False Waiting: it waits for Job first-backup to end/,
  )
  await pass(world, 2)
  assert.match(reasonOf(world, BACKUP_KIND, 'second', 'Complete'), /^True/)
})

test('a Job that is refused says so, and does not keep others from their turn', async () => {
  const world = new BackupWorld()
  world.backup('first')
  world.nowMs += MINUTE_MS
  world.backup('second')
  let calls = 0
  world.fate = () => (calls++ === 0 ? 'refused' : 'done')
  await world.look()
  assert.match(reasonOf(world, BACKUP_KIND, 'first', 'Complete'), /^False JobRefused: exceeded quota/)
  assert.deepEqual(
    world.all('Job').map(({ metadata }) => metadata.name),
    ['second-backup'],
  )
  await pass(world, 2)
  assert.match(reasonOf(world, BACKUP_KIND, 'first', 'Complete'), /^True/)
})

test('a schedule makes a RaftBackup at each of its times; of those that were missed the last is made up for', async () => {
  const world = new BackupWorld()
  world.schedule('hourly', { schedule: '0 * * * *', immediate: true })
  await pass(world, 59)
  assert.deepEqual(backupNames(world), ['hourly-20261130000000'])
  await pass(world, 1)
  assert.deepEqual(backupNames(world), ['hourly-20261130000000', 'hourly-20261130010000'])
  world.nowMs += 200 * MINUTE_MS
  await pass(world, 5)
  assert.deepEqual(backupNames(world).slice(2), ['hourly-20261130040000'])
  const { lastScheduleTime, nextScheduleTime } = Object(world.objects.get(`${SCHEDULE_KIND}/hourly`)?.['status'])
  assert.deepEqual([lastScheduleTime, nextScheduleTime], ['2026-11-30T04:00:00Z', '2026-11-30T05:00:00Z'])
  world.schedule('hourly', { schedule: '0 * * * *', suspend: true })
  await pass(world, 90)
  assert.equal(backupNames(world).length, 3)
  assert.match(reasonOf(world, SCHEDULE_KIND, 'hourly', 'Ready'), /^False Suspended/)
})

test('a schedule that names no time says so, and makes nothing', async () => {
  const world = new BackupWorld()
  world.schedule('never', { schedule: '0 3 * * *', timeZone: 'Europe/Atlantis' })
  await pass(world, 2)
  assert.match(reasonOf(world, SCHEDULE_KIND, 'never', 'Ready'), /^False InvalidSchedule: .*Europe\/Atlantis/)
  assert.deepEqual(backupNames(world), [])
})

test('RaftBackups of a schedule go with their data, those made by hand stay; of failures three are kept', async () => {
  const world = new BackupWorld()
  world.backup('by-hand')
  await pass(world, 1)
  world.revision += 1
  world.schedule('often', { schedule: '* * * * *', retention: { count: 2 } })
  await pass(world, 10)
  assert.equal(world.bucket.length, 2)
  // The one that is newest has told of those before it; the third is looked at next.
  assert.ok(backupNames(world).length <= 4, backupNames(world).join())
  assert.ok(backupNames(world).includes('by-hand'))
  await pass(world, 40, badly)
  const failed = backupNames(world).filter((name) => world.condition(BACKUP_KIND, name, 'Failed').status === 'True')
  assert.ok(failed.length >= 3 && failed.length <= 4, failed.join())
  assert.equal(world.bucket.length, 2)
})

/** Of the schedule's backups, in their order: whether they were to be verified, and what came of it. */
function verifications(world: BackupWorld): readonly string[] {
  return backupNames(world).map((name) => {
    const { spec, status } = world.objects.get(`${BACKUP_KIND}/${name}`) ?? assert.fail()
    return Object(spec).verify === undefined ? '-' : String(Object(status).verified ?? 'under way')
  })
}

test('of every N backups of a schedule one is restored to try it, beginning with the first; its status has the last that passed', async () => {
  const world = new BackupWorld()
  world.schedule('often', { schedule: '* * * * *', verify: { every: 3, sizeLimit: '1Gi' } })
  await pass(world, 7)
  assert.deepEqual(verifications(world), ['true', '-', '-', 'true', '-', '-', 'under way'])
  const [, , , fourth = ''] = backupNames(world)
  const { takenAt, revision } = Object(world.objects.get(`${BACKUP_KIND}/${fourth}`)?.['status'])
  const { lastVerified, backupsSinceVerified } = Object(world.objects.get(`${SCHEDULE_KIND}/often`)?.['status'])
  assert.deepEqual([lastVerified, backupsSinceVerified], [{ name: fourth, revision, takenAt }, 2])
  const [first] = world.all('Job')
  const { containers, volumes } = Object(first?.['spec']).template.spec
  assert.deepEqual(volumes, [{ name: 'rehearsal', emptyDir: { sizeLimit: '1Gi' } }])
  assert.deepEqual(containers[0].volumeMounts, [{ name: 'rehearsal', mountPath: '/rehearsal' }])
  assert.deepEqual(containers[0].args.slice(-3, -1), ['--rehearse=/rehearsal', '--rehearse-bytes=1020054732'])
})

test('a backup that could not be restored is there, is not verified, and the next one is restored, too; the RaftCluster says so until then', async () => {
  const world = new BackupWorld()
  world.isRestorable = () => false
  world.schedule('often', { schedule: '* * * * *', retention: { count: 1 }, verify: { every: 3 } })
  await pass(world, 2)
  assert.deepEqual(verifications(world), ['false', 'under way'])
  world.schedule('often', { schedule: '* * * * *', suspend: true, verify: { every: 3 } })
  await pass(world, 1)
  world.backup('not-tried')
  await pass(world, 1)
  assert.deepEqual(verifications(world), ['-', 'false', 'false'])
  assert.equal(world.condition(BACKUP_KIND, 'not-tried', 'Complete').status, 'True')
  assert.match(
    reasonOf(world, KIND, KEY.name, 'BackupReady'),
    /^False VerifyFailed: RaftBackup often-\d+ is there, but not verified: another HashKV/,
  )
  assert.equal(Object(world.objects.get(`${SCHEDULE_KIND}/often`)?.['status']).lastVerified, undefined)
  const told = ['Warning VerifyFailed RaftBackup', 'Warning VerifyFailed RaftCluster']
  assert.deepEqual([...new Set(world.events.filter((event) => event.includes('Verify')))], told)
  assert.equal(world.failures, 2)
  world.isRestorable = () => true
  world.backup('tried', { verify: {} })
  await pass(world, 1)
  assert.match(reasonOf(world, KIND, KEY.name, 'BackupReady'), /^True BackupTaken: RaftBackup tried/)
})

test('without a RaftCluster that has members nothing begins, and it is said why; with one again it does', async () => {
  const world = new BackupWorld()
  const cluster = world.objects.get(`${KIND}/${KEY.name}`)
  assert(cluster !== undefined)
  world.backup('now')
  for (const [other, why] of [
    [undefined, /^False Waiting: RaftCluster kv does not exist/],
    [{ ...cluster, status: {} }, /^False Waiting: RaftCluster kv is not formed yet/],
    [{ ...cluster, spec: { replicas: 0 } }, /^False Waiting: RaftCluster kv has no member that runs/],
  ] as const) {
    if (other === undefined) world.objects.delete(`${KIND}/${KEY.name}`)
    else world.put(other)
    await world.look()
    assert.match(reasonOf(world, BACKUP_KIND, 'now', 'Complete'), why)
    assert.deepEqual(world.all('Job'), [])
  }
  world.put(cluster)
  await pass(world, 1)
  assert.match(reasonOf(world, BACKUP_KIND, 'now', 'Complete'), /^True/)
})

test('a RaftCluster without backups says nothing of them', async () => {
  const world = new BackupWorld()
  world.backup('now')
  await pass(world, 1)
  world.remove(BACKUP_KIND, 'now')
  await world.look()
  assert.deepEqual(world.condition(KIND, KEY.name, 'BackupReady'), {})
})
