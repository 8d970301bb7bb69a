import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import { seeded } from '../../raft/testing/random.ts'
import { BackupFailed } from '../destination.ts'
import { walk } from './chain.ts'
import { planCourse, type Target } from './course.ts'
import { rowsOf, type Row } from './segment.ts'
import { listChanges, readSegment, readTip } from './segments.ts'
import { CLUSTER, INTERVAL_MS, World } from './testing/world.ts'

const SEEDS = 45

const plain = ({ isDelete, keyValue }: Row): string => `${isDelete ? 'delete' : 'put'} ${keyValue.toString('hex')}`
const upTo =
  (revision: number) =>
  (row: { readonly revision: number }): boolean =>
    row.revision <= revision

/** What a restore has in the end: the rows of the backup that it begins with, and those of segments. */
async function restored(world: World, target: Target): Promise<{ readonly revision: number; readonly rows: string[] }> {
  const { base, revision: wanted, segments } = await planCourse(world.destination, world.backups, target)
  const full = world.fulls.find(({ takenAtMs, revision }) => base.name.endsWith(`full-${revision}-${takenAtMs}`))
  assert.ok(full !== undefined)
  const rows = full.rows.map(plain)
  let { revision } = full
  for (const name of walk(segments, revision)) {
    if (revision >= wanted) break
    const segment = await readSegment(world.destination, name)
    const own = [...rowsOf(segment)].map((row) => ({ row, revision: revisionOf(row) }))
    for (const one of own) if (one.revision > revision && one.revision <= wanted) rows.push(plain(one.row))
    revision = segment.head.last.revision
  }
  assert.ok(revision >= wanted)
  return { revision: wanted, rows }
}

function revisionOf({ keyValue }: Row): number {
  return Number(KeyValue.decode(keyValue).modRevision)
}

test('what is written is kept within an interval, and a restore to any revision has exactly what was there', async () => {
  const world = new World(seeded(1))
  for (let i = 0; i < 5; i++) world.write()
  world.start()
  await world.pass(2 * INTERVAL_MS)
  assert.deepEqual(
    world.fulls.map(({ revision }) => revision),
    [6],
  )
  for (let i = 0; i < 20; i++) world.write()
  await world.pass(INTERVAL_MS)
  const kept = world.news.findLast((news) => news.kind === 'kept')
  assert.equal(kept?.revision, 26)
  assert.ok(world.clock.wallMs() - (kept.atMs ?? 0) <= INTERVAL_MS)
  for (let revision = 6; revision <= 26; revision++) {
    const { rows } = await restored(world, { kind: 'revision', revision })
    assert.deepEqual(rows, world.rows.filter(upTo(revision)).map(plain), `revision ${revision}`)
  }
  await assert.rejects(restored(world, { kind: 'revision', revision: 27 }), /changes are kept up to 26/)
  await assert.rejects(
    restored(world, { kind: 'revision', revision: 5 }),
    /before the oldest backup, which is of revision 6/,
  )
  await world.stop()
})

test('while nothing is changed it is known that nothing was; a restore to a time goes to what there was then', async () => {
  const world = new World(seeded(2))
  world.write()
  const created = world.clock.wallMs()
  world.start()
  await world.pass(2 * INTERVAL_MS)
  const before = world.clock.wallMs()
  await world.pass(1)
  world.write()
  world.write()
  await world.pass(2 * INTERVAL_MS)
  const between = world.clock.wallMs()
  await world.pass(1)
  world.write()
  await world.pass(10 * INTERVAL_MS)
  const quiet = (await readTip(world.destination, CLUSTER))?.atMs ?? 0
  assert.ok(world.clock.wallMs() - quiet <= INTERVAL_MS)
  const at = async (atMs: number): Promise<number> => (await restored(world, { kind: 'time', atMs })).revision
  assert.deepEqual([await at(before), await at(between), await at(quiet)], [2, 4, 5])
  assert.equal((await restored(world, { kind: 'latest' })).revision, 5)
  await assert.rejects(at(quiet + 1), / is later than anything that is kept: choose .*, or latest/)
  await assert.rejects(at(created - 60_000), /is before the oldest backup, which was taken at/)
  await world.stop()
})

test('a compaction that has overtaken it is told, and closed by a full backup at once', async () => {
  const world = new World(seeded(3))
  world.start()
  await world.pass(2 * INTERVAL_MS)
  await world.stop()
  for (let i = 0; i < 10; i++) world.write()
  world.compact(8)
  world.start()
  await world.pass(0)
  assert.deepEqual(
    world.fulls.map(({ revision }) => revision),
    [1, 11],
  )
  assert.match(
    JSON.stringify(world.news),
    /changes were kept up to revision 1, and the cluster was compacted up to 8: a full/,
  )
  await world.pass(2 * INTERVAL_MS)
  world.write()
  await world.pass(2 * INTERVAL_MS)
  assert.equal((await restored(world, { kind: 'revision', revision: 12 })).revision, 12)
  await assert.rejects(restored(world, { kind: 'revision', revision: 5 }), /changes are kept up to 1 there/)
  await world.stop()
})

test('a full backup taken meanwhile does not end the chain before it: what lies between is fetched', async () => {
  const world = new World(seeded(4))
  world.start()
  await world.pass(2 * INTERVAL_MS)
  world.write()
  await world.pass(2 * INTERVAL_MS)
  await world.stop()
  for (let i = 0; i < 5; i++) world.write()
  world.fulls.push({ revision: world.revision, takenAtMs: world.clock.wallMs(), rows: [...world.rows] })
  world.start()
  await world.pass(2 * INTERVAL_MS)
  await world.stop()
  assert.equal(world.fulls.length, 2)
  assert.equal((await restored(world, { kind: 'revision', revision: 5 })).revision, 5)
})

test('a cluster that goes on with another history is noticed at the next start, also when it is further than what is kept', async () => {
  for (const more of [0, 2, 30]) {
    const world = new World(seeded(5 + more))
    world.start()
    for (let i = 0; i < 10; i++) world.write()
    await world.pass(2 * INTERVAL_MS)
    for (let i = 0; i < 10; i++) world.write()
    await world.pass(2 * INTERVAL_MS)
    const old = [...world.rows]
    world.goBackTo(15)
    for (let i = 0; i < more; i++) world.write()
    await world.pass(20 * INTERVAL_MS)
    world.write()
    await world.pass(2 * INTERVAL_MS)
    assert.match(JSON.stringify(world.news), /a full backup is taken now/)
    const { rows } = await restored(world, { kind: 'latest' })
    assert.deepEqual(rows, world.rows.map(plain), `${more} more`)
    const first = await restored(world, { kind: 'revision', revision: 12 })
    assert.deepEqual(first.rows, old.filter(upTo(12)).map(plain))
    assert.equal(world.fulls.length, 2)
    await world.stop()
  }
})

test('wherever it is killed or the bucket fails, there is no hole and nothing twice, unless the cluster had compacted it', async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const random = seeded(seed)
    const world = new World(random)
    world.write()
    world.failing = random.pick([0, 0.05, 0.2]) ?? 0
    world.killing = random.pick([0, 0.02, 0.1]) ?? 0
    world.faltering = 0.2
    const isCompacting = seed % 3 === 0
    for (let step = 0; step < 60; step++) {
      if (!world.isRunning) world.start()
      for (let i = random.below(6); i > 0; i--) world.write(random.chance(0.2) ? 7n : 0n)
      if (random.chance(0.05)) world.fulls.push({ revision: world.revision, takenAtMs: world.clock.wallMs(), rows: [...world.rows] }) // prettier-ignore
      if (isCompacting && random.chance(0.1)) world.compact(world.revision - random.below(10))
      await world.pass(random.below(2 * INTERVAL_MS))
    }
    world.failing = world.killing = world.faltering = 0
    if (!world.isRunning) world.start()
    await world.pass(20 * INTERVAL_MS)
    await world.stop()
    const first = Math.min(...world.fulls.map(({ revision }) => revision))
    for (let i = 0; i < 10; i++) {
      const revision = i === 0 ? world.revision : first + random.below(world.revision - first + 1)
      const found = await restored(world, { kind: 'revision', revision }).catch((error: unknown) => {
        // The newest is never in a hole.
        if (!isCompacting || i === 0 || !(error instanceof BackupFailed)) throw error
      })
      const expected = world.rows.filter(upTo(revision)).map(plain)
      assert.deepEqual(found?.rows ?? expected, expected, `seed ${seed}, revision ${revision}`)
    }
    await checkChain(world, seed)
  }
})

/** Each segment says which one was before it, and begins where that one ends. */
async function checkChain(world: World, seed: number): Promise<void> {
  const { segments } = await listChanges(world.destination, CLUSTER)
  const read = await Promise.all(segments.map((name) => readSegment(world.destination, name)))
  const byDigest = new Map(read.map((segment) => [segment.sha256, segment]))
  for (const { head } of read) {
    if (head.former === undefined) continue
    assert.deepEqual(byDigest.get(head.former)?.head.last, head.after, `seed ${seed}`)
  }
}

test('a segment that is damaged is told from one that is whole, and what it had is fetched again', async () => {
  const world = new World(seeded(9))
  world.start()
  await world.pass(2 * INTERVAL_MS)
  for (let i = 0; i < 3; i++) {
    world.write()
    await world.pass(2 * INTERVAL_MS)
  }
  await world.stop()
  const [, , last] = (await listChanges(world.destination, CLUSTER)).segments
  const bytes = world.destination.objects.get(last?.name ?? '') ?? Buffer.alloc(0)
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
  world.write()
  world.start()
  await world.pass(2 * INTERVAL_MS)
  await world.stop()
  assert.equal(world.fulls.length, 1)
  const { segments } = await listChanges(world.destination, CLUSTER)
  assert.ok(segments.some(({ after, last }) => after === 3 && last === 5))
})
