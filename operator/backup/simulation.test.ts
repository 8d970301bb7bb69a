/**
 * Backups of one cluster over a simulated day: users make, delete and schedule them, with and without what is changed between two,
 * pods of Jobs fail, hang, say nothing or end well, pods that keep changes start again, are overtaken or find no bucket, calls are
 * refused or lost, restores that are tried fail, and the operator's process ends anywhere. What must never happen the world checks at the moment it would; when the
 * faults have ended, every backup has an end, changes are kept by whoever is to, and the RaftCluster says so.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import { KIND } from '../api/raft-cluster.ts'
import { BACKUP_KIND, SCHEDULE_KIND } from '../api/raft-backup.ts'
import { SCHEDULED_AT_ANNOTATION } from './decide.ts'
import { BackupWorld, type Fate, isEnded, KEY } from './testing/world.ts'

const SEEDS = 40
const STEPS = 100
const MINUTE_MS = 60_000

function fateOf(random: Random): Fate {
  if (!random.chance(0.15)) return 'done'
  return random.pick(['lost', 'refused', 'crash before', 'crash after'] as const) ?? 'done'
}

/** Something happens around the operator. */
function happen(world: BackupWorld, random: Random, count: number): void {
  world.nowMs += random.below(10) * MINUTE_MS
  world.revision += random.below(3)
  const retention = random.chance(0.7) ? { retention: { count: 1 + random.below(3) } } : {}
  const verify = random.chance(0.3) ? { verify: {} } : {}
  if (random.chance(0.15)) world.backup(`by-hand-${count}`, { ...retention, ...verify })
  for (const [name, chance] of [
    ['often', 0.03],
    ['other', 0.02],
  ] as const)
    // prettier-ignore
    if (random.chance(chance)) world.schedule(name, { ...retention, ...drawnSchedule(random) })
  const backup = random.pick(world.all(BACKUP_KIND))
  if (backup !== undefined && random.chance(0.06)) world.remove(BACKUP_KIND, backup.metadata.name)
  const job = random.pick(world.all('Job').filter((job) => !isEnded(job)))
  if (job !== undefined && random.chance(0.02)) world.expire(job)
  const over = random.pick(world.all('Job').filter(isEnded))
  if (over !== undefined && random.chance(0.02)) world.remove('Job', over.metadata.name)
  happenToStreams(world, random)
  world.runJobs()
  for (const pod of world.runningJobPods()) if (random.chance(0.25)) endPod(world, random, pod)
}

function drawnSchedule(random: Random): Readonly<Record<string, unknown>> {
  const schedule = random.pick(['*/15 * * * *', '0 * * * *', '@daily', 'no time at all'])
  const destination = { s3: { bucket: 'backups', ...(random.chance(0.5) && { prefix: 'b' }) } }
  const changeStream = { enabled: random.chance(0.8), intervalSeconds: 1 + random.below(2) }
  const verify = random.chance(0.6) ? { verify: { every: 1 + random.below(3) } } : {}
  return { schedule, immediate: random.chance(0.5), suspend: random.chance(0.15), destination, changeStream, ...verify }
}

function happenToStreams(world: BackupWorld, random: Random): void {
  if (random.chance(0.03)) world.remove(SCHEDULE_KIND, random.pick(['often', 'other']) ?? '')
  // Whoever has removed an object of ours may have put one of their own into its place.
  const foreign = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'other-changes' } }
  if (random.chance(0.02) && !world.objects.has('Deployment/other-changes')) world.put({ ...foreign, spec: {} })
  const deployment = random.pick(world.all('Deployment'))
  if (deployment !== undefined && random.chance(0.04)) world.remove('Deployment', deployment.metadata.name)
  else if (deployment !== undefined && random.chance(0.02))
    world.put({ ...deployment, spec: { ...Object(deployment['spec']), replicas: 0 } })
  const cluster = world.objects.get(`${KIND}/${KEY.name}`)
  if (cluster !== undefined && random.chance(0.05))
    world.put({ ...cluster, spec: { replicas: random.pick([0, 3, 3, 5]) ?? 3 } })
  // It takes its time.
  if (random.chance(0.7)) world.followers.run()
  for (const pod of world.followers.pods()) {
    const { followers } = world
    const what = random.below(20)
    if (what < 12) followers.keep(pod)
    else if (what === 12) followers.restart(pod)
    else if (what === 13) followers.overtake(pod)
    else if (what === 14) followers.fail(pod, 'there is no such bucket')
    else if (what === 15) followers.end(pod)
  }
}

type Pod = Parameters<BackupWorld['endPod']>[0]

function endPod(world: BackupWorld, random: Random, pod: Pod): void {
  const end = random.below(10)
  if (end < 6) world.endPod(pod, 0, world.takeBackup(pod))
  else if (end < 8) world.endPod(pod, 1, 'Error: s3://backups: there is no such bucket')
  // It was whole, and nobody can tell: only what was said counts.
  else if (end === 8) world.endPod(pod, 0, random.pick(['', '{}', 'out of memory']) ?? '')
  else world.endPod(pod, 1, world.takeBackup(pod))
}

function assertOneATime(world: BackupWorld): void {
  for (const schedule of world.all(SCHEDULE_KIND)) {
    const isOwn = ({ metadata }: Pod): boolean => metadata.ownerReferences?.[0]?.uid === schedule.metadata.uid
    const own = world.all(BACKUP_KIND).filter(isOwn)
    const times = own.map(({ metadata }) => metadata.annotations?.[SCHEDULED_AT_ANNOTATION] ?? '')
    assert.equal(new Set(times).size, times.length, 'two backups for one time of the schedule')
    const open = own.filter(({ metadata }) => !hasEnded(world, metadata.name))
    assert.ok(open.length <= 1, 'backups of a schedule pile up')
  }
}

function hasEnded(world: BackupWorld, name: string): boolean {
  return ['Complete', 'Failed'].some((type) => world.condition(BACKUP_KIND, name, type).status === 'True')
}

/** Everybody does what they should, until nothing is left to do. */
async function calm(world: BackupWorld): Promise<void> {
  world.fate = () => 'done'
  world.isRestorable = () => true
  world.followers.lingers = () => false
  world.remove(SCHEDULE_KIND, 'often')
  for (const deployment of world.all('Deployment'))
    if (deployment.metadata.ownerReferences === undefined) world.remove('Deployment', deployment.metadata.name)
  world.schedule('other', { schedule: '@yearly', changeStream: { enabled: true } })
  const cluster = world.objects.get(`${KIND}/${KEY.name}`)
  if (cluster !== undefined) world.put({ ...cluster, spec: { replicas: 3 } })
  world.backup('at-last', { verify: {} })
  await settle(world, 150)
}

async function settle(world: BackupWorld, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    world.nowMs += MINUTE_MS
    world.runJobs()
    world.followers.run()
    for (const pod of world.followers.pods()) world.followers.keep(pod)
    for (const pod of world.runningJobPods()) world.endPod(pod, 0, world.takeBackup(pod))
    await world.look()
  }
}

async function runSeed(seed: number): Promise<BackupWorld> {
  const random = seeded(seed)
  const world = new BackupWorld()
  world.fate = () => fateOf(random)
  world.isRestorable = () => random.chance(0.7)
  world.followers.lingers = () => random.chance(0.4)
  for (let step = 0; step < STEPS; step++) {
    happen(world, random, step)
    await world.look()
    assertOneATime(world)
  }
  await calm(world)
  for (const { metadata } of world.all(BACKUP_KIND)) {
    const ends = ['Complete', 'Failed'].filter(
      (type) => world.condition(BACKUP_KIND, metadata.name, type).status === 'True',
    )
    assert.equal(ends.length, 1, `${metadata.name} has ended`)
  }
  assert.equal(world.condition(BACKUP_KIND, 'at-last', 'Complete').status, 'True')
  assert.equal(Object(world.objects.get(`${BACKUP_KIND}/at-last`)?.['status']).verified, true)
  assert.equal(world.condition(KIND, KEY.name, 'BackupReady').status, 'True')
  await checkStreams(world)
  return world
}

/** One pod keeps the changes of the schedule that is left, as that says; suspended, it goes, and what was kept stands. */
async function checkStreams(world: BackupWorld): Promise<void> {
  const statusOf = (): Readonly<Record<string, unknown>> =>
    Object(Object(world.objects.get(`${SCHEDULE_KIND}/other`)?.['status']).changeStream)
  const [pod, ...more] = world.followers.pods()
  assert.ok(pod !== undefined && more.length === 0, `${1 + more.length} pods keep changes`)
  const { place, kept, gap } = world.followers.statusOf(pod) ?? {}
  const { revision, time, lastGap } = statusOf()
  assert.deepEqual([place, kept], ['s3://backups/', { revision, at: time }])
  if (gap !== undefined) assert.deepEqual(lastGap, { time: gap.at, message: gap.message, closed: true })
  assert.equal(world.condition(SCHEDULE_KIND, 'other', 'ChangeStreamReady').status, 'True')
  world.schedule('other', { schedule: '@yearly', suspend: true, changeStream: { enabled: true } })
  await settle(world, 5)
  assert.deepEqual([world.all('Deployment'), world.followers.pods()], [[], []])
  assert.equal(statusOf()['revision'], revision)
}

test('no backup counts that was not read back, never are there two at a time, none is forgotten while it is there or verified that could not be restored, and one pod keeps changes', async () => {
  let taken = 0
  let failures = 0
  let [kept, gaps] = [0, 0]
  let [verified, unverified] = [0, 0]
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      const world = await runSeed(seed)
      taken += world.readBack.size
      failures += world.failures
      kept += world.followers.told.size
      gaps += world.gaps
      const passed = [...world.rehearsals.values()].filter((isVerified) => isVerified).length
      verified += passed
      unverified += world.rehearsals.size - passed
    } catch (cause) {
      throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }
  assert.ok(taken > SEEDS && failures > SEEDS / 2, `${taken} taken and ${failures} failed: too little happens`)
  assert.ok(
    verified > SEEDS && unverified > SEEDS / 2,
    `${verified} verified and ${unverified} not: too little happens`,
  )
  assert.ok(kept > SEEDS && gaps > SEEDS / 2, `${kept} kept and ${gaps} gaps: too little happens`)
})
