/** A quorum that is lost for good: who survives, and what becomes of the volumes of the others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogEnd } from './log-end.ts'
import { assertSettledAt, converge, formed, look, reasonOf, rounds, voterNames } from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import type { World } from './testing/world.ts'

const ask = (world: World, survivor: string): void =>
  world.edit({ recovery: { request: { id: survivor, survivor, acknowledgeDataLoss: true } } })

const idOf = ({ cluster }: World, name: string): string => cluster.members.find((one) => one.name === name)?.id ?? ''

/** All pods but these are away, with their volumes. */
async function lost(replicas: number, answering: readonly number[], spec: object = {}): Promise<World> {
  const world = await formed({ replicas, ...spec })
  for (let ordinal = 0; ordinal < replicas; ordinal++)
    if (!answering.includes(ordinal)) world.endPod(ordinal, 'Unknown')
  await rounds(world, 2)
  return world
}

/** Where the logs of some members end. */
function ends(world: World, of: Readonly<Record<string, LogEnd>>): void {
  world.cluster.term = 3
  for (const [name, end] of Object.entries(of)) world.cluster.ends.set(idOf(world, name), end)
}

const OLD_LEADER = { lastTerm: 2, lastIndex: 160, commitIndex: 100 }

/** UIDs by name. */
function volumesOf(world: World): ReadonlyMap<string, string> {
  return new Map(world.all('PersistentVolumeClaim').map(({ metadata }) => [metadata.name, metadata.uid ?? '']))
}

test('60 entries of an old leader’s term that nobody acknowledged do not beat 4 acknowledged ones of a later term', async () => {
  const world = await lost(5, [0, 1])
  ends(world, { 'kv-0': OLD_LEADER, 'kv-1': { lastTerm: 3, lastIndex: 104, commitIndex: 103 } })
  await look(world)
  assert.match(reasonOf(world, 'Degraded'), /Of those that answer, kv-1 has most \(term 3, index 104\)$/)
  ask(world, 'kv-0')
  await rounds(world, 3)
  assert.match(
    reasonOf(world, 'Degraded'),
    /kv-1 has more than kv-0 \(it ends at term 3, index 104, and kv-0 at term 2, index 160\): name kv-1 /,
  )
  assert.equal(world.cluster.voters.length, 5)
  ask(world, 'kv-1')
  await rounds(world, 2)
  assert.deepEqual(voterNames(world), ['kv-1'])
  await converge(world)
  assertSettledAt(world, 5)
})

test('one that is known to lack what was committed does not hold up the best of those that answer: it is said how much is lost', async () => {
  const world = await lost(5, [0, 1])
  ends(world, { 'kv-0': OLD_LEADER, 'kv-1': { lastTerm: 3, lastIndex: 104, commitIndex: 103 } })
  world.put({ ...world.resource(), status: { ...world.status(), commitIndex: 150 } })
  await look(world)
  const said = /at least 46 acknowledged entries are on no member that answers/
  assert.match(reasonOf(world, 'Degraded'), said)
  ask(world, 'kv-3')
  await rounds(world, 2)
  assert.match(
    reasonOf(world, 'Degraded'),
    /kv-3 was chosen to survive and does not answer.*kv-1 has most.*46 acknowledged entries/,
  )
  ask(world, 'kv-1')
  await look(world)
  assert.match(
    reasonOf(world, 'Progressing'),
    /kv-1 continues alone.*at least 46 entries that were acknowledged are lost/,
  )
  assert.equal(world.status()['commitIndex'], 103, 'what was known of the history that ended no longer counts')
  await converge(world)
  assertSettledAt(world, 5)
})

test('one that has just joined and has nothing yet is no survivor: all would be lost', async () => {
  const world = await lost(3, [0])
  const nothing = { lastTerm: 0, lastIndex: 0, appliedIndex: 0, commitIndex: 0, configIndex: 0 }
  world.lies.set('kv-0', { ...nothing, voters: [], learners: [], members: [] })
  ask(world, 'kv-0')
  await rounds(world, 3)
  assert.match(reasonOf(world, 'Degraded'), /kv-0 was chosen to survive and has no data yet$/)
  assert.equal(world.cluster.voters.length, 3)
})

test('a member of an earlier version, which does not tell the term: nothing is guessed', async () => {
  const world = await lost(5, [0, 1])
  ends(world, {
    'kv-0': { lastTerm: undefined, lastIndex: 160, commitIndex: 100 },
    'kv-1': { lastTerm: 3, lastIndex: 104, commitIndex: 103 },
  })
  ask(world, 'kv-1')
  await rounds(world, 3)
  assert.match(
    reasonOf(world, 'Degraded'),
    /whether kv-0 has more than kv-1 cannot be determined: kv-0 runs a version .*: set spec.image/,
  )
  assert.equal(world.cluster.voters.length, 5)
  world.cluster.ends.set(idOf(world, 'kv-0'), { lastTerm: undefined, lastIndex: 103, commitIndex: 100 })
  await converge(world)
  assertSettledAt(world, 5)
})

/** After each look: how many former volumes are left, and that no pod runs on one. */
function checkFormer(world: World, before: ReadonlyMap<string, string>, survivor: string): number {
  const now = volumesOf(world)
  const left = [...before].filter(([name, uid]) => name !== `data-${survivor}` && now.get(name) === uid)
  assert.equal(now.get(`data-${survivor}`), before.get(`data-${survivor}`))
  if (world.cluster.voters.length === 1) assert(left.length >= before.size - 2, `only ${left.length} are left`)
  return left.length
}

test('former members keep their volumes until two voters have the data, but for the one whose place is needed', async () => {
  for (const survivor of [0, 2, 4]) {
    const world = await lost(5, [survivor])
    const before = volumesOf(world)
    const name = `kv-${survivor}`
    ask(world, name)
    let left = 4
    for (let round = 0; round < 60 && left > 0; round++) {
      await look(world)
      left = checkFormer(world, before, name)
      world.tick()
      if (world.cluster.voters.length > 1 || left === 4) continue
      const running = world.all('Pod').map(({ metadata }) => `data-${metadata.name}`)
      const old = running.filter(
        (volume) => volume !== `data-${name}` && volumesOf(world).get(volume) === before.get(volume),
      )
      assert.deepEqual(old, [], 'no pod runs on what was given up')
    }
    assert.equal(left, 0)
    await converge(world)
    assertSettledAt(world, 5)
  }
})

test('the survivor’s end before there are two voters: the others’ volumes are still there', async () => {
  const world = await lost(5, [2])
  const before = volumesOf(world)
  ask(world, 'kv-2')
  await rounds(world, 4)
  world.endPod(2, 'Unknown')
  await rounds(world, 20)
  assert.equal(checkFormer(world, before, 'kv-2'), 3)
  world.killPod(2)
  await converge(world)
  assertSettledAt(world, 5)
})

test('a survivor beyond the wanted members, and one that is all that is wanted', async () => {
  for (const [survivor, replicas] of [
    [4, 3],
    [4, 1],
    [0, 1],
    [2, 3],
  ] as const) {
    const world = await lost(5, [survivor])
    world.edit({ replicas })
    ask(world, `kv-${survivor}`)
    await converge(world)
    assertSettledAt(world, replicas)
  }
})

test('scaled to zero and back while former volumes are kept: only who was recovered starts', async () => {
  const world = await lost(5, [2])
  const before = volumesOf(world)
  ask(world, 'kv-2')
  await rounds(world, 3)
  world.edit({ replicas: 0 })
  await rounds(world, 4)
  world.edit({ replicas: 5 })
  for (let round = 0; round < 5; round++) {
    await look(world)
    checkFormer(world, before, 'kv-2')
    world.tick()
  }
  await converge(world)
  assertSettledAt(world, 5)
})

test('wherever the operator ends: the volumes are kept as long, and all comes true', async () => {
  for (let calls = 0; calls < 16; calls++) {
    const world = await lost(5, [1])
    const before = volumesOf(world)
    ask(world, 'kv-1')
    let left = calls
    const after = (): void => {
      if (left-- === 0) throw new Crash()
    }
    for (let round = 0; round < 8; round++) {
      await look(world, { after })
      checkFormer(world, before, 'kv-1')
      world.tick()
    }
    await converge(world)
    assertSettledAt(world, 5)
  }
})
