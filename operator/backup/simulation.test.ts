/**
 * Backups of one cluster over a simulated day: users make, delete and schedule them, pods of Jobs fail, hang, say nothing or end well,
 * calls are refused or lost, and the operator's process ends anywhere. What must never happen the world checks at the moment it
 * would; when the faults have ended, every backup has an end, and the RaftCluster says so.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import { KIND } from '../api/raft-cluster.ts'
import { BACKUP_KIND, SCHEDULE_KIND } from '../api/raft-backup.ts'
import { SCHEDULED_AT_ANNOTATION } from './decide.ts'
import { BackupWorld, type Fate, isEnded, KEY, phaseOf } from './testing/world.ts'

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
  if (random.chance(0.15)) world.backup(`by-hand-${count}`, retention)
  if (random.chance(0.03)) {
    const schedule = random.pick(['*/15 * * * *', '0 * * * *', '@daily', 'no time at all'])
    world.schedule('often', { schedule, ...retention, immediate: random.chance(0.5), suspend: random.chance(0.1) })
  }
  const backup = random.pick(world.all(BACKUP_KIND))
  if (backup !== undefined && random.chance(0.06)) world.remove(BACKUP_KIND, backup.metadata.name)
  const job = random.pick(world.all('Job').filter((job) => !isEnded(job)))
  if (job !== undefined && random.chance(0.02)) world.expire(job)
  const over = random.pick(world.all('Job').filter(isEnded))
  if (over !== undefined && random.chance(0.02)) world.remove('Job', over.metadata.name)
  world.runJobs()
  for (const pod of world.all('Pod')) if (phaseOf(pod) === 'Running' && random.chance(0.25)) endPod(world, random, pod)
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
  const scheduled = world.all(BACKUP_KIND).filter(({ metadata }) => metadata.annotations !== undefined)
  const times = scheduled.map(({ metadata }) => metadata.annotations?.[SCHEDULED_AT_ANNOTATION] ?? '')
  assert.equal(new Set(times).size, times.length, 'two backups for one time of the schedule')
  const open = scheduled.filter(({ metadata }) => !hasEnded(world, metadata.name))
  assert.ok(open.length <= 1, 'backups of a schedule pile up')
}

function hasEnded(world: BackupWorld, name: string): boolean {
  return ['Complete', 'Failed'].some((type) => world.condition(BACKUP_KIND, name, type).status === 'True')
}

/** Everybody does what they should, until nothing is left to do. */
async function calm(world: BackupWorld): Promise<void> {
  world.fate = () => 'done'
  world.remove(SCHEDULE_KIND, 'often')
  world.backup('at-last')
  for (let round = 0; round < 200; round++) {
    world.nowMs += MINUTE_MS
    world.runJobs()
    for (const pod of world.all('Pod')) if (phaseOf(pod) === 'Running') world.endPod(pod, 0, world.takeBackup(pod))
    await world.look()
  }
}

async function runSeed(seed: number): Promise<BackupWorld> {
  const random = seeded(seed)
  const world = new BackupWorld()
  world.fate = () => fateOf(random)
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
  assert.equal(world.condition(KIND, KEY.name, 'BackupReady').status, 'True')
  return world
}

test('no backup counts that was not read back, never are there two at a time, and none is forgotten while it is there', async () => {
  let taken = 0
  let failures = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      const world = await runSeed(seed)
      taken += world.readBack.size
      failures += world.failures
    } catch (cause) {
      throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }
  assert.ok(taken > SEEDS && failures > SEEDS / 2, `${taken} taken and ${failures} failed: too little happens`)
})
