/** Stores that are kept in order: defragmented by a schedule, and given room when they have none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DefragmentationRun } from '../api/maintenance.ts'
import { parseStatus } from '../api/status.ts'
import { type FakeStore, ROOMY } from './testing/fake-store.ts'
import { Crash } from './testing/hooks.ts'
import { condition, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import type { World } from './testing/world.ts'

const NIGHTLY = { maintenance: { defragmentation: { schedule: '0 3 * * *', onlyAbove: '30%' } } }
const MINUTE_MS = 60_000

/** Members have `stores` by their ordinals. */
async function keeping(stores: readonly Partial<FakeStore>[], spec: object = NIGHTLY, settled = 3): Promise<World> {
  const world = await formed({ replicas: stores.length, allowEvenReplicas: true, ...spec })
  for (const [ordinal, store] of stores.entries()) storeOf(world, ordinal, { ...ROOMY, ...store })
  await rounds(world, settled)
  return world
}

function idOf(world: World, ordinal: number): string {
  return world.cluster.members.find(({ name }) => name === `kv-${ordinal}`)?.id ?? assert.fail()
}

function storeOf(world: World, ordinal: number, given?: FakeStore): FakeStore {
  const id = idOf(world, ordinal)
  if (given !== undefined) world.cluster.stores.byMember.set(id, given)
  return world.cluster.stores.byMember.get(id) ?? assert.fail()
}

/** What was asked of members, by ordinal: "defragment 2". */
function asked(world: World): readonly string[] {
  return world.cluster.stores.asked.map((call) => {
    const [what, id] = call.split(' ')
    const name = world.cluster.members.find((member) => member.id === id)?.name
    return name === undefined ? call : `${what} ${name.slice('kv-'.length)}`
  })
}

function runOf(world: World): DefragmentationRun | undefined {
  return parseStatus(world.status()).maintenance?.defragmentation?.run
}

function at(world: World, time: string): void {
  world.nowMs = Date.parse(`2030-01-01T${time}Z`)
}

const FRAGMENTED = { size: 100, inUse: 40 }

test('at its time, members with much free space are defragmented one by one, the leader last and only once it has handed over', async () => {
  const world = await keeping([FRAGMENTED, FRAGMENTED, FRAGMENTED])
  world.cluster.transfer(idOf(world, 1))
  await rounds(world, 5)
  assert.deepEqual([asked(world), runOf(world)], [[], undefined], 'not before its time')
  const first = world.cluster.leader
  at(world, '03:00:00')
  let readiness: unknown = 'True'
  for (let round = 0; round < 20; round++) {
    await rounds(world, 1)
    if (condition(world, 'Ready') !== 'True') readiness = reasonOf(world, 'Ready')
  }
  assert.deepEqual(asked(world), ['defragment 2', 'defragment 0', 'defragment 1'])
  assert.notEqual(world.cluster.leader, first)
  const run = runOf(world)
  assert.deepEqual([run?.result, run?.message], ['Succeeded', '180 MB were freed'])
  assert.deepEqual(
    run?.members.map(({ name, freedBytes }) => [name, freedBytes]),
    ['kv-2', 'kv-0', 'kv-1'].map((name) => [name, 60_000_000]),
  )
  const told = (reason: string): number => world.events.filter((event) => event === reason).length
  assert.deepEqual(['Defragmenting', 'MemberDefragmented', 'Defragmented'].map(told), [3, 3, 1])
  assert.deepEqual(
    [readiness, condition(world, 'Degraded'), condition(world, 'Progressing')],
    ['True', 'False', 'False'],
  )
  at(world, '12:00:00')
  await rounds(world, 5)
  assert.equal(asked(world).length, 3, 'once each time')
})

test('a store with no more free than onlyAbove is left alone; the only member is defragmented where it is', async () => {
  const world = await keeping([{ size: 100, inUse: 70 }, FRAGMENTED, { size: 100, inUse: 71 }])
  world.cluster.transfer(idOf(world, 0))
  at(world, '03:00:00')
  await rounds(world, 8)
  assert.deepEqual(asked(world), ['defragment 1'])
  const alone = await keeping([FRAGMENTED])
  at(alone, '03:00:00')
  await rounds(alone, 8)
  assert.deepEqual(asked(alone), ['defragment 0'])
  const whole = await keeping([{}, {}, {}])
  at(whole, '03:00:00')
  await rounds(whole, 4)
  assert.deepEqual([asked(whole), runOf(whole)?.message], [[], 'no member had more than 30% of its store free'])
})

test('nothing is begun while a member is unwell, or anything else is under way; within two hours it is made up for', async () => {
  const world = await keeping([FRAGMENTED, FRAGMENTED, FRAGMENTED])
  world.unready.add('kv-0')
  world.settleMembers()
  at(world, '03:00:00')
  await rounds(world, 5)
  assert.deepEqual(asked(world), [])
  world.unready.clear()
  world.edit({ image: { tag: '9' } })
  await rounds(world, 1)
  while (condition(world, 'UpToDate') !== 'True') {
    await rounds(world, 1)
    assert.deepEqual(asked(world), [], 'not during a rollout')
  }
  await rounds(world, 20)
  assert.deepEqual([asked(world).length, runOf(world)?.result], [3, 'Succeeded'])
})

test('what is not done within two hours waits for the next time, and a time at which nobody looked is told', async () => {
  const world = await keeping([FRAGMENTED, FRAGMENTED, FRAGMENTED])
  world.unready.add('kv-0')
  world.settleMembers()
  at(world, '03:00:00')
  await rounds(world, 2)
  at(world, '05:00:01')
  await rounds(world, 2)
  world.unready.clear()
  await rounds(world, 10)
  const run = runOf(world)
  assert.deepEqual([asked(world), run?.result], [[], 'Incomplete'])
  assert.match(run?.message ?? '', /^not done within two hours: kv-\d/)
  world.nowMs = Date.parse('2030-01-03T09:00:00Z')
  await rounds(world, 3)
  assert.deepEqual([asked(world), runOf(world)?.result], [[], 'Missed'])
  assert(world.events.includes('DefragmentationMissed'))
})

test('a member that cannot be defragmented ends the run with its words; no condition is the worse for it', async () => {
  const world = await keeping([FRAGMENTED, FRAGMENTED, { ...FRAGMENTED, problem: 'no room on the disk' }])
  at(world, '03:00:00')
  await rounds(world, 10)
  assert.deepEqual(asked(world), ['defragment 2'])
  assert.deepEqual([runOf(world)?.result, runOf(world)?.message], ['Failed', 'kv-2: no room on the disk'])
  assert(world.events.includes('DefragmentationFailed'))
  assert.deepEqual([condition(world, 'Degraded'), world.status()['operation']], ['False', undefined])
})

test('one that takes too long is not waited for; one that forgot is asked again', async () => {
  const world = await keeping([FRAGMENTED, FRAGMENTED, { ...FRAGMENTED, isSlow: true }])
  at(world, '03:00:00')
  await rounds(world, 5)
  storeOf(world, 2).defragmentation = undefined // its process was restarted
  await rounds(world, 3)
  assert.deepEqual(asked(world), ['defragment 2', 'defragment 2'])
  world.nowMs += 31 * MINUTE_MS
  await rounds(world, 3)
  assert.match(runOf(world)?.message ?? '', /^kv-2: it did not finish within half an hour/)
})

test('members of a version that does not tell are asked for nothing, and the run says so', async () => {
  const world = await formed(NIGHTLY)
  at(world, '03:00:00')
  await rounds(world, 3)
  at(world, '05:00:01')
  await rounds(world, 2)
  assert.match(runOf(world)?.message ?? '', /kv-2 \(does not report its size\)/)
})

test('a schedule that cannot be read is told; another schedule counts from when it was given', async () => {
  const world = await keeping([FRAGMENTED, FRAGMENTED, FRAGMENTED], {
    maintenance: { defragmentation: { schedule: '0 25 * * *' } },
  })
  assert.match(reasonOf(world, 'Degraded'), /^InvalidSchedule: spec.maintenance.defragmentation cannot be followed: /)
  at(world, '04:00:00')
  world.edit(NIGHTLY)
  await rounds(world, 5)
  assert.deepEqual([asked(world), runOf(world), condition(world, 'Degraded')], [[], undefined, 'False'])
})

test('wherever the operator ends, each member is defragmented once, and the leader never while it leads', async () => {
  for (const isAfter of [true, false]) {
    for (let call = 0; call < 16; call++) {
      const world = await keeping([FRAGMENTED, FRAGMENTED, FRAGMENTED])
      at(world, '03:00:00')
      let calls = 0
      const hook = (): void => {
        if (calls++ === call) throw new Crash()
      }
      for (let round = 0; round < 8; round++) {
        await look(world, isAfter ? { after: hook } : { before: hook })
        world.tick()
      }
      await rounds(world, 16)
      assert.deepEqual([...asked(world)].toSorted(), ['defragment 0', 'defragment 1', 'defragment 2'])
      assert.equal(runOf(world)?.result, 'Succeeded')
    }
  }
})

const FULL = { size: 100, inUse: 95, quota: 100 }

test('no space: free space is given back and history stays, where that is enough; then the alarm goes', async () => {
  const world = await keeping(
    [
      { ...FULL, inUse: 50 },
      { ...FULL, inUse: 50 },
      { size: 80, inUse: 50, quota: 100 },
    ],
    {},
  )
  world.cluster.transfer(idOf(world, 0))
  await rounds(world, 12)
  const [first, second, ...disarmed] = asked(world)
  assert.deepEqual([first, second], ['defragment 1', 'defragment 0'])
  assert.deepEqual([...disarmed].toSorted(), ['disarm 0', 'disarm 1'])
  assert.equal(condition(world, 'StorageReady'), 'True')
  assert(world.events.includes('AlarmDisarmed') && !world.events.includes('HistoryCompacted'))
  assert.equal(parseStatus(world.status()).maintenance, undefined)
})

test('no space: history is compacted where free space is not enough, then all are defragmented, each step told', async () => {
  const world = await keeping(
    [{}, {}, {}].map(() => ({ ...FULL, history: 60 })),
    {},
    0,
  )
  const told = new Set<string>()
  for (let round = 0; round < 90; round++) {
    await rounds(world, 1)
    told.add(reasonOf(world, 'StorageReady'))
  }
  assert.equal(asked(world)[0], 'compact 1000')
  assert.deepEqual(asked(world).slice(1, 4).toSorted(), ['defragment 0', 'defragment 1', 'defragment 2'])
  assert.deepEqual(asked(world).slice(4).toSorted(), ['disarm 0', 'disarm 1', 'disarm 2'])
  assert(world.events.includes('HistoryCompacted'))
  const all = [...told].join('\n')
  assert.match(all, /has no room left, and puts are refused: history before revision 1000 is compacted/)
  assert.match(all, /kv-\d is (being )?defragmented/)
  assert.match(all, /there is space again: the alarm of kv-\d is disarmed/)
  assert.equal(condition(world, 'StorageReady'), 'True')
})

test('no space: where all is done in vain no alarm is disarmed, and it is said what helps; that makes room, and writes go on', async () => {
  const world = await keeping([FULL, FULL, FULL], {})
  await rounds(world, 100)
  assert.deepEqual(
    asked(world).filter((call) => call.startsWith('disarm')),
    [],
  )
  assert.match(
    reasonOf(world, 'StorageReady'),
    /the data itself leaves no space: 95 MB are in use. Delete keys, or raise spec/,
  )
  assert.deepEqual(
    [world.events.filter((event) => event === 'NoSpaceLeft').length, condition(world, 'Progressing')],
    [1, 'False'],
  )
  const before = asked(world).length
  world.nowMs += 60 * MINUTE_MS
  await rounds(world, 10)
  assert.equal(asked(world).length, before, 'nothing was deleted: nothing is tried again')
  for (const ordinal of [0, 1, 2]) storeOf(world, ordinal).quota = 200
  await rounds(world, 10)
  assert.equal(asked(world).filter((call) => call.startsWith('disarm')).length, 3)
})

test('no space: what has been deleted since is found by another try; a member that does not tell keeps its alarm', async () => {
  const world = await keeping([FULL, FULL, FULL], {})
  await rounds(world, 100)
  for (const ordinal of [0, 1, 2]) storeOf(world, ordinal).history = 50
  world.cluster.stores.revision += 1
  await rounds(world, 10)
  assert(!asked(world).includes('compact 1001'), 'not at every look')
  world.nowMs += 11 * MINUTE_MS
  world.unreachable.add('kv-2')
  await rounds(world, 100)
  assert(asked(world).includes('compact 1001'))
  assert.deepEqual(
    asked(world)
      .filter((call) => call.startsWith('disarm'))
      .toSorted(),
    ['disarm 0', 'disarm 1'],
  )
})

test('no space: with onNoSpace Tell nothing is done, and it is said what to do', async () => {
  const world = await keeping([FULL, FULL, FULL], { maintenance: { onNoSpace: 'Tell' } })
  await rounds(world, 10)
  assert.deepEqual(asked(world), [])
  assert.match(reasonOf(world, 'StorageReady'), /^NoSpace: .*etcdctl compact, etcdctl defrag/)
})
